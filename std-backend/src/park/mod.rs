//! How a thread sleeps until somebody has work for it.
//!
//! - [`shared`]: one I/O driver, many parkers. A worker that runs out of work sleeps inside the
//!   driver if nobody else does, otherwise on its own condition variable.
//! - [`berth`]: where a worker's seat lies while its thread sleeps, for another one to take it.
//! - [`dormancy`]: when the monitor, which looks after stuck workers, may sleep.
//! - `alarm`: what the monitor sleeps on meanwhile.
//! - [`thread`]: a plain parker per thread, for `block_on` on threads that are not workers.
//! - [`patience`]: when a thread looks for a while before it sleeps.
//! - `rush`: when it asks the driver before all else.
//!
//! This floor does not know what a driver waits for; it declares what it needs of one.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]
#![allow(dead_code, unused_imports, reason = "what is used depends on the features")]

use std::time::Duration;

#[cfg(feature = "rt-multi-thread")]
mod alarm;
mod berth;
mod dormancy;
mod patience;
mod rush;
mod shared;
mod thread;
mod try_lock;

#[cfg(feature = "rt-multi-thread")]
pub(crate) use alarm::Alarm;
pub use berth::Berth;
pub use dormancy::Dormancy;
pub(crate) use patience::Patience;
pub(crate) use rush::{Rush, Streak};
pub use shared::{Parker, SharedDriver, Unparker};
pub use thread::{CachedParker, ThreadParker, block_on_waker};

/// Something to sleep in that produces events: the I/O driver.
///
/// Waiting and dispatching are apart so that the parker can say "awake" between the two. Whoever
/// unparks a worker that is already dispatching need not pay a system call to wake it.
pub trait Driver: Send + 'static {
    /// Ends a wait from another thread.
    type Waker: DriverWaker;

    /// Makes a handle that ends the waits of this driver.
    fn waker(&self) -> Self::Waker;

    /// Sleeps until there are events, the waker was used or `timeout` is over (`None`: for ever).
    /// May return early for no reason. False if the dispatch will call no waker.
    fn wait(&mut self, timeout: Option<Duration>) -> bool;

    /// Tells those concerned about the events of the last wait; false if there were none. To be called
    /// after each wait.
    fn dispatch(&mut self) -> bool;

    /// Ends all operations that wait for this driver with an error, now and in the future.
    fn shutdown(&mut self);
}

/// Ends the wait of a [`Driver`]. Sticky: a wake before the wait makes the wait return at once.
pub trait DriverWaker: Send + Sync + 'static {
    /// Ends the wait.
    fn wake(&self);
}

/// The driver of a runtime without I/O: there is none.
#[derive(Debug)]
pub enum NoDriver {}

impl Driver for NoDriver {
    type Waker = Self;

    fn waker(&self) -> Self {
        match *self {}
    }

    fn wait(&mut self, _timeout: Option<Duration>) -> bool {
        match *self {}
    }

    fn dispatch(&mut self) -> bool {
        match *self {}
    }

    fn shutdown(&mut self) {
        match *self {}
    }
}

impl DriverWaker for NoDriver {
    fn wake(&self) {
        match *self {}
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests;
