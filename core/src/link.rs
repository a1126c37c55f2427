//! The pointer by which an owned handle travels in a queue without an allocation.

use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering, const_unless_checked};

/// One intrusive `next` pointer. A node is in at most one queue at a time.
#[derive(Debug)]
pub struct Link(AtomicPtr<Link>);

impl Link {
    const_unless_checked! {
        /// A link that is in no queue.
        #[allow(clippy::new_without_default)]
        #[inline]
        pub fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// Reads the link. Relaxed: whoever reads it got the node through an operation that ordered it.
    #[inline]
    pub(crate) fn next(&self) -> *mut Link {
        self.0.load(Ordering::Relaxed)
    }

    /// Writes the link, before the node is published.
    #[inline]
    pub(crate) fn set_next(&self, next: *mut Link) {
        self.0.store(next, Ordering::Relaxed);
    }
}

/// An owned handle that can be turned into the address of its node's [`Link`] and back.
///
/// # Safety
/// `into_link` returns a pointer to a link that lives at least until the handle, made again by
/// `from_link`, is dropped; the pointer may be used to reach all that the handle owns; and nobody
/// else touches the link while the handle is in that form.
pub unsafe trait Chain: Sized {
    /// Gives up the handle for its link.
    fn into_link(self) -> NonNull<Link>;

    /// Makes the handle again.
    ///
    /// # Safety
    /// The pointer came from `into_link`, and is turned back once.
    unsafe fn from_link(link: NonNull<Link>) -> Self;
}
