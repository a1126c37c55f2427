//! Where a cell lies, and where its place goes when the last reference is gone.

use core::{alloc::Layout, ptr::NonNull};

use crate::sync::deallocate;

/// Takes back the places of cells of scheduler `S`.
pub(crate) trait Memory<S> {
    /// Takes back a place. From wherever the last reference is dropped: any thread, core or interrupt.
    ///
    /// # Safety
    /// The place was given to `new_in` with this memory, this layout and this
    /// scheduler, which is alive; the cell in it has ended.
    unsafe fn give_back(scheduler: NonNull<S>, place: NonNull<u8>, layout: Layout);
}

/// The global allocator.
pub(super) struct Heap;

impl<S> Memory<S> for Heap {
    unsafe fn give_back(_: NonNull<S>, place: NonNull<u8>, layout: Layout) {
        // SAFETY: the place came from `allocate` with this layout, and nobody uses it any more.
        unsafe { deallocate(place, layout) }
    }
}
