//! Where a cell lies, and where its place goes when the last reference is gone.

use core::{alloc::Layout, ptr::NonNull};

/// Takes back the places of cells of scheduler `S`.
pub(crate) trait Memory<S> {
    /// Whether places stay where they are for ever, each with a `Vacancy` at its start. Wakers of their
    /// tasks count nothing.
    const STAYS: bool = false;

    /// Takes back a place, and with it the cell's count on the scheduler. From wherever the last
    /// reference is dropped: any thread, core or interrupt.
    ///
    /// # Safety
    /// Places that stay have no use for the scheduler, which is dangling for them. Otherwise it is
    /// alive.
    ///
    /// The place was given to `new_in` with this memory, this layout and this scheduler, which is
    /// alive, and not used again on the cell's behalf; the cell has ended.
    unsafe fn give_back(scheduler: NonNull<S>, place: NonNull<u8>, layout: Layout);
}
