//! However much there is when the scheduler closes, nothing is left and nobody waits for ever.

use std::{
    future::{Future, pending, poll_fn},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use jenny_core::{
    scheduler::{Tick, local},
    task::JoinHandle,
};

use crate::{
    alloc::no_leaks,
    probe::{OnDrop, Tally, counting, planned_panic, poll_join, result, yield_now},
    rig::{Dice, Kind, Rig},
    toy::{Toy, Unparked},
};

fn waits(futures: &Tally) -> impl Future<Output = ()> + Send + use<> {
    let guard = futures.guard();
    async move {
        pending::<()>().await;
        drop(guard);
    }
}

/// Waits, and wakes this waker when it is dropped.
fn waits_and_wakes(kept: &Arc<Mutex<Option<Waker>>>) -> impl Future<Output = ()> + Send + use<> {
    let (kept, waits) = (kept.clone(), OnDrop::new(|| {}));
    let wakes = OnDrop::new(move || {
        let waker = kept.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    async move {
        pending::<()>().await;
        drop((waits, wakes));
    }
}

/// Waits, and leaves its waker.
fn leaves_waker(kept: &Arc<Mutex<Option<Waker>>>) -> impl Future<Output = ()> + Send + use<> {
    let kept = kept.clone();
    poll_fn(move |context| {
        *kept.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    })
}

#[track_caller]
fn assert_cancelled<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) {
    for task in tasks {
        assert!(result(task).is_err_and(|error| error.is_cancelled()));
    }
}

#[test]
fn idle_and_queued_tasks_are_cancelled_and_their_joiners_woken() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(5));
            let (futures, wakes) = (Tally::default(), Arc::default());
            let handle = rig.handle.clone();
            let spawn = || handle.spawn(waits(&futures));
            let mut tasks: Vec<_> = (0..5).map(|_| spawn()).collect();
            rig.settle(&mut dice);
            tasks.extend((0..5).map(|_| spawn()));
            tasks.extend(rig.inside(0, || (0..400).map(|_| spawn()).collect::<Vec<_>>()));
            for task in &mut tasks {
                assert!(poll_join(task, &counting(&wakes)).is_pending());
            }
            rig.stop(&mut dice);
            futures.assert_even();
            assert_eq!(wakes.load(std::sync::atomic::Ordering::Relaxed), tasks.len());
            assert_cancelled(tasks);
            assert_cancelled([spawn()]);
            futures.assert_even();
        });
    }
}

#[test]
fn a_backlog_that_is_being_turned_around_is_cancelled() {
    // More than one look at the overflow turns around, in each of the places where it can be.
    for kind in [Kind::Stealing(1), Kind::Stealing(2)] {
        for ticks in 0..4 {
            no_leaks(|| {
                let mut rig = Rig::with(kind, Toy::new(1, false), |_| {});
                let futures = Tally::default();
                let tasks: Vec<_> = (0..2_000).map(|_| rig.handle.spawn(waits(&futures))).collect();
                for tick in 0..ticks {
                    let _ = rig.tick(tick % rig.workers());
                }
                rig.stop(&mut Dice::new(0));
                futures.assert_even();
                assert_cancelled(tasks);
            });
        }
    }
}

#[test]
fn woken_tasks_in_a_backlog_do_not_keep_their_owner_from_stopping() {
    for kind in [Kind::Stealing(1), Kind::Stealing(2)] {
        for ticks in 0..4 {
            no_leaks(|| {
                let (mut rig, mut dice) =
                    (Rig::with(kind, Toy::new(1, false), |_| {}), Dice::new(ticks));
                let kept: Vec<_> = (0..2_000).map(|_| Arc::default()).collect();
                for kept in &kept {
                    drop(rig.handle.spawn(leaves_waker(kept)));
                }
                rig.settle(&mut dice);
                for kept in &kept {
                    kept.lock().unwrap().take().unwrap().wake();
                }
                for tick in 0..ticks as usize {
                    let _ = rig.tick(tick % rig.workers());
                }
                rig.stop(&mut dice);
                for kept in &kept {
                    drop(kept.lock().unwrap().take());
                }
            });
        }
    }
}

#[test]
fn a_worker_that_has_stopped_is_a_stranger() {
    // The first worker ends; what its thread wakes and spawns then has to reach the second, whose
    // task is still alive.
    no_leaks(|| {
        let mut rig = Rig::with(Kind::Stealing(2), Toy::new(1, true), |_| {});
        let (handle, kept) = (rig.handle.clone(), Arc::default());
        let task = rig.inside(1, || handle.spawn(leaves_waker(&kept)));
        let _ = rig.tick(1);
        handle.close();
        assert_eq!(rig.tick(0), Tick::Stopped);
        let spawned = rig.inside(0, || {
            assert!(!handle.is_entered());
            kept.lock().unwrap().take().unwrap().wake();
            handle.spawn(async {})
        });
        rig.stop(&mut Dice::new(0));
        assert_cancelled([task, spawned]);
    });
}

#[test]
fn drops_of_futures_may_spawn_wake_and_abort() {
    for kind in Kind::ALL {
        for order in 0..6 {
            no_leaks(|| {
                let (mut rig, mut dice) = (Rig::new(kind), Dice::new(order));
                let (futures, kept) = (Tally::default(), Arc::default());
                let woken = rig.handle.spawn(leaves_waker(&kept));
                let waking = rig.handle.spawn(waits_and_wakes(&kept));
                let aborted = rig.handle.spawn(waits(&futures));
                let spawning = rig.handle.spawn({
                    let (handle, futures) = (rig.handle.clone(), futures.clone());
                    let abort = aborted.abort_handle();
                    let drops = OnDrop::new(move || {
                        abort.abort();
                        for _ in 0..3 {
                            assert_cancelled_later(handle.spawn(waits(&futures)));
                        }
                    });
                    async move {
                        yield_now().await;
                        pending::<()>().await;
                        drop(drops);
                    }
                });
                for _ in 0..order {
                    let worker = dice.below(rig.workers());
                    let _ = rig.tick(worker);
                }
                rig.stop(&mut dice);
                futures.assert_even();
                assert_cancelled([woken, waking, aborted, spawning]);
            });
        }
    }
}

/// A task that is spawned during the shutdown never runs. Its handle may be dropped at once.
fn assert_cancelled_later<T>(mut task: JoinHandle<T>) {
    if let Poll::Ready(result) = poll_join(&mut task, Waker::noop()) {
        assert!(result.is_err_and(|error| error.is_cancelled()));
    }
}

#[test]
#[expect(clippy::async_yields_async, reason = "the inner task outlives the outer one")]
fn a_task_may_close_its_scheduler() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let mut rig = Rig::new(kind);
            let handle = rig.handle.clone();
            let task = rig.handle.spawn(async move {
                handle.close();
                handle.spawn(async { 1 })
            });
            rig.settle(&mut Dice::new(0));
            assert!(rig.is_stopped());
            let inner = result(task).unwrap();
            // The flag is seen at the next tick, so it may have run, or it was cancelled.
            match result(inner) {
                Ok(output) => assert_eq!(output, 1),
                Err(error) => assert!(error.is_cancelled()),
            }
        });
    }
}

#[test]
fn panics_during_the_shutdown_are_contained() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, futures) = (Rig::new(kind), Tally::default());
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let panics = OnDrop::new(|| planned_panic());
                    let waits = waits(&futures);
                    rig.handle.spawn(async move {
                        waits.await;
                        drop(panics);
                    })
                })
                .collect();
            let _ = rig.tick(0);
            rig.stop(&mut Dice::new(0));
            futures.assert_even();
            for task in tasks {
                assert!(result(task).unwrap_err().is_panic());
            }
        });
    }
}

#[test]
fn a_task_of_one_worker_in_the_queue_of_another() {
    for first in 0..2 {
        no_leaks(|| {
            let (mut rig, futures) = (
                Rig::with(Kind::Stealing(2), Toy::new(1, true), |config| config.event_interval = 1),
                Tally::default(),
            );
            let handle = rig.handle.clone();
            let tasks: Vec<_> = rig.inside(0, || {
                (0..20)
                    .map(|_| {
                        let waits = waits(&futures);
                        handle.spawn(async move {
                            yield_now().await;
                            waits.await;
                        })
                    })
                    .collect()
            });
            // The second worker holds tasks that are bound to the first.
            assert_eq!(rig.tick(1), Tick::Ran);
            assert_eq!(rig.tick(1), Tick::Ran);
            handle.close();
            assert_eq!(rig.tick(first), [Tick::Idle, Tick::Stopped][first]);
            rig.stop(&mut Dice::new(0));
            futures.assert_even();
            assert_cancelled(tasks);
        });
    }
}

#[test]
fn closing_twice_and_stopping_with_nothing_to_do() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let mut rig = Rig::new(kind);
            rig.handle.close();
            rig.handle.close();
            rig.stop(&mut Dice::new(0));
            rig.handle.close();
            assert_cancelled([rig.handle.spawn(async {})]);
        });
    }
}

#[test]
fn futures_that_are_not_send_are_dropped_by_their_worker() {
    no_leaks(|| {
        let (handle, worker) =
            local::new(Toy::new(1, false), Unparked::default(), local::Config::default());
        let dropped = std::rc::Rc::new(std::cell::Cell::new(0));
        // SAFETY: the worker stays on this thread.
        let spawn = |future| unsafe { handle.spawn_local(future) };
        let future = || {
            let dropped = dropped.clone();
            let guard = OnDrop::new(move || dropped.set(dropped.get() + 1));
            async move {
                pending::<()>().await;
                drop(guard);
            }
        };
        let outside = spawn(future());
        let inside = worker.enter(|worker| {
            let task = spawn(future());
            assert_eq!(worker.tick(), Tick::Idle);
            task
        });
        let queued = spawn(future());
        inside.abort();
        assert_eq!(dropped.get(), 0);
        handle.close();
        worker.enter(|worker| assert_eq!(worker.tick(), Tick::Stopped));
        assert_eq!(dropped.get(), 3);
        let late = spawn(future());
        assert_eq!(dropped.get(), 4, "refused, and dropped by its spawner");
        assert_cancelled([outside, inside, queued, late]);
    });
}

/// It leaks, as documented, which Miri would report.
#[cfg(not(miri))]
#[test]
fn a_worker_that_is_dropped_before_it_stopped_leaves_its_tasks_alone() {
    for kind in Kind::ALL {
        let (mut rig, futures, kept) = (Rig::new(kind), Tally::default(), Arc::default());
        let handle = rig.handle.clone();
        let idle = rig.handle.spawn(leaves_waker(&kept));
        rig.settle(&mut Dice::new(0));
        let queued = rig.inside(0, || handle.spawn(waits(&futures)));
        drop(rig.into_workers());
        assert!(!idle.is_finished() && !queued.is_finished());
        assert_eq!(futures.dropped(), 0);
        let waker = kept.lock().unwrap().take().unwrap();
        waker.wake();
        idle.abort();
        queued.abort();
    }
}
