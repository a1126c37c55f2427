//! The stealing scheduler with two workers, against threads that wake, spawn and close.

use std::sync::{
    Arc as StdArc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use jenny_core::{
    platform::Unpark,
    scheduler::{
        Tick,
        stealing::{self, Config, Handle, Worker},
    },
};
use loom::thread;

use crate::{
    harness::{Bounds, check},
    platform::{Modelled, Parker, Unparker},
    task::{Waits, ready, result},
};

/// A worker and where it sleeps.
struct Thread {
    worker: Worker<Modelled>,
    parker: Parker,
}

/// `home` is the worker whose inbox strangers use.
fn new(home: usize) -> (Handle<Modelled>, [Thread; 2]) {
    let parkers = [Parker::new(), Parker::new()];
    let unparkers = parkers.each_ref().map(Parker::unparker);
    let (handle, workers) = stealing::new(Modelled::new(home), unparkers, Config::default());
    let mut workers = workers.into_iter();
    let threads = parkers.map(|parker| Thread { worker: workers.next().unwrap(), parker });
    (handle, threads)
}

impl Thread {
    /// Runs the worker until the condition holds, or it has stopped.
    fn run_until(&mut self, is_over: impl Fn() -> bool) {
        self.worker.enter(|entered| {
            loop {
                let tick = entered.tick();
                if is_over() || tick == Tick::Stopped {
                    return;
                }
                if tick == Tick::Idle {
                    self.parker.park();
                }
            }
        });
    }

    /// Runs the worker until it has stopped, and drops it.
    fn run(mut self) {
        self.run_until(|| false);
    }
}

/// A spawn from outside is run, cancelled by a worker, or refused and cancelled by the spawner.
#[test]
fn spawn_against_shutdown() {
    check("workers: spawn against shutdown", Bounds::preemptions(2), || {
        let (handle, [first, second]) = new(1);
        let spawner = {
            let handle = handle.clone();
            thread::spawn(move || handle.spawn(ready()))
        };
        let second = thread::spawn(move || second.run());
        handle.close();
        drop(handle);
        first.run();
        second.join().unwrap();
        let join = spawner.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// A wake from outside finds the task's owner gone to sleep, stopping or stopped; the scheduler's
/// memory outlives it.
#[test]
fn wake_during_shutdown() {
    check("workers: wake during shutdown", Bounds::preemptions(2), || {
        let (handle, [mut first, second]) = new(1);
        let (future, [announcement], place) = Waits::new();
        let join = first.worker.enter(|entered| {
            let join = handle.spawn(future);
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        let waker = place.take();
        handle.close();
        drop(handle);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        let second = thread::spawn(move || second.run());
        first.run();
        second.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        other.join().unwrap();
    });
}

/// One worker steals what the other one cancels.
#[test]
fn steal_against_shutdown() {
    check("workers: steal against shutdown", Bounds::preemptions(2), || {
        let (handle, [mut first, second]) = new(0);
        // One is in the LIFO slot, the others are in the ring.
        let joins = first.worker.enter(|_| [(); 3].map(|()| handle.spawn(ready())));
        let second = thread::spawn(move || second.run());
        handle.close();
        drop(handle);
        first.run();
        second.join().unwrap();
        for join in joins {
            assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        }
    });
}

/// Both workers are on their way to sleep when a task is woken, and stay there until it is done.
#[test]
fn no_wake_is_lost() {
    check("workers: wake against sleep", Bounds::preemptions(1), || {
        let (handle, [mut first, mut second]) = new(1);
        let (future, [announcement], place) = Waits::new();
        // No part of the model, so it is std's.
        let is_over = StdArc::new(AtomicBool::new(false));
        let unparkers = [&first, &second].map(|thread| thread.parker.unparker());
        let over = StdArc::clone(&is_over);
        let join = first.worker.enter(|entered| {
            let join = handle.spawn(async move {
                future.await;
                over.store(true, SeqCst);
                unparkers.iter().for_each(Unparker::unpark);
            });
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        let waker = place.take();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        let over = StdArc::clone(&is_over);
        let running = thread::spawn(move || {
            second.run_until(|| over.load(SeqCst));
            second
        });
        first.run_until(|| is_over.load(SeqCst));
        let second = running.join().unwrap();
        other.join().unwrap();
        assert!(result(join).is_ok());
        handle.close();
        second.run();
        first.run();
    });
}
