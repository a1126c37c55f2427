//! The dormancy of `park/dormancy.rs`: whenever a worker is not parked, the monitor is awake, or has
//! been called.

use std::sync::Arc as StdArc;

use jenny::loom_internals::park::Dormancy;
use jenny_core::scheduler::idle::{Idle, Sleep};
use loom::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use crate::harness::{Bounds, check, check_fails};

/// A runtime whose workers are parked, and its monitor, which is awake.
struct Runtime {
    dormancy: Dormancy,
    /// The alarm was set, and rings at some time.
    called: AtomicBool,
}

impl Runtime {
    fn new(workers: usize) -> StdArc<Self> {
        let dormancy = Dormancy::new(workers);
        assert!(!dormancy.awakes(0), "nobody calls a monitor that has not rested");
        (0..workers).for_each(|worker| dormancy.parks(worker));
        StdArc::new(Self { dormancy, called: AtomicBool::new(false) })
    }

    fn awake(self: &StdArc<Self>, worker: usize) -> thread::JoinHandle<()> {
        let runtime = StdArc::clone(self);
        thread::spawn(move || runtime.awakes(worker))
    }

    fn awakes(&self, worker: usize) {
        if self.dormancy.awakes(worker) {
            // An exchange: loom lets a store stand before an exchange that has not read it.
            self.called.swap(true, SeqCst);
        }
    }
}

#[test]
fn the_monitor_rests_while_workers_awake() {
    check("dormancy: rest against two that awake", Bounds::ALL, || {
        let runtime = Runtime::new(2);
        let workers = [0, 1].map(|worker| runtime.awake(worker));
        let rests = runtime.dormancy.begin();
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(!rests || runtime.called.load(SeqCst), "nobody looks after the workers");
    });
}

#[test]
fn it_rests_and_tries_again() {
    check("dormancy: two rests against one that awakes", Bounds::ALL, || {
        let runtime = Runtime::new(2);
        let worker = runtime.awake(1);
        // A rest that somebody's call ends at once.
        let first = runtime.dormancy.begin();
        if first && runtime.called.swap(false, SeqCst) {
            assert!(!runtime.dormancy.begin(), "the worker that called is awake");
        }
        worker.join().unwrap();
        let second = runtime.dormancy.begin();
        assert!(!second || runtime.called.load(SeqCst), "nobody looks after the worker");
    });
}

#[test]
fn a_worker_relies_on_the_call_of_another() {
    check("dormancy: an answered call against two that awake", Bounds::ALL, || {
        let runtime = Runtime::new(2);
        let workers = [0, 1].map(|worker| runtime.awake(worker));
        let mut rests = runtime.dormancy.begin();
        if rests && runtime.called.swap(false, SeqCst) {
            rests = runtime.dormancy.begin();
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(!rests || runtime.called.load(SeqCst), "nobody looks after the workers");
    });
}

#[test]
fn a_worker_awakes_and_parks_again() {
    check("dormancy: rest against one that awakes and parks", Bounds::ALL, || {
        let runtime = Runtime::new(1);
        let worker = thread::spawn({
            let runtime = StdArc::clone(&runtime);
            move || {
                runtime.awakes(0);
                runtime.dormancy.parks(0);
                runtime.awakes(0);
            }
        });
        let rests = runtime.dormancy.begin();
        worker.join().unwrap();
        assert!(!rests || runtime.called.load(SeqCst), "nobody looks after the worker");
    });
}

/// Wrong on purpose: the monitor asks the scheduler's set of sleepers. The worker finds work when it
/// looks a last time, and has not parked.
#[test]
fn the_set_of_sleepers_fails() {
    check_fails("dormancy: the set of sleepers", Bounds::ALL, || {
        let (runtime, idle) = (Runtime::new(1), StdArc::new(Idle::new(1)));
        runtime.awakes(0);
        runtime.called.store(false, SeqCst);
        let worker = thread::spawn({
            let idle = StdArc::clone(&idle);
            move || {
                idle.start_sleep(0, false, Sleep::Idle);
                let _ = idle.end_sleep(0, Sleep::Idle);
            }
        });
        let rests = idle.sleepers() == 1;
        worker.join().unwrap();
        assert!(!rests || runtime.called.load(SeqCst), "nobody looks after the worker");
    });
}
