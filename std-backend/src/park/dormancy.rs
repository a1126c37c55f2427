//! When the monitor of a runtime sleeps for good, and who wakes it.
//!
//! The monitor looks every few milliseconds whether a worker is stuck. When all workers have slept
//! for a while it goes **dormant**, so that an idle runtime costs nothing; the next worker that
//! awakes calls it.
//!
//! # The claim
//! Whenever a worker is awake, the monitor is awake, or has been called.
//!
//! | step | store | load |
//! |---|---|---|
//! | a worker awakes | leave the sleepers | is the monitor dormant? then call it |
//! | the monitor rests | be dormant | does everybody sleep? else be awake again |
//!
//! There is a `SeqCst` fence between each store and its load. So of the two, one sees the other: the
//! worker sees that the monitor is dormant, or the monitor sees that the worker is awake.

use crate::primitives::{AtomicBool, Ordering, fence};

/// Whether a runtime's monitor is dormant.
#[derive(Debug)]
pub struct Dormancy {
    dormant: AtomicBool,
}

impl Default for Dormancy {
    fn default() -> Self {
        Self::new()
    }
}

impl Dormancy {
    /// Dormant: no worker has awoken yet.
    pub fn new() -> Self {
        Self { dormant: AtomicBool::new(true) }
    }

    /// To be called by a worker that has left the sleepers. True if it has to call the monitor.
    #[must_use]
    #[inline]
    pub fn ends(&self) -> bool {
        // Ordering: the table above.
        fence(Ordering::SeqCst);
        // One of several that see it calls.
        self.dormant.load(Ordering::Relaxed) && self.dormant.swap(false, Ordering::Relaxed)
    }

    /// To be called by the monitor. True if it may rest until it is called.
    #[must_use]
    pub fn begin(&self, everybody_sleeps: impl FnOnce() -> bool) -> bool {
        self.dormant.store(true, Ordering::Relaxed);
        // Ordering: the table above.
        fence(Ordering::SeqCst);
        // If somebody is awake and has called already, the call waits for the next rest, and ends it.
        everybody_sleeps() || !self.dormant.swap(false, Ordering::Relaxed)
    }
}
