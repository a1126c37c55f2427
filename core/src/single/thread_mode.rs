//! Who runs tasks, where several executors could.

use crate::sync::{CountOnly, Ordering};

/// Thread mode of a core, as Arm calls what is no interrupt; or a thread of an operating system.
///
/// An executor that [runs](super::Executor::run) or [blocks](super::Executor::block_on) enters it, so
/// that a second one inside of its tasks, which would keep them all from running, is a panic and not
/// a program that stands still. A board says by [`Board::thread_mode`](super::Board::thread_mode) where its
/// executor runs.
#[derive(Debug)]
pub struct ThreadMode {
    /// 0 or 1. Only its own code touches it, and interrupts that preempt that and leave it as it was; so
    /// loads and stores do.
    entered: CountOnly,
}

/// That of the only core.
pub(super) static THREAD_MODE: ThreadMode = ThreadMode::new();

impl ThreadMode {
    /// One where no executor runs, for a static.
    pub const fn new() -> Self {
        Self { entered: CountOnly::new(0) }
    }

    /// Enters it until the guard is dropped. `None` if somebody has.
    pub(super) fn enter(&self) -> Option<Entered<'_>> {
        // Ordering: Relaxed, here and below; it is its own.
        if self.entered.load(Ordering::Relaxed) != 0 {
            return None;
        }
        self.entered.store(1, Ordering::Relaxed);
        Some(Entered(self))
    }
}

impl Default for ThreadMode {
    fn default() -> Self {
        Self::new()
    }
}

/// An executor runs in it.
pub(super) struct Entered<'a>(&'a ThreadMode);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.entered.store(0, Ordering::Relaxed);
    }
}
