//! Without an allocator no task lies on the heap.

use crate::task::{Member, OwnedRef, Runnable};

pub(super) struct LiveTasks;

impl LiveTasks {
    pub(super) const fn new() -> Self {
        Self
    }

    #[inline]
    pub(super) fn wants(&self, _: &Runnable) -> bool {
        false
    }

    #[inline]
    pub(super) fn bind(&self, _: &Runnable) {}

    /// # Safety
    /// None is asked for.
    #[inline]
    pub(super) unsafe fn unlink(&self, _: &OwnedRef) {}

    /// # Safety
    /// The task was run to its end and not cancelled.
    #[inline]
    pub(super) unsafe fn retire(&self, _: OwnedRef) {
        // SAFETY: every place stays, and `Runnable::run` gives back what ends in one.
        unsafe { core::hint::unreachable_unchecked() }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    /// # Safety
    /// As above.
    #[inline]
    pub(super) unsafe fn for_each(&self, _: impl Fn(Member)) {}
}
