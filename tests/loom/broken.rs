//! Protocols with a step left out. Loom must find out, or it would not notice in the models of what
//! is shipped either.

use std::sync::Arc as StdArc;

use loom::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::*},
    thread,
};

use crate::{
    harness::{Bounds, check_fails},
    idle::Workers,
    time::{Meanwhile, a_stranger_registers},
};

/// Work is published between the worker's last look and its sleep.
#[test]
fn a_sleep_without_a_second_look() {
    check_fails("idle: no second look", Bounds::preemptions(2), || {
        let workers = Workers::<1>::new();
        let producer = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(0))
        };
        workers.work_and_sleep(0, false, false);
        producer.join().unwrap();
    });
}

/// Rule 2 of `task/state.rs`: what if a waker that finds the task scheduled left it at that?
#[test]
fn a_wake_that_only_loads() {
    check_fails("task: a wake that only loads", Bounds::ALL, || {
        let scheduled = StdArc::new(AtomicUsize::new(1));
        let announced = StdArc::new(AtomicBool::new(false));
        let waker = {
            let (scheduled, announced) = (StdArc::clone(&scheduled), StdArc::clone(&announced));
            thread::spawn(move || {
                announced.store(true, Relaxed);
                if scheduled.load(Acquire) == 0 {
                    scheduled.fetch_add(1, AcqRel);
                }
            })
        };
        let seen = scheduled.load(Acquire);
        let ready = announced.load(Relaxed);
        let idle = scheduled.compare_exchange(seen, 0, AcqRel, Relaxed).is_ok();
        waker.join().unwrap();
        assert!(ready || !idle || scheduled.load(Acquire) > 0, "asleep, and nobody will wake it");
    });
}

/// A deadline is registered after the owner's look, and nobody unparks the owner.
#[test]
fn a_deadline_that_nobody_is_told_of() {
    check_fails("time: an earlier deadline and no unpark", Bounds::preemptions(2), || {
        a_stranger_registers(Meanwhile::Untold);
    });
}
