//! From spawn to join, and what a tick says.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use jenny_core::scheduler::{Current, Tick, local, stealing};

use crate::{
    alloc::{live, made, no_leaks},
    probe::{Tally, counting, planned_panic, poll_join, result, yield_now},
    rig::{Dice, Kind, Rig},
    toy::{Toy, Unparked, with_pocket},
};

#[test]
fn a_task_runs_and_is_joined() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            let wakes = Arc::new(AtomicUsize::new(0));
            let mut outside = rig.handle.spawn(async { "outside" });
            assert!(poll_join(&mut outside, &counting(&wakes)).is_pending());
            let handle = rig.handle.clone();
            let inside = rig.inside(0, || handle.spawn(async { "inside" }));
            assert!(!inside.is_finished());
            rig.settle(&mut dice);
            assert_eq!(wakes.load(Relaxed), 1, "{kind:?}");
            assert_eq!(result(outside).unwrap(), "outside");
            assert_eq!(result(inside).unwrap(), "inside");
            rig.stop(&mut dice);
        });
    }
}

#[test]
fn a_task_joins_a_task() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(3));
            let handle = rig.handle.clone();
            let outer = rig.handle.spawn(async move {
                let inner = handle.spawn(async {
                    yield_now().await;
                    20
                });
                1 + inner.await.unwrap()
            });
            rig.settle(&mut dice);
            assert_eq!(result(outer).unwrap(), 21);
            rig.stop(&mut dice);
        });
    }
}

#[test]
fn ticks_say_what_to_do_next() {
    for kind in [Kind::Local, Kind::Stealing(1)] {
        let mut rig = Rig::with(kind, Toy::new(1, false), |config| config.event_interval = 2);
        assert_eq!(rig.tick(0), Tick::Idle, "nothing to do");
        assert_eq!(rig.step(0), None, "asleep");
        let tasks: Vec<_> = (0..3).map(|_| rig.handle.spawn(async {})).collect();
        assert_eq!(rig.step(0), Some(Tick::Ran), "the interval is over");
        assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 2);
        assert_eq!(rig.step(0), Some(Tick::Idle));
        assert!(tasks.iter().all(|task| task.is_finished()));
        rig.handle.close();
        assert_eq!(rig.step(0), Some(Tick::Stopped), "the close has unparked it");
        assert_eq!(rig.tick(0), Tick::Stopped, "again and again");
    }
}

#[test]
fn a_spurious_wake_up_changes_nothing() {
    for kind in Kind::ALL {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        rig.settle(&mut dice);
        for _ in 0..3 {
            for worker in 0..rig.workers() {
                assert_eq!(rig.tick(worker), Tick::Idle);
            }
        }
        let task = rig.handle.spawn(async { 1 });
        rig.settle(&mut dice);
        assert_eq!(result(task).unwrap(), 1);
    }
}

#[test]
fn the_scope_is_left_with_its_closure() {
    for kind in Kind::ALL {
        let mut rig = Rig::new(kind);
        let handle = rig.handle.clone();
        assert!(!handle.is_entered());
        rig.inside(0, || assert!(handle.is_entered()));
        assert!(!handle.is_entered());
        let mut other = Rig::new(Kind::Local);
        rig.inside(0, || {
            other.inside(0, || assert!(handle.is_entered(), "below the other's scope"));
        });
    }
}

#[test]
fn a_wake_during_a_poll_goes_behind_the_others() {
    for kind in [Kind::Local, Kind::Stealing(1)] {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let handle = rig.handle.clone();
        rig.inside(0, || {
            for name in ["a", "b", "c"] {
                let order = order.clone();
                drop(handle.spawn(async move {
                    order.lock().unwrap().push(name);
                    yield_now().await;
                    order.lock().unwrap().push(name);
                }));
            }
        });
        rig.settle(&mut dice);
        let order = order.lock().unwrap();
        let (first, second) = order.split_at(3);
        assert_eq!(first, second, "{kind:?}: every task once, then every task again");
    }
}

#[test]
fn a_wake_is_answered_once() {
    for kind in Kind::ALL {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let (polls, waker) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<Waker>)));
        let task = rig.handle.spawn({
            let (polls, waker) = (polls.clone(), waker.clone());
            poll_fn(move |context| {
                *waker.lock().unwrap() = Some(context.waker().clone());
                if polls.fetch_add(1, Relaxed) == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
        });
        rig.settle(&mut dice);
        let wake = || waker.lock().unwrap().clone().unwrap().wake();
        (0..5).for_each(|_| wake());
        rig.settle(&mut dice);
        assert_eq!(polls.load(Relaxed), 2, "five wakes before a poll are answered by one");
        rig.inside(0, || (0..5).for_each(|_| wake()));
        rig.settle(&mut dice);
        assert_eq!(polls.load(Relaxed), 3);
        wake();
        rig.settle(&mut dice);
        assert_eq!(polls.load(Relaxed), 3, "after completion a wake does nothing");
        assert!(task.is_finished());
    }
}

#[test]
fn a_waker_keeps_the_header_and_neither_future_nor_output() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            let (values, kept) = (Tally::default(), Arc::new(Mutex::new(None::<Waker>)));
            let task = rig.handle.spawn({
                let (future, kept) = (values.guard(), kept.clone());
                poll_fn(move |context| {
                    *kept.lock().unwrap() = Some(context.waker().clone());
                    let _ = &future;
                    Poll::Ready(future.another())
                })
            });
            rig.settle(&mut dice);
            drop(task);
            values.assert_even();
            rig.stop(&mut dice);
            drop(rig);
            // The scheduler's memory is still there for this waker.
            let waker = kept.lock().unwrap().take().unwrap();
            waker.wake_by_ref();
            waker.wake();
        });
    }
}

#[test]
fn a_task_that_completes_elsewhere_goes_home() {
    no_leaks(|| {
        let (mut rig, mut dice) = (Rig::new(Kind::Stealing(2)), Dice::new(0));
        rig.settle(&mut dice);
        let handle = rig.handle.clone();
        let before = live();
        rig.inside(0, || (0..9).for_each(|_| drop(handle.spawn(async {}))));
        assert_eq!(live() - before, 9, "one allocation for each task");
        // One of them is in the first worker's LIFO slot, out of the thief's reach.
        while rig.tick(1) == Tick::Ran {}
        let metrics = |worker| handle_metrics(&rig, worker);
        assert_eq!((metrics(0).spawns, metrics(0).completions), (9, 0));
        assert_eq!((metrics(1).spawns, metrics(1).completions), (0, 8));
        assert_eq!(live() - before, 9, "on the way home");
        let _ = rig.tick(0);
        assert_eq!(live() - before, 0, "their owner has unlinked and freed them");
        assert_eq!(handle_metrics(&rig, 0).completions, 1);
        rig.stop(&mut dice);
    });
}

#[test]
fn the_memory_of_finished_tasks_serves_the_next_ones_until_there_are_none() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            rig.settle(&mut dice);
            let (handle, before) = (rig.handle.clone(), live());
            let root = rig.handle.spawn(async move {
                handle.spawn(async {}).await.expect("joined");
                let before = made();
                for _ in 0..9 {
                    handle.spawn(async {}).await.expect("joined");
                }
                made() - before
            });
            rig.settle(&mut dice);
            let made = result(root).expect("joined");
            // Another worker may have run some, and they are still on their way home.
            assert!(made < 9, "{made} allocations for nine tasks in turn");
            rig.settle(&mut dice);
            assert_eq!(live(), before, "given back before the sleep");
            rig.stop(&mut dice);
        });
    }
}

#[test]
fn a_worker_that_lingers_keeps_the_memory_of_a_burst_in_its_sleep() {
    const BURST: isize = 9;
    let (handle, workers) =
        stealing::new(Toy::new(0, false), [Unparked::default()], stealing::Config::default());
    for mut worker in workers {
        worker.enter(|worker| {
            let burst = || {
                (0..BURST).for_each(|_| drop(handle.spawn(async {})));
                assert_eq!(worker.tick(), Tick::Idle);
            };
            worker.linger(true);
            let before = live();
            burst();
            assert_eq!(live() - before, BURST);
            assert!(worker.hoards());
            worker.needed_hoard();
            let made_before = made();
            burst();
            assert_eq!(made() - made_before, 0);
            assert!(worker.needed_hoard());
            drop(handle.spawn(async {}));
            assert_eq!(worker.tick(), Tick::Idle);
            assert!(!worker.needed_hoard(), "one place was enough");
            worker.linger(false);
            assert_eq!(worker.tick(), Tick::Idle);
            assert_eq!(live() - before, 0);
            assert!(!worker.hoards());
            handle.close();
            assert_eq!(worker.tick(), Tick::Stopped);
        });
    }
}

#[test]
fn the_memory_of_tasks_from_outside_serves_the_next_ones_from_outside() {
    // More than one batch.
    const BURST: usize = 150;
    no_leaks(|| {
        with_pocket(|| {
            let (handle, workers) = stealing::new(
                Toy::new(0, false),
                [Unparked::default()],
                stealing::Config::default(),
            );
            for mut worker in workers {
                let before = live();
                let mut burst = |lingers| {
                    let before = made();
                    (0..BURST).for_each(|_| drop(handle.spawn(async {})));
                    let made = made() - before;
                    worker.enter(|worker| {
                        worker.linger(lingers);
                        while worker.tick() != Tick::Idle {}
                        (made, worker.hoards(), worker.needed_hoard())
                    })
                };
                assert_eq!(burst(false), (BURST, false, false));
                assert_eq!(live() - before, 0, "given back before the sleep");
                assert_eq!(burst(true), (BURST, true, false), "kept, and not used yet");
                let (made, hoards, needed) = burst(true);
                assert!(made < BURST && hoards && needed, "{made}, {hoards}, {needed}");
                assert!(burst(false).0 < BURST);
                assert_eq!(live() - before, 0);
                handle.close();
                assert_eq!(worker.enter(|worker| worker.tick()), Tick::Stopped);
            }
        });
    });
}

/// There is more to give back than one step takes.
#[test]
fn who_is_due_does_not_wait_until_memory_is_given_back() {
    let (handle, worker) =
        local::new(Toy::new(0, false), Unparked::default(), local::Config::default());
    worker.enter(|worker| {
        (0..39).for_each(|_| drop(handle.spawn(async {})));
        let before = live();
        assert_eq!(worker.tick_beside(|| true), Tick::Ran);
        let given_back = before - live();
        assert!((1..39).contains(&given_back), "{given_back} before it returned");
        assert_eq!(worker.tick(), Tick::Idle);
        assert_eq!(before - live(), 39);
        handle.close();
        assert_eq!(worker.tick(), Tick::Stopped);
    });
}

/// Also after the queue was empty in the middle of a tick, where a look would have been due.
#[test]
fn the_looks_at_the_inbox_go_on_after_the_queue_was_empty() {
    const INTERVAL: u32 = 5;
    /// Spawns as somebody who is no worker.
    fn bring(handle: &local::Handle<Toy>, future: impl Future<Output = ()> + Send + 'static) {
        let handle = handle.clone();
        thread::spawn(move || drop(handle.spawn(future))).join().unwrap();
    }

    let config = local::Config { inbox_interval: INTERVAL, ..local::Config::default() };
    let (handle, worker) = local::new(Toy::new(0, false), Unparked::default(), config);
    let seen = Arc::new(Mutex::new(Vec::new()));
    worker.enter(|worker| {
        (2..INTERVAL).for_each(|_| drop(handle.spawn(async {})));
        let (outside, noted) = (handle.clone(), seen.clone());
        drop(handle.spawn(async move {
            let late = outside.clone();
            bring(&outside, async move { bring(&late, async {}) });
            for _ in 0..2 * INTERVAL {
                let (inbox, noted) = (outside.clone(), noted.clone());
                bring(&outside, async move { noted.lock().unwrap().push(inbox.injected()) });
            }
        }));
        assert_eq!(worker.tick(), Tick::Idle);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2 * INTERVAL as usize);
        assert!(seen[..INTERVAL as usize].contains(&0), "waiting in the inbox: {seen:?}");
        handle.close();
        assert_eq!(worker.tick(), Tick::Stopped);
    });
}

/// A future that polls others with wakers of its own has to be told which of them yields.
#[test]
fn a_yield_wakes_the_waker_that_it_is_polled_with() {
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    for kind in Kind::ALL {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let polls = Arc::new(AtomicUsize::new(0));
        let (wakes, seen) = (Arc::new(Count(AtomicUsize::new(0))), polls.clone());
        let task = rig.handle.spawn({
            let waker = Waker::from(wakes.clone());
            let mut yields = Box::pin(yield_now());
            poll_fn(move |_| {
                seen.fetch_add(1, Relaxed);
                assert!(yields.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                Poll::<()>::Pending
            })
        });
        rig.settle(&mut dice);
        assert_eq!((polls.load(Relaxed), wakes.0.load(Relaxed)), (1, 1));
        task.abort();
        rig.stop(&mut dice);
        let outside = yield_now();
        let waker = Waker::from(wakes.clone());
        assert!(pin!(outside).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(wakes.0.load(Relaxed), 2, "outside of tasks");
    }
}

/// A poll that is told how many there were before it.
type Step = Box<dyn FnMut(&mut Context<'_>, usize) -> Poll<()> + Send>;

/// What a poll has asked for, and then did not need, is no wake of the next task.
#[test]
fn a_yield_is_one_more_poll_of_its_own_task() {
    for kind in Kind::ALL {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let [completes, panics, waits, twice] = [(); 4].map(|()| Arc::new(AtomicUsize::new(0)));
        let polled = |polls: &Arc<AtomicUsize>, mut poll: Step| {
            let polls = polls.clone();
            rig.handle.spawn(poll_fn(move |context| poll(context, polls.fetch_add(1, Relaxed))))
        };
        let _joins = [
            polled(
                &completes,
                Box::new(|context, _| {
                    Current::<Toy>::yield_now(context.waker());
                    Poll::Ready(())
                }),
            ),
            polled(
                &panics,
                Box::new(|context, _| {
                    Current::<Toy>::yield_now(context.waker());
                    planned_panic()
                }),
            ),
            polled(&waits, Box::new(|_, _| Poll::Pending)),
            polled(
                &twice,
                Box::new(|context, before| {
                    Current::<Toy>::yield_now(context.waker());
                    Current::<Toy>::yield_now(context.waker());
                    if before == 0 { Poll::Pending } else { Poll::Ready(()) }
                }),
            ),
        ];
        rig.settle(&mut dice);
        let polls = [completes, panics, waits, twice].map(|polls| polls.load(Relaxed));
        assert_eq!(polls, [1, 1, 1, 2]);
        rig.stop(&mut dice);
    }
}

fn handle_metrics(rig: &Rig, worker: usize) -> jenny_core::scheduler::WorkerMetrics {
    rig.stealing().metrics(worker).expect("there is such a worker")
}

#[test]
fn abort_before_during_and_after() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            let futures = Tally::default();
            let spawn = |rig: &Rig| {
                let guard = futures.guard();
                rig.handle.spawn(async move {
                    pending::<()>().await;
                    drop(guard);
                })
            };
            let queued = spawn(&rig);
            queued.abort();
            queued.abort();
            assert_eq!(futures.dropped(), 0, "never on the caller's stack");
            rig.settle(&mut dice);
            assert!(result(queued).unwrap_err().is_cancelled());

            let idle = spawn(&rig);
            rig.settle(&mut dice);
            let abort = idle.abort_handle();
            abort.abort();
            abort.clone().abort();
            assert_eq!(futures.dropped(), 1);
            rig.settle(&mut dice);
            assert_eq!(futures.dropped(), 2);
            assert!(abort.is_finished());
            assert_eq!(result(idle).unwrap_err().id(), abort.id());

            let done = rig.handle.spawn(async { 5 });
            rig.settle(&mut dice);
            done.abort();
            assert_eq!(result(done).unwrap(), 5, "too late");
            rig.stop(&mut dice);
            abort.abort();
        });
    }
}
