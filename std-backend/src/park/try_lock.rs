//! A lock that nobody waits for.

use std::fmt;

use crate::primitives::{AtomicBool, Ordering, UnsafeCell};

/// A value that one thread at a time may use; the others go elsewhere at once.
///
/// Not a mutex's `try_lock`, because the value is held for as long as a thread sleeps: there is no
/// queue to maintain and, for the model checker, no waiting that could be mistaken for a deadlock.
pub(super) struct TryLock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by the thread that has taken `locked` from false to true, and
// given back by a release that the next taker acquires; so sharing the lock sends the value from
// thread to thread and never shares it.
unsafe impl<T: Send> Sync for TryLock<T> {}

impl<T> TryLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Whether somebody has the value, at some moment of the call.
    pub(super) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    /// Runs the closure on the value, unless somebody else has it.
    pub(super) fn try_with<R>(&self, closure: impl FnOnce(&mut T) -> R) -> Option<R> {
        // The load spares whoever is late a write to the holder's cache line.
        // Ordering: Acquire pairs with the Release in `GiveBack`.
        if self.locked.load(Ordering::Relaxed)
            || self
                .locked
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return None;
        }
        let _give_back = GiveBack(&self.locked);
        Some(self.value.with_mut(|value| {
            // SAFETY: this thread has taken the lock, and gives it back when the borrow has ended.
            closure(unsafe { &mut *value })
        }))
    }
}

/// Opens the lock, even if the closure panics.
struct GiveBack<'a>(&'a AtomicBool);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire in `try_with`.
        self.0.store(false, Ordering::Release);
    }
}

impl<T> fmt::Debug for TryLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locked = self.locked.load(Ordering::Relaxed);
        f.debug_struct("TryLock").field("locked", &locked).finish_non_exhaustive()
    }
}
