//! The local scheduler against threads that wake, spawn and close.

use std::{
    future::{Future, poll_fn},
    sync::{Arc as StdArc, Mutex as StdMutex},
    task::Waker,
};

use jenny_core::scheduler::{
    Current, Tick,
    local::{self, Config, Handle, Worker},
};
use loom::thread;

use crate::{
    harness::{Bounds, check},
    platform::{Modelled, Parker},
    task::{Waits, ready, result},
};

pub(crate) fn new() -> (Handle<Modelled>, Worker<Modelled>, Parker) {
    let parker = Parker::new();
    let (handle, worker) = local::new(Modelled::new(0), parker.unparker(), Config::default());
    (handle, worker, parker)
}

/// Runs the worker until the condition holds, or it has stopped.
pub(crate) fn run(worker: &mut Worker<Modelled>, parker: &Parker, until: impl Fn() -> bool) {
    worker.enter(|entered| {
        loop {
            let tick = entered.tick();
            if until() || tick == Tick::Stopped {
                return;
            }
            if tick == Tick::Idle {
                parker.park();
            }
        }
    });
}

/// Spawns a task and polls it once.
macro_rules! spawn_asleep {
    ($handle:expr, $worker:expr) => {{
        let (future, announcements, place) = Waits::new();
        let join = $worker.enter(|entered| {
            let join = $handle.spawn(future);
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        (announcements, place.take(), join)
    }};
}
pub(crate) use spawn_asleep;

#[test]
fn no_wake_is_lost() {
    check("local: two wakes against sleep", Bounds::preemptions(2), || {
        let (handle, mut worker, parker) = new();
        let (announcements, waker, join): ([_; 2], _, _) = spawn_asleep!(handle, worker);
        let others = announcements.map(|announcement| {
            let waker = waker.clone();
            thread::spawn(move || {
                announcement.make();
                waker.wake();
            })
        });
        drop(waker);
        run(&mut worker, &parker, || join.is_finished());
        for other in others {
            other.join().unwrap();
        }
        assert!(result(join).is_ok());
        handle.close();
        run(&mut worker, &parker, || false);
    });
}

/// The scheduler, its inbox and its unpark handle outlive every foreign wake.
#[test]
fn wake_during_shutdown() {
    check("local: wake during shutdown", Bounds::preemptions(3), || {
        let (handle, mut worker, parker) = new();
        let ([announcement], waker, join) = spawn_asleep!(handle, worker);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        handle.close();
        drop(handle);
        run(&mut worker, &parker, || false);
        drop(worker);
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        other.join().unwrap();
    });
}

/// The close comes from a third thread, and the handle goes with it.
#[test]
fn wake_against_close() {
    check("local: wake against close from elsewhere", Bounds::preemptions(2), || {
        let (handle, mut worker, parker) = new();
        let ([announcement], waker, join) = spawn_asleep!(handle, worker);
        let others = [
            thread::spawn(move || {
                announcement.make();
                waker.wake();
            }),
            thread::spawn(move || handle.close()),
        ];
        run(&mut worker, &parker, || false);
        drop(worker);
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        for other in others {
            other.join().unwrap();
        }
    });
}

/// A spawn from outside is run, cancelled by the worker, or refused and cancelled by the spawner.
#[test]
fn spawn_during_shutdown() {
    check("local: spawn during shutdown", Bounds::preemptions(3), || {
        let (handle, mut worker, parker) = new();
        let spawner = {
            let handle = handle.clone();
            thread::spawn(move || handle.spawn(ready()))
        };
        handle.close();
        drop(handle);
        run(&mut worker, &parker, || false);
        drop(worker);
        let join = spawner.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// A poll that yields keeps the task's `Runnable`, while others wake the task and abort it.
#[test]
fn yield_against_wake_and_abort() {
    check("local: yield against wake and abort", Bounds::preemptions(2), || {
        let (handle, mut worker, parker) = new();
        let (future, [announcement], place) = Waits::new();
        let mut future = Box::pin(future);
        let mut polls = 0;
        let join = handle.spawn(poll_fn(move |context| {
            polls += 1;
            let polled = future.as_mut().poll(context);
            if polls <= 2 && polled.is_pending() {
                Current::<Modelled>::yield_now(context.waker());
            }
            polled
        }));
        worker.enter(|worker| assert_eq!(worker.tick(), Tick::Ran));
        let (waker, abort) = (place.take(), join.abort_handle());
        let others = [
            thread::spawn(move || {
                announcement.make();
                waker.wake();
            }),
            thread::spawn(move || abort.abort()),
        ];
        run(&mut worker, &parker, || join.is_finished());
        for other in others {
            other.join().unwrap();
        }
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        handle.close();
        run(&mut worker, &parker, || false);
    });
}

/// A task clones its waker in each poll and gets the one before back unused, as with a timer that is
/// cancelled. What it has to spare is given up when it ends, whoever holds the others then.
#[test]
fn spare_references_against_wakers_elsewhere() {
    check("local: spare references against wakers elsewhere", Bounds::preemptions(2), || {
        let (handle, mut worker, parker) = new();
        let (future, [announcement], place) = Waits::new();
        let mut future = Box::pin(future);
        // No part of the model, so it is std's.
        let second = StdArc::new(StdMutex::new(None::<Waker>));
        let mut kept = None::<Waker>;
        let join = handle.spawn({
            let second = StdArc::clone(&second);
            poll_fn(move |context| {
                let clone = || Current::<Modelled>::clone_waker(context.waker());
                if let Some(unused) = kept.replace(clone()) {
                    Current::<Modelled>::drop_waker(unused);
                } else {
                    *second.lock().unwrap() = Some(clone());
                }
                future.as_mut().poll(context)
            })
        });
        worker.enter(|worker| assert_eq!(worker.tick(), Tick::Idle));
        let (first, second) = (place.take(), second.lock().unwrap().take());
        let others = [
            thread::spawn(move || {
                announcement.make();
                first.wake();
            }),
            thread::spawn(move || drop(second)),
        ];
        run(&mut worker, &parker, || join.is_finished());
        drop(join);
        handle.close();
        run(&mut worker, &parker, || false);
        for other in others {
            other.join().unwrap();
        }
    });
}
