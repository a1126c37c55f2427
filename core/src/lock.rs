//! A mutex over whatever lock the platform has.

use core::fmt;

use crate::sync::{UnsafeCell, const_unless_checked, note_lock};

/// The lock of a platform: closure-scoped, not reentrant.
///
/// An operating system gives a mutex, a single core gives a critical section, several bare-metal
/// cores give a ticket lock with interrupts masked. The core never polls, wakes, drops or allocates
/// a task while it holds one, so a lock that masks interrupts masks them for a few instructions.
///
/// # Safety
/// While `with` runs its closure, no other `with` of the same lock runs one, on whatever thread,
/// core or interrupt; and the end of one closure happens before the start of the next. The lock is
/// released when the closure unwinds.
pub unsafe trait RawLock: Send + Sync + 'static {
    /// How many read-modify-writes it takes to lock and to unlock, for builds that count them.
    const EXCHANGES: usize = 2;

    /// Makes an open lock.
    fn new() -> Self;

    /// Runs the closure with the lock held.
    fn with<R>(&self, critical: impl FnOnce() -> R) -> R;
}

/// A value behind a [`RawLock`].
pub struct Mutex<T, L> {
    lock: L,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only inside `RawLock::with`, one closure at a time, each happening
// before the next; so sharing the mutex moves the value between threads and never shares it.
unsafe impl<T: Send, L: RawLock> Sync for Mutex<T, L> {}
// SAFETY: sending the mutex sends the value and the lock, both `Send`.
unsafe impl<T: Send, L: RawLock> Send for Mutex<T, L> {}

impl<T, L: RawLock> Mutex<T, L> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self::with_lock(value, L::new())
    }

    const_unless_checked! {
        /// Wraps a value behind a lock that exists already, for a static.
        pub fn with_lock(value: T, lock: L) -> Self {
            Self { lock, value: UnsafeCell::new(value) }
        }
    }

    /// Runs the closure on the value with the lock held.
    // Tracked for a counting build, which names the callers of locks.
    #[track_caller]
    pub fn with<R>(&self, critical: impl FnOnce(&mut T) -> R) -> R {
        note_lock(&self.lock, L::EXCHANGES);
        self.lock.with(|| {
            self.value.with_mut(|value| {
                // SAFETY: `RawLock::with` excludes every other closure of this lock, and the
                // borrow ends with this one.
                critical(unsafe { &mut *value })
            })
        })
    }
}

impl<T, L> fmt::Debug for Mutex<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}
