//! The run queue of an executor: a FIFO of tasks by their links, for one who runs them.
//!
//! Rounds take all of it at once, so that a task that is queued again waits for all others, and so
//! that the way of a task through the queue takes as few instructions as it can.

use core::{cell::Cell, ptr};

use crate::{
    link::{Chain, Link},
    queue::Batch,
    task::Runnable,
};

/// A queue that only one may touch at a time (`!Sync`).
pub(super) struct Queue {
    /// Null if the queue is empty.
    first: Cell<*mut Link>,
    /// Means nothing in an empty queue. The link in it is null.
    last: Cell<*mut Link>,
}

// SAFETY: the queue owns its tasks, which are `Send`, and shares them with nobody.
unsafe impl Send for Queue {}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { first: Cell::new(ptr::null_mut()), last: Cell::new(ptr::null_mut()) }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    #[inline]
    pub(super) fn push(&self, task: Runnable) {
        let link = task.into_link();
        // SAFETY: the queue owns the task from here on.
        unsafe { link.as_ref() }.set_next(ptr::null_mut());
        // SAFETY: one task, whose link is null.
        unsafe { self.splice(link.as_ptr(), link.as_ptr()) };
    }

    /// Puts all tasks of a batch behind the others.
    pub(super) fn append(&self, batch: Batch<Runnable>) {
        if let Some((first, last)) = batch.into_links() {
            // SAFETY: these are links of a chain of tasks, which is the caller's no more.
            unsafe { self.splice(first.as_ptr(), last.as_ptr()) };
        }
    }

    /// # Safety
    /// The queue gets the tasks from `first` to `last`, the link in which is null.
    #[inline]
    unsafe fn splice(&self, first: *mut Link, last: *mut Link) {
        if self.is_empty() {
            self.first.set(first);
        } else {
            // SAFETY: the queue is not empty, and owns the task of its last link.
            unsafe { (*self.last.get()).set_next(first) };
        }
        self.last.set(last);
    }

    /// Takes all tasks. Those that the round does not give out come back, before the others.
    #[inline]
    pub(super) fn take(&self) -> Round<'_> {
        Round { next: self.first.replace(ptr::null_mut()), last: self.last.get(), queue: self }
    }
}

/// The tasks that were in the queue when the round began.
pub(super) struct Round<'a> {
    next: *mut Link,
    last: *mut Link,
    queue: &'a Queue,
}

impl Iterator for Round<'_> {
    type Item = Runnable;

    #[inline]
    fn next(&mut self) -> Option<Runnable> {
        let link = ptr::NonNull::new(self.next)?;
        // SAFETY: the round owns the tasks from here to the null, and gives this one away.
        unsafe {
            self.next = link.as_ref().next();
            Some(Runnable::from_link(link))
        }
    }
}

impl Drop for Round<'_> {
    /// Something unwinds, or nothing is left.
    #[inline]
    fn drop(&mut self) {
        if self.next.is_null() {
            return;
        }
        let younger = self.queue.take();
        // SAFETY: the rest of the round is a chain up to `last`, as the younger tasks are; each goes
        // to the queue once, because `younger` is forgotten.
        unsafe {
            self.queue.splice(self.next, self.last);
            if !younger.next.is_null() {
                self.queue.splice(younger.next, younger.last);
            }
        }
        core::mem::forget(younger);
    }
}
