//! A task's name for others.

use core::{
    array, fmt,
    num::{NonZeroU64, NonZeroUsize},
    sync::atomic::AtomicUsize,
};

use super::spawned::Spawned;
use crate::sync::Ordering;

/// A task's name for as long as a handle to it lives: unique in the process.
///
/// Without the feature `alloc`, on a 32-bit machine, the count starts anew after four billion
/// tasks.
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
type Count = u64;
#[cfg(not(feature = "alloc"))]
type Count = usize;

/// Takes ids in a row for tasks of executors in statics, and returns the first.
#[cfg(feature = "critical-section")]
pub(crate) fn take_ids(count: u32) -> NonZeroU64 {
    use core::cell::Cell;

    static LAST: critical_section::Mutex<Cell<Count>> = critical_section::Mutex::new(Cell::new(0));
    let last = critical_section::with(|masked| {
        let last = LAST.borrow(masked);
        last.replace(last.get().wrapping_add(count as Count))
    });
    // SAFETY: it is one more than what fits a word, or than what nobody counts up to in 64 bits.
    unsafe { NonZeroU64::new_unchecked((last as u64).wrapping_add(1)) }
}

/// An id in a cell.
///
/// Atomic, because a waker of an earlier task in the same place may ask for it at any time. What it
/// then reads in several words may be the id of no task. A model checker does not see it.
///
/// The first word is 0 as long as the task has no id: one of an executor in a static gets it when
/// somebody asks.
pub(super) struct IdCell([AtomicUsize; WORDS]);

const WORDS: usize = size_of::<Count>() / size_of::<usize>();

impl IdCell {
    #[inline]
    pub(super) fn new(id: Option<Id>) -> Self {
        let id = id.map_or(0, |id| id.0.get());
        Self(array::from_fn(|word| AtomicUsize::new((id >> (word as u32 * usize::BITS)) as usize)))
    }

    fn set(&self, id: Id) {
        // Ordering: Relaxed, here and below, but for what is said; who has a task's waker or handle
        // has it by something that ordered this.
        if let Some(high) = self.0.get(1) {
            high.store((id.0.get() >> 32) as usize, Ordering::Relaxed);
        }
        // Ordering: Release, for the Acquire of `get`: with this word the other one is there.
        self.0[0].store(id.0.get() as usize, Ordering::Release);
    }

    /// What is there is the id of an earlier task.
    #[inline]
    pub(super) fn renew(&self, id: Option<Id>) {
        match id {
            Some(id) => self.set(id),
            None => self.0[0].store(0, Ordering::Relaxed),
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Id {
        if usize::BITS == 64 && cfg!(not(feature = "critical-section")) {
            let id = self.0[0].load(Ordering::Relaxed) as u64;
            // SAFETY: only ids are stored, and this is all of one; each task is made with one.
            return Id(unsafe { NonZeroU64::new_unchecked(id) });
        }
        self.known().unwrap_or_else(|| self.choose())
    }

    #[inline]
    fn known(&self) -> Option<Id> {
        // Ordering: Acquire, for the Release of `set`.
        let low = NonZeroUsize::new(self.0[0].load(Ordering::Acquire))?.get() as u64;
        let high = self.0.get(1).map_or(0, |high| high.load(Ordering::Relaxed) as u64);
        NonZeroU64::new(low | high << 32).map(Id)
    }

    /// Gives the task an id, unless somebody else has done so.
    #[cfg(feature = "critical-section")]
    #[cold]
    #[inline(never)]
    fn choose(&self) -> Id {
        critical_section::with(|_| {
            self.known().unwrap_or_else(|| {
                loop {
                    let id = Id(take_ids(1));
                    // Not if the first word is 0, as one in four billion of several words is.
                    if id.0.get() as usize != 0 {
                        self.set(id);
                        break id;
                    }
                }
            })
        })
    }

    /// Schedulers give their tasks an id at once.
    #[cfg(not(feature = "critical-section"))]
    fn choose(&self) -> Id {
        unreachable!()
    }
}
