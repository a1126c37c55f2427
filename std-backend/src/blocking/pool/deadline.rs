//! A moment to wait for.

use std::time::{Duration, Instant};

use crate::primitives::{Condvar, MutexGuard};

/// A moment, or never.
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) const NEVER: Self = Self(None);

    /// A moment beyond the clock's range is never.
    pub(super) fn after(duration: Duration) -> Self {
        if duration == Duration::MAX {
            return Self::NEVER;
        }
        Self(Instant::now().checked_add(duration))
    }

    /// Waits for a signal, and says whether it was the time that ended the wait.
    pub(super) fn wait<T>(&self, signal: &Condvar, guard: &mut MutexGuard<'_, T>) -> bool {
        let Some(deadline) = self.0 else {
            signal.wait(guard);
            return false;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        signal.wait_for(guard, left).timed_out()
    }
}
