//! A task takes its worker away from the thread that polls it, and gives it back, or does not.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use jenny_core::{
    scheduler::{
        Tick,
        stealing::{self, Worker},
    },
    task::{Observer, TaskMeta},
};

use crate::{
    alloc::no_leaks,
    probe::{Tally, result, yield_now},
    rig::{Dice, Kind, Rig},
    toy::{Toy, Unparked},
};

type Elsewhere = Arc<Mutex<Option<Worker<Toy>>>>;

/// Ticks a worker that is held by hand until it has nothing to do.
fn run(worker: &mut Worker<Toy>) -> Tick {
    worker.enter(|worker| {
        loop {
            match worker.tick() {
                Tick::Ran => {}
                other => return other,
            }
        }
    })
}

/// Leaves the worker in `elsewhere`; false if there was none to leave.
fn leave(handle: &stealing::Handle<Toy>, elsewhere: &Elsewhere) -> bool {
    handle.detached(|worker| {
        let left = worker.is_some();
        if left {
            *elsewhere.lock().unwrap() = worker;
        }
        (None, left)
    })
}

#[test]
fn what_is_queued_runs_elsewhere_and_the_worker_comes_back() {
    for workers in [1, 2] {
        no_leaks(|| {
            let mut rig = Rig::new(Kind::Stealing(workers));
            let handle = rig.stealing().clone();
            let futures = Tally::default();
            let (blocking, queued) = rig.inside(0, || {
                let queued: Vec<_> = (0..5)
                    .map(|_| {
                        let guard = futures.guard();
                        handle.spawn(async move {
                            yield_now().await;
                            drop(guard);
                        })
                    })
                    .collect();
                let handle_inside = handle.clone();
                let blocking = handle.spawn(async move {
                    let nested = handle_inside.detached(|worker| {
                        let mut worker = worker.expect("this is a poll");
                        assert!(!handle_inside.is_entered(), "the thread is a stranger now");
                        let tick = run(&mut worker);
                        assert_eq!(tick, Tick::Idle);
                        let nested = leave(&handle_inside, &Elsewhere::default());
                        (Some(worker), nested)
                    });
                    assert!(!nested, "there was no second worker to take");
                    assert!(handle_inside.is_entered(), "the worker is back");
                    yield_now().await;
                });
                (blocking, queued)
            });
            // One tick runs the task that blocks first: it is in the LIFO slot.
            let _ = rig.tick(0);
            futures.assert_even();
            rig.settle(&mut Dice::new(1));
            assert!(result(blocking).is_ok());
            for task in queued {
                assert!(result(task).is_ok());
            }
            assert_eq!(handle.completed_outside(), 0);
        });
    }
}

/// A driver that is turned between two ticks calls wakers, which may block.
#[test]
fn nothing_is_taken_after_a_poll() {
    let (handle, mut workers) =
        stealing::new(Toy::new(1, false), [Unparked::default()], stealing::Config::default());
    let mut worker = workers.pop().unwrap();
    let task = worker.enter(|entered| {
        let task = handle.spawn(yield_now());
        assert_eq!(entered.tick(), Tick::Idle);
        assert!(!leave(&handle, &Elsewhere::default()), "no task is being polled");
        task
    });
    assert!(result(task).is_ok());
    handle.close();
    assert_eq!(run(&mut worker), Tick::Stopped);
}

#[test]
fn a_poll_outlives_its_threads_being_a_worker() {
    for again in [false, true] {
        no_leaks(|| {
            let mut rig = Rig::new(Kind::Stealing(2));
            let handle = rig.stealing().clone();
            let elsewhere = Elsewhere::default();
            let task = rig.inside(0, || {
                let (handle, elsewhere) = (handle.clone(), elsewhere.clone());
                let mut first = true;
                handle.clone().spawn(poll_fn(move |context| {
                    if !std::mem::take(&mut first) {
                        return Poll::Ready(());
                    }
                    assert!(leave(&handle, &elsewhere));
                    assert!(!leave(&handle, &elsewhere), "it is gone already");
                    // From a stranger, so it goes to an inbox; its handle is dropped here.
                    drop(handle.spawn(async {}));
                    if again {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                }))
            });
            assert_eq!(rig.tick(0), Tick::HandedOff);
            assert_eq!(rig.tick(0), Tick::HandedOff, "for good");
            let mut worker = elsewhere.lock().unwrap().take().unwrap();
            assert_eq!(run(&mut worker), Tick::Idle);
            assert!(result(task).is_ok());
            assert_eq!(handle.completed_outside(), usize::from(!again));

            handle.close();
            assert_eq!(run(&mut worker), Tick::Stopped);
        });
    }
}

/// The worker stops, and is freed, while the poll that it was taken from goes on.
#[test]
fn a_shutdown_waits_for_the_poll_and_not_for_the_thread() {
    no_leaks(|| {
        let mut rig = Rig::new(Kind::Stealing(1));
        let handle = rig.stealing().clone();
        let futures = Tally::default();
        let (elsewhere, left) = (Elsewhere::default(), Arc::new(Mutex::new(None::<Waker>)));
        let waiting = rig.inside(0, || {
            let (guard, left) = (futures.guard(), left.clone());
            handle.spawn(poll_fn(move |context| {
                let _held = &guard;
                *left.lock().unwrap() = Some(context.waker().clone());
                Poll::<()>::Pending
            }))
        });
        rig.settle(&mut Dice::new(3));
        let task = rig.inside(0, || {
            let (inside, elsewhere) = (handle.clone(), elsewhere.clone());
            handle.spawn(async move {
                assert!(leave(&inside, &elsewhere));
                inside.close();
                let mut worker = elsewhere.lock().unwrap().take().unwrap();
                assert_eq!(run(&mut worker), Tick::Idle, "this very task is still being polled");
                left.lock().unwrap().take().unwrap().wake();
                *elsewhere.lock().unwrap() = Some(worker);
            })
        });
        assert_eq!(rig.tick(0), Tick::HandedOff);
        let mut worker = elsewhere.lock().unwrap().take().unwrap();
        assert_eq!(run(&mut worker), Tick::Stopped);
        drop(worker);
        assert!(result(waiting).is_err_and(|error| error.is_cancelled()));
        drop(task);
        futures.assert_even();
    });
}

/// A drop is no poll: the shutdown that runs it goes on with the core.
#[test]
fn a_drop_cannot_take_the_worker() {
    no_leaks(|| {
        let mut rig = Rig::new(Kind::Stealing(1));
        let handle = rig.stealing().clone();
        let taken = Arc::new(Mutex::new(None));
        rig.inside(0, || {
            let (inside, taken) = (handle.clone(), taken.clone());
            let guard = crate::probe::OnDrop::new(move || {
                *taken.lock().unwrap() = Some(leave(&inside, &Elsewhere::default()));
            });
            drop(handle.spawn(async move {
                std::future::pending::<()>().await;
                drop(guard);
            }));
        });
        rig.settle(&mut Dice::new(2));
        rig.stop(&mut Dice::new(2));
        assert_eq!(*taken.lock().unwrap(), Some(false));
    });
}

/// Takes the worker away when it is told of a task that is spawned inside a poll.
struct Thief {
    handle: Arc<Mutex<Option<stealing::Handle<Toy>>>>,
    elsewhere: Elsewhere,
}

impl Observer for Thief {
    fn spawned(&self, _: &TaskMeta<'_>) {
        let handle = self.handle.lock().unwrap().clone();
        if let Some(handle) = handle {
            leave(&handle, &self.elsewhere);
        }
    }
}

#[test]
fn an_observer_takes_the_worker_in_the_middle_of_a_spawn() {
    no_leaks(|| {
        let (told, elsewhere) = (Arc::new(Mutex::new(None)), Elsewhere::default());
        let thief = Thief { handle: Arc::clone(&told), elsewhere: Arc::clone(&elsewhere) };
        let mut rig = Rig::with(Kind::Stealing(1), Toy::new(1, true), |config| {
            config.observer = Some(Box::new(thief));
        });
        let handle = rig.stealing().clone();
        let task = rig.inside(0, || {
            let inside = handle.clone();
            handle.spawn(poll_fn(move |_| Poll::Ready(inside.spawn(async { 42 }))))
        });
        *told.lock().unwrap() = Some(handle.clone());
        assert_eq!(rig.tick(0), Tick::HandedOff);
        told.lock().unwrap().take();

        assert_eq!(handle.injected(), 1, "the spawner was a stranger by then");
        let mut worker = elsewhere.lock().unwrap().take().unwrap();
        assert_eq!(run(&mut worker), Tick::Idle);
        let child = result(task).unwrap();
        assert_eq!(result(child).unwrap(), 42);
        handle.close();
        assert_eq!(run(&mut worker), Tick::Stopped);
    });
}

#[test]
fn a_stranger_has_nothing_to_hand_off() {
    let rig = Rig::new(Kind::Stealing(2));
    assert!(!leave(rig.stealing(), &Elsewhere::default()));
}
