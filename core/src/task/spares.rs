//! What a poll does without the state word: a byte of the cell that belongs to the holder of the
//! `Runnable` (rule S).
//!
//! # Spare references
//! A task that waits lends a reference with each waker that it leaves somewhere, and often gets it back
//! in its own poll, unused: a timer is cancelled, another waker takes the place of this one. To count
//! both in the state word takes a read-modify-write each. So the poll keeps what it gets back, and takes
//! the next one from there; if there is none, it takes [`BATCH`] at once. The word counts the spare ones,
//! too, which nobody minds: a task that is alive is kept by its owned list anyway. Completion gives them
//! up, in the read-modify-write that there is; from then on wakers count in the word.

use core::cell::Cell;

/// So many references a poll takes at once.
pub(super) const BATCH: u8 = 8;

/// The bits of the byte that count.
const COUNT: u8 = 0x7F;
/// Beside the count: the poll has asked for another one, without a wake.
const YIELDED: u8 = 0x80;
/// The most that are kept. What is above is not a count.
const MOST: u8 = 4 * BATCH;
/// In the place of the count: the task is complete.
const CLOSED: u8 = COUNT;

pub(super) struct Spares(Cell<u8>);

/// There is no spare reference.
pub(super) enum Empty {
    /// The poll may take some, and [`refill`](Spares::refill).
    Open,
    /// The task is complete.
    Closed,
}

impl Spares {
    pub(super) const fn new() -> Self {
        Self(Cell::new(0))
    }

    /// Takes a reference.
    #[inline]
    pub(super) fn take(&self) -> Result<(), Empty> {
        let byte = self.0.get();
        match byte & COUNT {
            0 => Err(Empty::Open),
            CLOSED => Err(Empty::Closed),
            _ => {
                self.0.set(byte - 1);
                Ok(())
            }
        }
    }

    /// Keeps what is left of a batch of which one was used.
    #[inline]
    pub(super) fn refill(&self) {
        debug_assert_eq!(self.0.get() & COUNT, 0, "refilled while there were some");
        self.0.set(self.0.get() + BATCH - 1);
    }

    /// Keeps a reference; false if there are enough, or if the task is complete.
    #[must_use]
    #[inline]
    pub(super) fn put(&self) -> bool {
        let byte = self.0.get();
        let is_kept = byte & COUNT < MOST;
        if is_kept {
            self.0.set(byte + 1);
        }
        is_kept
    }

    /// Gives up all references, and takes no more: so many there were.
    #[inline]
    pub(super) fn close(&self) -> usize {
        let count = self.0.replace(CLOSED) & COUNT;
        debug_assert!(count <= MOST, "closed twice");
        count.into()
    }

    /// Asks for another poll instead of a wake.
    #[inline]
    pub(super) fn set_yielded(&self) {
        self.0.set(self.0.get() | YIELDED);
    }

    /// Whether the poll has asked for another one.
    #[inline]
    pub(super) fn take_yielded(&self) -> bool {
        let byte = self.0.get();
        let yielded = byte & YIELDED != 0;
        if yielded {
            self.0.set(byte & COUNT);
        }
        yielded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_kept_up_to_a_bound_and_taken_again() {
        let spares = Spares::new();
        assert!(matches!(spares.take(), Err(Empty::Open)));
        spares.refill();
        assert!((1..BATCH).all(|_| spares.take().is_ok()));
        assert!(matches!(spares.take(), Err(Empty::Open)));
        assert!((0..MOST).all(|_| spares.put()) && !spares.put());
        assert!(spares.take().is_ok());
        assert_eq!(spares.close(), usize::from(MOST) - 1);
        assert!(!spares.put() && matches!(spares.take(), Err(Empty::Closed)));
    }

    #[test]
    fn a_yield_is_beside_the_count() {
        let spares = Spares::new();
        assert!(spares.put() && !spares.take_yielded());
        spares.set_yielded();
        assert!(spares.put() && spares.take().is_ok());
        assert!(spares.take_yielded() && !spares.take_yielded());
        spares.set_yielded();
        assert_eq!(spares.close(), 1);
    }
}
