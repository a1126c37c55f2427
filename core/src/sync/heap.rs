//! Memory for task cells.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::{alloc::Layout, ptr::NonNull};

/// Allocates memory for a task cell; `None` if there is none.
pub(crate) fn try_allocate(layout: Layout) -> Option<NonNull<u8>> {
    assert!(layout.size() > 0, "a task cell is never empty");
    // SAFETY: the size of the layout is not zero, asserted above.
    NonNull::new(unsafe { alloc(layout) })
}

/// As [`try_allocate`], and hands an exhausted allocator to its error handler.
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    try_allocate(layout).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// The memory came from [`allocate`] with this layout and is not used again.
pub(crate) unsafe fn deallocate(pointer: NonNull<u8>, layout: Layout) {
    // SAFETY: passed on from the caller.
    unsafe { dealloc(pointer.as_ptr(), layout) }
}
