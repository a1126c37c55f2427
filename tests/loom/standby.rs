//! The standby of `park/standby.rs`, with the set of sleepers of the shipped `Idle`: whenever one
//! worker is awake and another one sleeps, somebody is on standby, or has been unparked.

use std::sync::Arc as StdArc;

use jenny::loom_internals::park::Standby;
use jenny_core::scheduler::idle::Idle;
use loom::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use crate::harness::{Bounds, check, check_fails};

/// As much of the workers as the standby needs.
struct Workers<const N: usize> {
    idle: Idle,
    standby: Standby,
    /// Which worker has been unparked.
    recruited: [AtomicBool; N],
}

impl<const N: usize> Workers<N> {
    /// All awake; then so many of the last fall asleep.
    fn new(sleepers: usize) -> (StdArc<Self>, [bool; N]) {
        let recruited = std::array::from_fn(|_| AtomicBool::new(false));
        let workers = Self { idle: Idle::new(N), standby: Standby::new(), recruited };
        let mut on_standby = [false; N];
        for worker in N - sleepers..N {
            on_standby[worker] = workers.fall_asleep(worker);
        }
        (StdArc::new(workers), on_standby)
    }

    fn fall_asleep(&self, worker: usize) -> bool {
        self.idle.start_sleep(worker, false);
        self.standby.join()
    }

    fn awake(&self, worker: usize, on_standby: bool) {
        let _ = self.idle.end_sleep(worker);
        if on_standby {
            self.standby.leave();
        }
        if self.standby.is_vacant() {
            self.recruit();
        }
    }

    fn recruit(&self) {
        if let Some(sleeper) = self.idle.any_sleeper() {
            self.recruited[sleeper].store(true, SeqCst);
        }
    }

    fn retire(&self) -> bool {
        self.standby.retire(|| self.idle.sleepers() == N)
    }

    /// When all is quiet.
    #[track_caller]
    fn assert_covered(&self) {
        let sleepers = self.idle.sleepers();
        if sleepers == 0 || sleepers == N {
            return;
        }
        let called = (0..N).any(|w| self.idle.is_asleep(w) && self.recruited[w].load(SeqCst));
        assert!(!self.standby.is_vacant() || called, "nobody looks after the worker that is awake");
    }
}

#[test]
fn the_last_on_standby_awakes_while_another_one_falls_asleep() {
    check("standby: awake against falling asleep", Bounds::ALL, || {
        let (workers, on_standby) = Workers::<3>::new(1);
        let falls = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.fall_asleep(1))
        };
        workers.awake(2, on_standby[2]);
        let _ = falls.join().unwrap();
        workers.assert_covered();
    });
}

#[test]
fn two_on_standby_awake_at_once() {
    check("standby: two awake", Bounds::ALL, || {
        let (workers, on_standby) = Workers::<3>::new(3);
        assert_eq!(on_standby, [true, true, false], "two are enough");
        let awakes = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.awake(0, true))
        };
        workers.awake(1, true);
        awakes.join().unwrap();
        workers.assert_covered();
    });
}

#[test]
fn one_retires_while_another_one_awakes() {
    check("standby: retire against awake", Bounds::ALL, || {
        let (workers, on_standby) = Workers::<3>::new(3);
        assert!(workers.retire(), "all sleep");
        let retires = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.retire())
        };
        workers.awake(2, on_standby[2]);
        let _ = retires.join().unwrap();
        workers.assert_covered();
    });
}

/// Wrong on purpose: who retires does not look again.
#[test]
fn a_retirement_without_a_second_look_fails() {
    check_fails("standby: no second look", Bounds::ALL, || {
        let (workers, on_standby) = Workers::<3>::new(3);
        assert!(workers.retire());
        let retires = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.standby.retire(|| true))
        };
        workers.awake(2, on_standby[2]);
        let _ = retires.join().unwrap();
        workers.assert_covered();
    });
}
