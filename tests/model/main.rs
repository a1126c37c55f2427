//! Property tests of the data structures against simple models, and the same structures under real
//! threads.
#![cfg(not(jenny_loom))]

mod inbox;
mod list;
mod overflow;
mod ring;
mod threads;
mod time;

use std::{
    ptr::NonNull,
    sync::{Arc, Mutex},
};

use jenny_core::{
    lock::RawLock,
    queue::{Chain, Link},
};

/// A number on the heap, and one count of a token that shows whether all were dropped.
struct Item(Box<Node>);

#[repr(C)]
struct Node {
    // First, so that its address is that of the node.
    link: Link,
    number: usize,
    _token: Option<Arc<()>>,
}

impl Item {
    fn new(number: usize) -> Self {
        Self(Box::new(Node { link: Link::new(), number, _token: None }))
    }

    fn counted(number: usize, token: &Arc<()>) -> Self {
        Self(Box::new(Node { link: Link::new(), number, _token: Some(Arc::clone(token)) }))
    }

    /// Consumes the item.
    fn number(self) -> usize {
        self.0.number
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

#[derive(Debug)]
struct Lock(Mutex<()>);

// SAFETY: a mutex excludes and orders, and its guard unlocks on unwinding.
unsafe impl RawLock for Lock {
    fn new() -> Self {
        Self(Mutex::new(()))
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        let _guard = self.0.lock().expect("a closure under the lock panicked");
        critical()
    }
}
