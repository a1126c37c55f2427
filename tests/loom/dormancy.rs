//! The dormancy of `park/dormancy.rs`, with the set of sleepers of the shipped `Idle`: whenever a
//! worker is awake, the monitor is awake, or has been called.

use std::sync::Arc as StdArc;

use jenny::loom_internals::park::Dormancy;
use jenny_core::scheduler::idle::Idle;
use loom::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use crate::harness::{Bounds, check, check_fails};

/// A runtime of two workers that both sleep, and its monitor, which is awake.
struct Runtime {
    idle: Idle,
    dormancy: Dormancy,
    called: AtomicBool,
}

impl Runtime {
    fn new() -> StdArc<Self> {
        let (idle, dormancy) = (Idle::new(2), Dormancy::new());
        assert!(dormancy.ends(), "it starts dormant");
        idle.start_sleep(0, false);
        idle.start_sleep(1, false);
        StdArc::new(Self { idle, dormancy, called: AtomicBool::new(false) })
    }

    fn awake(self: &StdArc<Self>, worker: usize) -> thread::JoinHandle<()> {
        let runtime = StdArc::clone(self);
        thread::spawn(move || {
            let _ = runtime.idle.end_sleep(worker);
            if runtime.dormancy.ends() {
                runtime.called.store(true, SeqCst);
            }
        })
    }

    fn everybody_sleeps(&self) -> bool {
        self.idle.sleepers() == 2
    }
}

#[test]
fn the_monitor_rests_while_workers_awake() {
    check("dormancy: rest against two that awake", Bounds::ALL, || {
        let runtime = Runtime::new();
        let workers = [0, 1].map(|worker| runtime.awake(worker));
        let rests = runtime.dormancy.begin(|| runtime.everybody_sleeps());
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(!rests || runtime.called.load(SeqCst), "nobody looks after the workers");
    });
}

#[test]
fn it_rests_and_tries_again() {
    check("dormancy: two rests against one that awakes", Bounds::ALL, || {
        let runtime = Runtime::new();
        let worker = runtime.awake(1);
        // A rest that somebody's call ends at once.
        let first = runtime.dormancy.begin(|| runtime.everybody_sleeps());
        if first && runtime.called.swap(false, SeqCst) {
            let again = runtime.dormancy.begin(|| runtime.everybody_sleeps());
            assert!(!again, "the worker that called is awake");
        }
        worker.join().unwrap();
        assert!(!first || runtime.called.load(SeqCst) || !runtime.everybody_sleeps());
    });
}

/// Wrong on purpose: it rests without a second look.
#[test]
fn a_rest_without_a_second_look_fails() {
    check_fails("dormancy: no second look", Bounds::ALL, || {
        let runtime = Runtime::new();
        assert!(runtime.everybody_sleeps(), "the first look");
        let worker = runtime.awake(0);
        let rests = runtime.dormancy.begin(|| true);
        worker.join().unwrap();
        assert!(!rests || runtime.called.load(SeqCst), "nobody looks after the worker");
    });
}
