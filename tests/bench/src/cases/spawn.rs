//! New tasks.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use super::{Countdown, in_task};
use crate::peer::Peer;

pub(super) fn many_local<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        let (countdown, done) = Countdown::new(operations);
        for _ in 0..operations {
            let countdown = countdown.clone();
            drop(P::spawn(async move { countdown.task_ran() }));
        }
        done.await.expect("every task runs");
    });
}

/// From as many threads at once, into a runtime that has nothing else to do.
pub(super) fn many_remote<P: Peer, const THREADS: u64>(runtime: &P, operations: u64) {
    let (countdown, done) = Countdown::new(operations);
    let spawn = || {
        for _ in 0..operations / THREADS {
            let countdown = countdown.clone();
            drop(runtime.spawn_remote(async move { countdown.task_ran() }));
        }
    };
    thread::scope(|threads| {
        for _ in 1..THREADS {
            threads.spawn(spawn);
        }
        spawn();
    });
    // Waits outside of the runtime, so that the waiting is the same for every peer.
    done.blocking_recv().expect("every task runs");
}

/// The same on a runtime whose only thread is in `block_on`, which the spawns have to wake.
pub(super) fn many_remote_in_block_on<P: Peer>(runtime: &P, operations: u64) {
    let (countdown, done) = Countdown::new(operations);
    thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..operations {
                let countdown = countdown.clone();
                drop(runtime.spawn_remote(async move { countdown.task_ran() }));
            }
        });
        runtime.block_on(done).expect("every task runs");
    });
}

/// Tasks that keep the workers busy, twice as many as there are workers.
const BUSY: usize = 4;

/// Into a runtime whose workers poll tasks of a few microseconds that yield.
pub(super) fn remote_busy_yielding<P: Peer>(runtime: &P, operations: u64) {
    let over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..BUSY)
        .map(|_| {
            let over = Arc::clone(&over);
            runtime.spawn_remote(async move {
                while !over.load(Relaxed) {
                    P::yield_now().await;
                    work();
                }
            })
        })
        .collect();
    many_remote::<P, 1>(runtime, operations);
    over.store(true, Relaxed);
    runtime.block_on(async {
        for task in busy {
            task.await.expect("joined");
        }
    });
}

/// Into a runtime whose workers poll short tasks that spawn their successors.
pub(super) fn remote_busy_spawning<P: Peer>(runtime: &P, operations: u64) {
    fn link<P: Peer>(over: Arc<AtomicBool>, ended: Arc<Countdown>) {
        drop(P::spawn(async move {
            work();
            if over.load(Relaxed) {
                ended.task_ran();
            } else {
                link::<P>(over, ended);
            }
        }));
    }
    let over = Arc::new(AtomicBool::new(false));
    let (countdown, ended) = Countdown::new(BUSY as u64);
    for _ in 0..BUSY {
        let (over, countdown) = (Arc::clone(&over), Arc::clone(&countdown));
        drop(runtime.spawn_remote(async { link::<P>(over, countdown) }));
    }
    many_remote::<P, 1>(runtime, operations);
    over.store(true, Relaxed);
    ended.blocking_recv().expect("every chain ends");
}

/// A few microseconds.
fn work() {
    (0..100).for_each(|_| spin_loop());
}

pub(super) fn join<P: Peer>(runtime: &P, operations: u64) {
    let sum = in_task(runtime, async move {
        let mut sum = 0;
        for task in 0..operations {
            sum += P::spawn(async move { task }).await.expect("joined");
        }
        sum
    });
    assert_eq!(sum, (0..operations).sum::<u64>());
}

pub(super) fn chained<P: Peer>(runtime: &P, operations: u64) {
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
