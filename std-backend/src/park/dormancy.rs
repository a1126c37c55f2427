//! When the monitor of a runtime sleeps for good, and who wakes it.
//!
//! The monitor looks every few milliseconds whether a worker is stuck. When all workers have slept
//! for a while it goes **dormant**, so that an idle runtime costs nothing; the next worker that
//! awakes calls it.
//!
//! # The claim
//! Whenever a worker is not parked, the monitor is awake, or has been called.
//!
//! | step | store | load |
//! |---|---|---|
//! | a worker awakes | be parked no more | is the monitor dormant? then call it |
//! | the monitor rests | be dormant | is everybody parked? else be awake again |
//!
//! There is a `SeqCst` fence between each store and its load. So of the two, one sees the other: the
//! worker sees that the monitor is dormant, or the monitor sees that the worker is awake.
//!
//! The scheduler's set of sleepers would not do for "parked": a worker is in it for a moment, too,
//! when it looks for work a last time, and leaves it without a call if it finds some.

use crate::primitives::{AtomicBool, Ordering, fence};

/// Whether a runtime's monitor is dormant, and which of its workers are parked.
#[derive(Debug)]
pub struct Dormancy {
    dormant: AtomicBool,
    workers: Box<[Parked]>,
}

/// Written by its worker with every park: on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Parked(AtomicBool);

impl Dormancy {
    /// Dormant, with all workers awake: the first that parks and awakes calls the monitor.
    pub fn new(workers: usize) -> Self {
        let parked = || Parked(AtomicBool::new(false));
        Self {
            dormant: AtomicBool::new(true),
            workers: std::iter::repeat_with(parked).take(workers).collect(),
        }
    }

    /// To be called by a worker that is about to park.
    #[inline]
    pub fn parks(&self, worker: usize) {
        // Ordering: Relaxed; it says nothing but what it says.
        self.workers[worker].0.store(true, Ordering::Relaxed);
    }

    /// To be called by a worker that has parked. True if it has to call the monitor.
    #[must_use]
    #[inline]
    pub fn awakes(&self, worker: usize) -> bool {
        self.workers[worker].0.store(false, Ordering::Relaxed);
        // Ordering: the table above.
        fence(Ordering::SeqCst);
        // One of several that see it calls.
        self.dormant.load(Ordering::Relaxed) && self.dormant.swap(false, Ordering::Relaxed)
    }

    /// To be called by the monitor. True if it may rest until it is called.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.dormant.store(true, Ordering::Relaxed);
        // Ordering: the table above.
        fence(Ordering::SeqCst);
        let everybody_is_parked =
            self.workers.iter().all(|worker| worker.0.load(Ordering::Relaxed));
        // If somebody is awake and has called already, the call waits for the next rest, and ends it.
        everybody_is_parked || !self.dormant.swap(false, Ordering::Relaxed)
    }
}
