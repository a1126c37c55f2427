//! Wakers on their way from a locked list to their calls.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::task::Waker;

use crate::primitives::contain;

/// Collects wakers under a lock, to be called outside of it.
///
/// It lives as long as the driver, so it allocates only until it has seen the largest batch.
#[derive(Debug, Default)]
pub struct WakeList(Vec<Waker>);

impl WakeList {
    /// So many wakers that the first should not wait for more of them to be collected.
    const BATCH: usize = 32;

    /// Adds a waker; a lock may be held.
    pub fn push(&mut self, waker: Waker) {
        self.0.push(waker);
    }

    /// Whether it is time to call them.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::BATCH
    }

    /// Calls the wakers, first in, first out. Hold no lock.
    ///
    /// A waker of a foreign executor that panics must not take the wake-ups of everybody else's
    /// tasks with it, nor end the worker that happens to turn the driver.
    pub fn wake_all(&mut self) {
        for waker in self.0.drain(..) {
            contain(|| waker.wake());
        }
    }
}
