//! Timers and the threads that fire them: stuck, handed over, one alone, shutting down.

use std::{
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Barrier, mpsc},
    task::{Context, Poll, Waker},
    thread,
};

use jenny::{
    runtime::{Builder, Handle, LocalOptions},
    sync::oneshot,
    task::{LocalSet, block_in_place, spawn, spawn_local},
    time::{Duration, Instant, sleep, timeout},
};

use crate::support::{Flavour, on_every_runtime, on_every_shared_runtime, within_a_minute};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The sleep is in the wheel of a worker whose task blocks until the sleep has fired.
#[test]
fn the_timers_of_a_stuck_worker_fire() {
    within_a_minute(|| {
        Flavour::FourWorkers.build().block_on(async {
            for _ in 0..3 {
                let (hand_over, handed_over) = oneshot::channel();
                let (release, held) = mpsc::channel();
                let stuck = spawn(async move {
                    let mut future = Box::pin(sleep(5 * MS));
                    assert!(poll(future.as_mut()).is_pending());
                    assert!(hand_over.send(future).is_ok());
                    held.recv().unwrap();
                });
                handed_over.await.unwrap().await;
                release.send(()).unwrap();
                stuck.await.unwrap();
            }
        });
    });
}

/// The thread that blocks is no worker any more: its timers have to wake whoever is.
#[test]
fn sleeping_in_block_in_place() {
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        within_a_minute(move || {
            flavour.build().block_on(async {
                for _ in 0..10 {
                    let task = spawn(async {
                        let start = Instant::now();
                        let mut before = Box::pin(sleep(3 * MS));
                        assert!(poll(before.as_mut()).is_pending());
                        block_in_place(|| {
                            Handle::current().block_on(async {
                                sleep(2 * MS).await;
                                before.await;
                            });
                        });
                        assert!(start.elapsed() >= 3 * MS);
                        sleep(MS).await;
                    });
                    task.await.unwrap();
                }
            });
        });
    }
}

#[test]
fn a_local_runtime_keeps_time() {
    within_a_minute(|| {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            spawn_local(async { sleep(2 * MS).await }).await.unwrap();
            assert!(start.elapsed() >= 2 * MS);
        });
        builder.start_paused(true);
        let runtime = builder.build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let late = spawn_local(async { sleep(2 * HOUR).await });
            assert!(timeout(HOUR, pending::<()>()).await.is_err());
            late.await.unwrap();
            assert_eq!(start.elapsed(), 2 * HOUR);
        });
    });
}

on_every_shared_runtime! {
    fn local_tasks_keep_time(flavour: Flavour) {
        let runtime = flavour.build_shared();
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let start = Instant::now();
            let tasks: Vec<_> =
                (1..=5_u32).map(|ms| spawn_local(async move { sleep(ms * MS).await })).collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert!(start.elapsed() >= 5 * MS);
        });
    }
}

on_every_runtime! {
    /// Others begin to sleep while the runtime goes away: whichever comes first, all are woken, and
    /// told why.
    fn threads_begin_to_sleep_while_the_runtime_ends(flavour: Flavour) {
        for _ in 0..10 {
            let runtime = flavour.build();
            let together = Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..3 {
                    let (handle, together) = (runtime.handle().clone(), &together);
                    scope.spawn(move || {
                        together.wait();
                        let slept = || handle.block_on(async { sleep(HOUR).await });
                        let panic = catch_unwind(AssertUnwindSafe(slept)).unwrap_err();
                        let message = panic.downcast_ref::<String>().unwrap();
                        assert!(message.contains("has been shut down"), "{message}");
                    });
                }
                together.wait();
                drop(runtime);
            });
        }
    }
}
