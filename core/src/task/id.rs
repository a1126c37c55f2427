//! A task's name for others.

use core::{fmt, num::NonZeroU64, sync::atomic::AtomicUsize};

use super::spawned::Spawned;
use crate::sync::Ordering;

/// A task's name for as long as a handle to it lives: unique in the process.
///
/// Without the feature `alloc`, on a 32-bit machine, the count starts anew after four billion tasks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) NonZeroU64);

impl Id {
    /// The id as a number.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl Spawned<'_> {
    /// Gives the task an id that was reserved for it, and for no other.
    pub fn with_id(mut self, id: Id) -> Self {
        self.id = Some(id.0);
        self
    }

    /// The id that was reserved for the task, or one of its scheduler.
    #[inline]
    pub fn id_or(&self, of_scheduler: impl FnOnce() -> Id) -> Id {
        self.id.map_or_else(of_scheduler, Id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

/// What ids are counted with: without an allocator, a word.
#[cfg(feature = "alloc")]
pub(crate) type Count = u64;
#[cfg(not(feature = "alloc"))]
pub(crate) type Count = usize;

/// An id in a cell.
///
/// Atomic, because a waker of an earlier task in the same place may ask for it at any time. What it
/// then reads in several words may be the id of no task. A model checker does not see it.
pub(super) struct IdCell([AtomicUsize; WORDS]);

const WORDS: usize = size_of::<Count>() / size_of::<usize>();

impl IdCell {
    #[inline]
    pub(super) fn new(id: Id) -> Self {
        let cell = Self([const { AtomicUsize::new(0) }; WORDS]);
        cell.set(id);
        cell
    }

    #[inline]
    pub(super) fn set(&self, id: Id) {
        // Ordering: Relaxed, here and below; who has a task's waker or handle has it by something that
        // ordered this.
        self.0[0].store(id.0.get() as usize, Ordering::Relaxed);
        if let Some(high) = self.0.get(1) {
            high.store((id.0.get() >> 32) as usize, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Id {
        let low = self.0[0].load(Ordering::Relaxed) as u64;
        if usize::BITS == 64 {
            // SAFETY: only ids are stored, and this is all of one.
            return Id(unsafe { NonZeroU64::new_unchecked(low) });
        }
        let high = self.0.get(1).map_or(0, |high| high.load(Ordering::Relaxed) as u64);
        // In a single word the count starts anew at 0, which stands for 1.
        Id(NonZeroU64::new(low | high << 32).unwrap_or(NonZeroU64::MIN))
    }
}
