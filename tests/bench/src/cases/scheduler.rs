//! Tasks and nothing else.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Countdown, in_task};
use crate::peer::Peer;

pub(super) fn spawn<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        let (countdown, done) = Countdown::new(operations);
        for _ in 0..operations {
            let countdown = countdown.clone();
            drop(P::spawn(async move { countdown.task_ran() }));
        }
        done.await.expect("every task runs");
    });
}

pub(super) fn spawn_join<P: Peer>(runtime: &P, operations: u64) {
    let sum = in_task(runtime, async move {
        let mut sum = 0;
        for task in 0..operations {
            sum += P::spawn(async move { task }).await.expect("joined");
        }
        sum
    });
    assert_eq!(sum, (0..operations).sum::<u64>());
}

pub(super) fn yield_1<P: Peer>(runtime: &P, operations: u64) {
    yields::<P, 1>(runtime, operations);
}

pub(super) fn yield_200<P: Peer>(runtime: &P, operations: u64) {
    yields::<P, 200>(runtime, operations);
}

fn yields<P: Peer, const TASKS: u64>(runtime: &P, operations: u64) {
    let yielded = in_task(runtime, async move {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                P::spawn(async move {
                    let mut yielded = 0;
                    while yielded < operations / TASKS {
                        P::yield_now().await;
                        yielded += 1;
                    }
                    yielded
                })
            })
            .collect();
        let mut yielded = 0;
        for task in tasks {
            yielded += task.await.expect("joined");
        }
        yielded
    });
    assert_eq!(yielded, operations);
}

/// A thousand pairs at a time.
pub(super) fn ping_pong<P: Peer>(runtime: &P, operations: u64) {
    const PAIRS: u64 = 1000;
    assert!(operations.is_multiple_of(PAIRS));
    in_task(runtime, async move {
        for _ in 0..operations / PAIRS {
            let (countdown, done) = Countdown::new(PAIRS);
            for _ in 0..PAIRS {
                drop(P::spawn(pair::<P>(countdown.clone())));
            }
            done.await.expect("every pair finishes");
        }
    });
}

async fn pair<P: Peer>(countdown: Arc<Countdown>) {
    let (ping, pinged) = oneshot::channel();
    let (pong, ponged) = oneshot::channel();
    drop(P::spawn(async move {
        let ball: u64 = pinged.await.expect("pinged");
        pong.send(ball + 1).expect("the first task waits");
    }));
    ping.send(1).expect("the second task waits");
    assert_eq!(ponged.await, Ok(2));
    countdown.task_ran();
}

pub(super) fn remote_spawn<P: Peer>(runtime: &P, operations: u64) {
    let (countdown, done) = Countdown::new(operations);
    for _ in 0..operations {
        let countdown = countdown.clone();
        drop(runtime.spawn_remote(async move { countdown.task_ran() }));
    }
    // Waits outside of the runtime, so that the waiting is the same for every peer.
    done.blocking_recv().expect("every task runs");
}

pub(super) fn chained_spawn<P: Peer>(runtime: &P, operations: u64) {
    fn link<P: Peer>(left: u64, countdown: Arc<Countdown>) {
        drop(P::spawn(async move {
            countdown.task_ran();
            if left > 1 {
                link::<P>(left - 1, countdown);
            }
        }));
    }
    in_task(runtime, async move {
        let (countdown, done) = Countdown::new(operations);
        link::<P>(operations, countdown);
        done.await.expect("the chain ends");
    });
}

pub(super) fn block_on_join<P: Peer>(runtime: &P, operations: u64) {
    let mut sum = 0;
    for task in 0..operations {
        sum +=
            runtime.block_on(async move { P::spawn(async move { task }).await.expect("joined") });
    }
    assert_eq!(sum, (0..operations).sum::<u64>());
}
