//! A task takes its worker from its thread in the middle of a poll, and the worker goes on elsewhere:
//! against a shutdown, against a wake from outside, and against its coming back.

use std::sync::{
    Arc as StdArc, Mutex as StdMutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use jenny_core::scheduler::{
    Tick,
    stealing::{self, Config, Entered, Handle, Worker},
};
use loom::{sync::Mutex, thread};

use crate::{
    harness::{Bounds, check},
    platform::{Modelled, Parker},
    task::{Waits, result},
};

fn new() -> (Handle<Modelled>, Worker<Modelled>, Parker) {
    let parker = Parker::new();
    let (handle, workers) = stealing::new(Modelled::new(0), [parker.unparker()], Config::default());
    (handle, workers.into_iter().next().unwrap(), parker)
}

fn tick_until(worker: &Entered<'_, Modelled>, parker: &Parker, is_over: impl Fn() -> bool) {
    loop {
        match worker.tick() {
            Tick::Stopped | Tick::HandedOff => return,
            _ if is_over() => return,
            Tick::Idle => parker.park(),
            Tick::Ran => {}
        }
    }
}

/// Runs a worker until it has stopped, or was handed off.
fn run(mut worker: Worker<Modelled>, parker: &Parker) {
    worker.enter(|worker| tick_until(worker, parker, || false));
}

/// A task that hands its worker to a new thread and completes, maybe after that thread has ended.
fn hands_off(
    handle: &Handle<Modelled>,
    parker: &Parker,
) -> (impl Future<Output = ()> + Send + use<>, StdArc<StdMutex<Option<thread::JoinHandle<()>>>>) {
    let elsewhere = StdArc::<StdMutex<_>>::default();
    let (handle, parker) = (handle.clone(), parker.clone());
    let started = StdArc::clone(&elsewhere);
    let future = async move {
        let thread = handle.detached(|worker| {
            let worker = worker.expect("nobody else has the worker");
            (None, thread::spawn(move || run(worker, &parker)))
        });
        *started.lock().unwrap() = Some(thread);
    };
    (future, elsewhere)
}

/// The worker stops elsewhere while the poll that it was taken from is still going on, or not.
#[test]
fn against_shutdown() {
    check("handoff: against shutdown", Bounds::preemptions(3), || {
        let (handle, mut worker, parker) = new();
        let (future, elsewhere) = hands_off(&handle, &parker);
        let closer = handle.clone();
        let closer = thread::spawn(move || closer.close());
        let join = worker.enter(|entered| {
            let join = handle.spawn(future);
            tick_until(entered, &parker, || false);
            join
        });
        drop((handle, worker));
        closer.join().unwrap();
        let elsewhere = elsewhere.lock().unwrap().take();
        let ran = elsewhere.is_some();
        if let Some(thread) = elsewhere {
            thread.join().unwrap();
        }
        // A task that was cancelled while it ran may have completed all the same.
        assert!(ran || result(join).is_err_and(|error| error.is_cancelled()));
    });
}

/// A task that waits on the worker is woken from outside while the worker changes its thread.
#[test]
fn against_a_wake() {
    check("handoff: against a wake", Bounds::preemptions(2), || {
        let (handle, mut worker, parker) = new();
        let (waits, [announcement], place) = Waits::new();
        let closer = handle.clone();
        let waiting = worker.enter(|entered| {
            // Its end closes the scheduler, which ends all threads: a lost wake is a deadlock.
            let waiting = handle.spawn(async move {
                waits.await;
                closer.close();
            });
            assert_eq!(entered.tick(), Tick::Idle);
            waiting
        });
        let waker = place.take();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        let (future, elsewhere) = hands_off(&handle, &parker);
        worker.enter(|entered| {
            drop(handle.spawn(future));
            tick_until(entered, &parker, || false);
        });
        drop((handle, worker));
        other.join().unwrap();
        let elsewhere = elsewhere.lock().unwrap().take();
        if let Some(thread) = elsewhere {
            thread.join().unwrap();
        }
        assert!(result(waiting).is_ok());
    });
}

/// Two may take the seat: whoever comes first has it, and the other one is a stranger.
#[test]
fn against_its_coming_back() {
    check("handoff: against its coming back", Bounds::preemptions(2), || {
        let (handle, mut worker, parker) = new();
        let came_back = StdArc::new(AtomicBool::new(false));
        let elsewhere: StdArc<StdMutex<Option<thread::JoinHandle<()>>>> = StdArc::default();
        let future = {
            let (handle, parker) = (handle.clone(), parker.clone());
            let (came_back, elsewhere) = (StdArc::clone(&came_back), StdArc::clone(&elsewhere));
            async move {
                handle.detached(|worker| {
                    let lent = loom::sync::Arc::new(Mutex::new(worker));
                    let taker = loom::sync::Arc::clone(&lent);
                    let thread = thread::spawn(move || {
                        let worker = taker.lock().unwrap().take();
                        if let Some(worker) = worker {
                            run(worker, &parker);
                        }
                    });
                    *elsewhere.lock().unwrap() = Some(thread);
                    let worker = lent.lock().unwrap().take();
                    came_back.store(worker.is_some(), SeqCst);
                    (worker, ())
                });
                assert_eq!(handle.is_entered(), came_back.load(SeqCst));
                handle.close();
            }
        };
        worker.enter(|entered| {
            drop(handle.spawn(future));
            tick_until(entered, &parker, || false);
        });
        drop((handle, worker));
        let elsewhere = elsewhere.lock().unwrap().take();
        elsewhere.expect("the task has run").join().unwrap();
    });
}
