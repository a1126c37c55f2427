//! Heap cells whose last reference was dropped, until the executor frees them.
//!
//! The last waker of a task is often dropped in an interrupt, where no allocator may be called that
//! the interrupted code is in the middle of. So a cell that has ended becomes the node of a list, and
//! the code that runs the tasks takes the list to the allocator.

use core::{alloc::Layout, ptr::NonNull};

use super::attention::{Attention, BURIED};
use super::{Board, Counters, Executor};
use crate::{
    link::{Chain, Link},
    queue::Inbox,
    sync::{const_unless_checked, deallocate},
    task::Memory,
};

/// Who has been buried and not been freed.
pub(super) struct Graves(Inbox<Grave>);

impl Graves {
    const_unless_checked! {
        pub(super) fn new() -> Self {
            Self(Inbox::new())
        }
    }

    /// From anywhere.
    fn bury(&self, grave: Grave, attention: &Attention) {
        // The list is never closed.
        let pushed = self.0.push(grave);
        debug_assert!(pushed.is_ok());
        attention.raise(BURIED);
    }

    /// Frees what was buried. Where the allocator may be called.
    #[inline]
    pub(super) fn free(&self, attention: &Attention) {
        if attention.take(BURIED) {
            drop(self.0.drain());
        }
    }
}

/// What lies in the place of a cell that has ended. It starts with its link.
#[repr(C)]
struct Buried {
    link: Link,
    layout: Layout,
}

/// The right to free a place.
struct Grave(NonNull<Buried>);

// SAFETY: the place belongs to the grave alone.
unsafe impl Send for Grave {}

// SAFETY: the place stays allocated until the grave is dropped, and nobody else knows it. The pointer
// to its first field is that to all of it.
unsafe impl Chain for Grave {
    fn into_link(self) -> NonNull<Link> {
        core::mem::ManuallyDrop::new(self).0.cast()
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self(link.cast())
    }
}

impl Drop for Grave {
    fn drop(&mut self) {
        // SAFETY: `give_back` put the value there, into memory that came from the heap with this
        // layout, and the grave is the only way to it.
        unsafe {
            let layout = self.0.as_ref().layout;
            self.0.drop_in_place();
            deallocate(self.0.cast(), layout);
        }
    }
}

/// The heap, by way of the executor.
pub(super) struct Deferred;

impl<B: Board, C: Counters> Memory<Executor<B, C>> for Deferred {
    unsafe fn give_back(executor: NonNull<Executor<B, C>>, place: NonNull<u8>, layout: Layout) {
        const { assert!(align_of::<Buried>() <= 8) };
        debug_assert!(size_of::<Buried>() <= layout.size());
        let buried = place.cast::<Buried>();
        // SAFETY: the place is free for use, and a cell has the size and the alignment of its prefix,
        // which is larger than this. Executors are static.
        unsafe {
            buried.write(Buried { link: Link::new(), layout });
            let executor = executor.as_ref();
            executor.graves.bury(Grave(buried), &executor.attention);
        }
    }
}
