//! What an executor has to do beside running tasks: one word, so that one load says "nothing".

use crate::sync::{AtomicUsize, Ordering, const_unless_checked};

/// The future of `block_on` was woken.
pub(super) const ROOT: usize = 1;
/// The executor was closed.
pub(super) const CLOSING: usize = 1 << 1;
/// A cell is to be freed.
pub(super) const BURIED: usize = 1 << 2;
/// The shutdown has begun, and goes on whenever something has been done: raised for ever.
pub(super) const CLOSED: usize = 1 << 3;
/// All tasks are gone and none will come: raised for ever.
pub(super) const STOPPED: usize = 1 << 4;

/// Flags that anybody raises and who runs the tasks takes.
pub(super) struct Attention(AtomicUsize);

impl Attention {
    const_unless_checked! {
        pub(super) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// From anywhere.
    pub(super) fn raise(&self, flag: usize) {
        // Ordering: Release, for the Acquire of `take`.
        self.0.fetch_or(flag, Ordering::Release);
    }

    /// All flags, by one load.
    #[inline]
    pub(super) fn peek(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether any flag is raised, by one load.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.peek() != 0
    }

    /// Whether one of the flags is raised, by one load.
    #[inline]
    pub(super) fn has(&self, flags: usize) -> bool {
        // Ordering: Relaxed; whoever has to see what came before a flag takes it.
        self.0.load(Ordering::Relaxed) & flags != 0
    }

    /// Takes a flag, if it is raised.
    #[inline]
    pub(super) fn take(&self, flag: usize) -> bool {
        // Ordering: Acquire, for the Release of `raise`.
        self.0.load(Ordering::Relaxed) & flag != 0
            && self.0.fetch_and(!flag, Ordering::Acquire) & flag != 0
    }
}
