//! Where a worker's core is, while nobody has taken it away.

use alloc::boxed::Box;
use core::{cell::Cell, ptr::NonNull};

/// Owns a core, or nothing once the core has been handed off.
pub(super) struct Holder<C>(Cell<Option<NonNull<C>>>);

// SAFETY: the holder owns the core as a box would.
unsafe impl<C: Send> Send for Holder<C> {}

impl<C> Holder<C> {
    pub(super) fn new(core: C) -> Self {
        Self::of(NonNull::from(Box::leak(Box::new(core))))
    }

    /// Owns a core that nobody else owns.
    pub(super) fn of(core: NonNull<C>) -> Self {
        Self(Cell::new(Some(core)))
    }

    /// Takes the core out.
    pub(super) fn take(&self) -> Option<NonNull<C>> {
        self.0.take()
    }

    /// Puts a core in, which nobody else owns.
    pub(super) fn put(&self, core: NonNull<C>) {
        let previous = self.0.replace(Some(core));
        debug_assert!(previous.is_none(), "a core was put over another");
    }

    /// The core. The borrow must end before code of the user's that may take the core out.
    pub(super) fn get(&self) -> Option<&C> {
        // SAFETY: what is in the holder is alive. It is taken out by `Handle::detached` only, inside
        // of `Entered::run`'s poll or of `Entered::detachable`, and nobody keeps the borrow for that
        // long.
        self.0.get().map(|core| unsafe { core.as_ref() })
    }
}

impl<C> Drop for Holder<C> {
    fn drop(&mut self) {
        if let Some(core) = self.take() {
            // SAFETY: the holder owned it, and it came from `Box::leak`.
            drop(unsafe { Box::from_raw(core.as_ptr()) });
        }
    }
}
