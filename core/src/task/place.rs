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

    /// Leaves the place to a recycler, if that has not enough.
    #[inline]
    pub(crate) fn recycle(self, recycler: &Recycler) -> Option<Self> {
        let place = ManuallyDrop::new(self);
        // SAFETY: by the invariant, and if the recycler keeps the place, this value is gone.
        let kept = unsafe { recycler.keep(place.at, place.layout) };
        if kept { None } else { Some(ManuallyDrop::into_inner(place)) }
    }

    /// Gives the place away: allocated for this layout, by `allocate_place` or a recycler.
    pub(crate) fn into_parts(self) -> (NonNull<u8>, Layout) {
        let Self { at, layout } = *ManuallyDrop::new(self);
        (at, layout)
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
