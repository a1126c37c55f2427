//! The memory of a task that is no more.

use core::{alloc::Layout, mem::ManuallyDrop, ptr::NonNull};

use crate::recycler::{Recycler, deallocate_place};

/// A place on the heap, in which a cell has ended. Dropping it frees the memory.
#[derive(Debug)]
#[must_use = "dropped, it goes to the allocator"]
pub struct Place {
    // Invariant: the place was allocated for this layout, by `allocate_place` or a recycler, and is
    // this value's alone.
    at: NonNull<u8>,
    layout: Layout,
}

impl Place {
    /// # Safety
    /// The place was allocated for this layout, by `allocate_place` or a recycler, and is the caller's
    /// to give away.
    #[inline]
    pub(super) unsafe fn new(at: NonNull<u8>, layout: Layout) -> Self {
        Self { at, layout }
    }

    /// Leaves the place to a recycler.
    #[inline]
    pub(crate) fn recycle(self, recycler: &Recycler) {
        let Self { at, layout } = *ManuallyDrop::new(self);
        // SAFETY: by the invariant.
        unsafe { recycler.give_back(at, layout) }
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by the invariant.
        unsafe { deallocate_place(self.at, self.layout) }
    }
}

// SAFETY: the memory is the place's alone.
unsafe impl Send for Place {}
// SAFETY: through a shared place nothing is reachable.
unsafe impl Sync for Place {}
