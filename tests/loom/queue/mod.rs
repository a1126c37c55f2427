//! The queues of the core, each alone and together.

mod inbox;
mod overflow;
mod ring;

use std::ptr::NonNull;

use jenny_core::queue::{Chain, Link};
use loom::{alloc::Track, cell::UnsafeCell};

/// A number on the heap. Loom reports it if it leaks, and if whoever reads the number is not ordered
/// behind whoever made it.
struct Item(Box<Node>);

#[repr(C)]
struct Node {
    // First, so that its address is that of the node.
    link: Link,
    number: UnsafeCell<usize>,
    _leak_check: Track<()>,
}

impl Item {
    fn new(number: usize) -> Self {
        let node =
            Node { link: Link::new(), number: UnsafeCell::new(0), _leak_check: Track::new(()) };
        node.number.with_mut(|place| {
            // SAFETY: nobody else has the node yet.
            unsafe { *place = number }
        });
        Self(Box::new(node))
    }

    /// Consumes the item.
    fn number(self) -> usize {
        // SAFETY: nobody else has the node any more.
        self.0.number.with(|place| unsafe { *place })
    }
}

// SAFETY: a box owns its node and goes from address to box and back; the link is the first field.
unsafe impl Chain for Item {
    fn into_link(self) -> NonNull<Link> {
        let node = Box::into_raw(self.0);
        // SAFETY: the node is alive, and so is its field.
        unsafe { NonNull::new_unchecked(&raw mut (*node).link) }
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        // SAFETY: the link is the first field of a node that came from a box.
        Self(unsafe { Box::from_raw(link.cast::<Node>().as_ptr()) })
    }
}

/// Asserts that the threads together saw each number below `count` exactly once.
fn assert_each_once<const N: usize>(count: usize, seen: [Vec<usize>; N]) {
    let mut all = seen.concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..count), "lost or doubled: {seen:?}");
}

/// Asserts that a thread saw numbers in the order in which they went in.
fn assert_in_order(seen: &[usize]) {
    assert!(seen.is_sorted(), "out of order: {seen:?}");
}
