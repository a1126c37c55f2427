//! The slot for the task that runs next.
//!
//! A worker puts into it and takes out of it with nearly every task. Nobody else does, but for one who
//! looks after workers that are stuck (`rescue.rs`) and takes what would wait for one of them alone, at
//! most every few milliseconds. So the owner goes without read-modify-writes, and the visitor pays for
//! both sides: where the platform has a pair of [fences](Platform::has_fences) that makes this possible.
//! Elsewhere both swap.
//!
//! ```text
//!   the owner                              a visitor
//!   inside = true                          visited: false → true
//!   light fence                            heavy fence, or give up
//!   visited ? swap : load and store        inside ? give up : swap
//!   inside = false                         visited = false
//! ```
//!
//! **They do not meet.** By the fences one of the two sees the other's store. If it is the visitor, it
//! gives up: the owner is not stuck. If it is the owner, it swaps, and of two swaps each gets a task that
//! the other does not. An owner that sees neither comes before, and the visitor acquires what it has
//! done by reading `inside` as false; or it comes after, sees by reading `visited` as false that the
//! visitor has left, and loads what that has left behind. Nobody waits for anybody, whoever is
//! interrupted wherever. There is one visitor at a time, since the second one's flag is not its own.
//!
//! After D. Dice, H. Huang and M. Yang, "Asymmetric Dekker Synchronization" (2001).

use core::ptr::{self, NonNull};

use crate::{
    platform::Platform,
    queue::{Chain, Link},
    sync::{AtomicBool, AtomicPtr, Ordering},
    task::Runnable,
};

/// Holds one task or none. The head of the file explains it.
#[derive(Debug)]
pub(super) struct Lifo {
    task: AtomicPtr<Link>,
    /// The owner is at it without swapping. Written by the owner.
    inside: AtomicBool,
    /// Somebody else is at it.
    visited: AtomicBool,
    /// There are fences.
    has_fences: bool,
}

impl Lifo {
    pub(super) fn new<P: Platform>() -> Self {
        Self {
            task: AtomicPtr::default(),
            inside: AtomicBool::new(false),
            visited: AtomicBool::new(false),
            has_fences: P::has_fences(),
        }
    }

    /// Puts a task in and returns the one that was there.
    ///
    /// # Safety
    /// The caller is the owner, and the platform that of [`new`](Self::new).
    #[inline]
    pub(super) unsafe fn put<P: Platform>(&self, task: Runnable) -> Option<Runnable> {
        // SAFETY: passed on from the caller.
        unsafe { self.replace::<P>(task.into_link().as_ptr()) }
    }

    /// Takes the task out.
    ///
    /// # Safety
    /// As for [`put`](Self::put).
    #[inline]
    pub(super) unsafe fn take<P: Platform>(&self) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: passed on from the caller.
        unsafe { self.replace::<P>(ptr::null_mut()) }
    }

    /// # Safety
    /// As for [`put`](Self::put). The pointer is null, or came from `into_link` and is given up.
    #[inline]
    unsafe fn replace<P: Platform>(&self, link: *mut Link) -> Option<Runnable> {
        // SAFETY: both ways take what somebody has put in, once: no other owner is at it, and no visitor
        // (head of the file).
        unsafe { Self::runnable(self.exchange::<P>(link)) }
    }

    #[inline]
    fn exchange<P: Platform>(&self, link: *mut Link) -> *mut Link {
        if !self.has_fences {
            if !link.is_null() && self.is_empty() {
                // Ordering: Release gives the task to whoever swaps it out. Nobody but the owner fills
                // the slot.
                self.task.store(link, Ordering::Release);
                return ptr::null_mut();
            }
            return self.swap(link);
        }
        self.inside.store(true, Ordering::Relaxed);
        P::light_fence();
        // Ordering: Acquire pairs with the Release of a visitor that leaves.
        if self.visited.load(Ordering::Acquire) {
            // Ordering: as below, for what this thread has done before.
            self.inside.store(false, Ordering::Release);
            return self.swap(link);
        }
        // Ordering: Relaxed; a visitor acquires this thread's leaving before it swaps.
        let previous = self.task.load(Ordering::Relaxed);
        self.task.store(link, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire in `visit`.
        self.inside.store(false, Ordering::Release);
        previous
    }

    /// Takes the task out if its owner is not about to; from any thread.
    #[cold]
    pub(super) fn visit<P: Platform>(&self) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        if !self.has_fences {
            // SAFETY: the swap takes what somebody has put in, once.
            return unsafe { Self::runnable(self.swap(ptr::null_mut())) };
        }
        // Ordering: Acquire pairs with the Release of the visitor before.
        if self.visited.swap(true, Ordering::Acquire) {
            return None;
        }
        // Ordering: Acquire pairs with the Release of the owner that leaves.
        let task = if P::heavy_fence() && !self.inside.load(Ordering::Acquire) {
            self.swap(ptr::null_mut())
        } else {
            ptr::null_mut()
        };
        // Ordering: Release pairs with the Acquire of the owner, or of the next visitor.
        self.visited.store(false, Ordering::Release);
        // SAFETY: the swap has taken what somebody has put in, once: the owner swaps, too, or is not at
        // it (head of the file).
        unsafe { Self::runnable(task) }
    }

    #[inline]
    fn swap(&self, link: *mut Link) -> *mut Link {
        // Ordering: AcqRel; it gives what goes in, and takes over what comes out.
        self.task.swap(link, Ordering::AcqRel)
    }

    /// # Safety
    /// The pointer is null, or came from `into_link` and belongs to the caller.
    #[inline]
    unsafe fn runnable(link: *mut Link) -> Option<Runnable> {
        // SAFETY: passed on from the caller.
        NonNull::new(link).map(|link| unsafe { Runnable::from_link(link) })
    }

    /// Whether nothing is in it, from any thread. By the time of the return it may be wrong.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.task.load(Ordering::Relaxed).is_null()
    }
}

impl Drop for Lifo {
    fn drop(&mut self) {
        // SAFETY: nobody else has it any more; the swap takes what somebody has put in, once.
        drop(unsafe { Self::runnable(self.swap(ptr::null_mut())) });
    }
}
