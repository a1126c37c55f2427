//! When the monitor of a runtime sleeps for good, and who wakes it.
//!
//! The monitor looks every few milliseconds whether a worker is stuck. When all workers have slept
//! for a while it goes **dormant**, so that an idle runtime costs nothing; the next worker that
//! awakes calls it.
//!
//! # The claim
//! Whenever a worker is not parked, the monitor is awake, or a call is on its way to it.
//!
//! A call takes its time: it is an alarm, which rings when a worker may have been awake for too long.
//! So whoever awakes while it is set puts it off, unless another worker is awake, for whom it may
//! have been set, or it was put off a moment ago. In a runtime whose workers awake for moments it
//! never rings.
//!
//! | step | store | load |
//! |---|---|---|
//! | a worker awakes | be parked no more | is the monitor dormant, and not called? then call it |
//! | the monitor is called, or rests | not called | is everybody parked? else be awake again |
//!
//! There is a `SeqCst` fence between each store and its load. So of the two, one sees the other: the
//! worker sees that it has to call, or the monitor sees that the worker is awake. A worker that finds
//! the monitor called already relies on that call. It was not answered when the worker looked, so
//! its answer comes after the worker's store.
//!
//! The scheduler's set of sleepers would not do for "parked": a worker is in it for a moment, too,
//! when it looks for work a last time, and leaves it without a call if it finds some.

use crate::primitives::{AtomicBool, Ordering, fence};

/// Whether a runtime's monitor is dormant, and which of its workers are parked.
#[derive(Debug)]
pub struct Dormancy {
    dormant: AtomicBool,
    /// Somebody has called it, or is about to.
    called: AtomicBool,
    workers: Box<[Parked]>,
}

/// Written by its worker with every park: on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Parked(AtomicBool);

impl Dormancy {
    /// Everybody is awake. A monitor that starts later looks before it rests, for whatever it was
    /// started for.
    pub fn new(workers: usize) -> Self {
        let parked = || Parked(AtomicBool::new(false));
        Self {
            dormant: AtomicBool::new(false),
            called: AtomicBool::new(false),
            workers: std::iter::repeat_with(parked).take(workers).collect(),
        }
    }

    /// To be called by a worker that is about to park.
    #[inline]
    pub fn parks(&self, worker: usize) {
        // Ordering: Relaxed; it says nothing but what it says.
        self.workers[worker].0.store(true, Ordering::Relaxed);
    }

    /// To be called by a worker that has parked. True if it has to call the monitor, or to put off a
    /// call.
    #[must_use]
    #[inline]
    pub fn awakes(&self, worker: usize) -> bool {
        self.workers[worker].0.store(false, Ordering::Relaxed);
        // Ordering: the table above.
        fence(Ordering::SeqCst);
        self.dormant.load(Ordering::Relaxed) && self.calls(worker)
    }

    fn calls(&self, worker: usize) -> bool {
        let called =
            self.called.load(Ordering::Relaxed) || self.called.swap(true, Ordering::Relaxed);
        let mut others = self.workers.iter().enumerate().filter(|&(other, _)| other != worker);
        !called || others.all(|(_, other)| other.0.load(Ordering::Relaxed))
    }

    /// To be called by the monitor, which may have been called. True if it may rest until it is
    /// called.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.called.store(false, Ordering::Relaxed);
        self.dormant.store(true, Ordering::Relaxed);
        // Ordering: the table above.
        fence(Ordering::SeqCst);
        let everybody_is_parked =
            self.workers.iter().all(|worker| worker.0.load(Ordering::Relaxed));
        if !everybody_is_parked {
            // Who calls it all the same ends its next rest for nothing.
            self.dormant.store(false, Ordering::Relaxed);
        }
        everybody_is_parked
    }
}
