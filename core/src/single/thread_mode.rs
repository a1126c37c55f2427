//! Who runs tasks, where several executors could.

use core::sync::atomic::AtomicBool;

use crate::sync::Ordering;

/// Thread mode of a core, as Arm calls what is no interrupt; or a thread of an operating system.
///
/// An executor that [runs](super::Executor::run) or [blocks](super::Executor::block_on) enters it,
/// so that a second one inside of its tasks, which would keep them all from running, is a panic and
/// not a program that stands still. A board says by
/// [`Board::thread_mode`](super::Board::thread_mode) where its executor runs.
#[derive(Debug)]
pub struct ThreadMode {
    /// Only its own code touches it, and interrupts that preempt that and leave it as it was; so loads
    /// and stores do. A model checker does not see it.
    entered: AtomicBool,
}

/// That of the only core.
pub(super) static THREAD_MODE: ThreadMode = ThreadMode::new();

impl ThreadMode {
    /// One where no executor runs, for a static.
    pub const fn new() -> Self {
        Self { entered: AtomicBool::new(false) }
    }

    /// Enters it until the guard is dropped. `None` if somebody has.
    pub(super) fn enter(&self) -> Option<Entered<'_>> {
        // Ordering: Relaxed, here and below; it is its own.
        if self.entered.load(Ordering::Relaxed) {
            return None;
        }
        self.entered.store(true, Ordering::Relaxed);
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
        self.0.entered.store(false, Ordering::Relaxed);
    }
}
