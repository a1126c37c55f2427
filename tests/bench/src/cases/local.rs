//! Tasks that are not `Send`, on the thread that has built their runtime.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::oneshot;

use crate::peer::LocalPeer;

fn in_task<P: LocalPeer, F: Future<Output: 'static> + 'static>(
    runtime: &P,
    future: F,
) -> F::Output {
    runtime.block_on(async { P::spawn(future).await.expect("the case's task panicked") })
}

pub(super) fn spawn_many<P: LocalPeer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        let (done, all_ran) = oneshot::channel();
        let left = Rc::new((Cell::new(operations), Cell::new(Some(done))));
        for _ in 0..operations {
            let left = Rc::clone(&left);
            drop(P::spawn(async move {
                let (left, done) = &*left;
                left.set(left.get() - 1);
                if left.get() == 0 {
                    done.take().expect("one task is the last").send(()).expect("the case waits");
                }
            }));
        }
        all_ran.await.expect("every task runs");
    });
}

pub(super) fn spawn_join<P: LocalPeer>(runtime: &P, operations: u64) {
    let sum = in_task(runtime, async move {
        let mut sum = 0;
        for task in 0..operations {
            sum += P::spawn(async move { task }).await.expect("joined");
        }
        sum
    });
    assert_eq!(sum, (0..operations).sum::<u64>());
}

pub(super) fn yields<P: LocalPeer, const TASKS: u64>(runtime: &P, operations: u64) {
    let yielded = in_task(runtime, async move {
        let yielded = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let yielded = Rc::clone(&yielded);
                P::spawn(async move {
                    for _ in 0..operations / TASKS {
                        P::yield_now().await;
                        yielded.set(yielded.get() + 1);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("joined");
        }
        yielded.get()
    });
    assert_eq!(yielded, operations);
}
