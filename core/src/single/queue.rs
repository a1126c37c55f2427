//! The run queue of an executor: a FIFO of tasks by their links, for one who runs them.

use core::{cell::Cell, ptr, ptr::NonNull};

use crate::{
    link::{Chain, Link},
    task::Runnable,
};

/// A queue that only one may touch at a time (`!Sync`). What is left in it is leaked.
pub(super) struct Queue {
    /// Null if the queue is empty. From here links lead to `last`, and the queue owns their tasks.
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

    /// Puts a task behind the others.
    #[inline]
    pub(super) fn push(&self, task: Runnable) {
        let link = task.into_link();
        // SAFETY: the queue owns the task from here on.
        unsafe { link.as_ref() }.set_next(ptr::null_mut());
        self.splice(link.as_ptr(), link.as_ptr());
    }

    /// Puts the tasks of a chain, which leads from the newest to the oldest, behind the others, the
    /// oldest first. Says how many there are.
    ///
    /// # Safety
    /// Every link of the chain came from [`Chain::into_link`], the last holds null, and the caller
    /// gives their tasks away.
    pub(super) unsafe fn append(&self, newest: NonNull<Link>) -> usize {
        let (mut first, mut rest, mut len) = (ptr::null_mut(), newest.as_ptr(), 0);
        while !rest.is_null() {
            // SAFETY: the queue owns the tasks of the chain from here on.
            let link = unsafe { &*rest };
            let next = link.next();
            link.set_next(first);
            (first, rest) = (rest, next);
            len += 1;
        }
        self.splice(first, newest.as_ptr());
        len
    }

    /// Takes over a chain of tasks, whose last link is null.
    #[inline]
    fn splice(&self, first: *mut Link, last: *mut Link) {
        if self.is_empty() {
            self.first.set(first);
        } else {
            // SAFETY: the queue is not empty, and owns the task of its last link.
            unsafe { (*self.last.get()).set_next(first) };
        }
        self.last.set(last);
    }

    /// Takes the oldest task.
    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        let link = NonNull::new(self.first.get())?;
        // SAFETY: the queue owns the task, and gives it away.
        unsafe {
            self.first.set(link.as_ref().next());
            Some(Runnable::from_link(link))
        }
    }

    /// Takes the tasks that are in the queue now, and none that comes meanwhile.
    pub(super) fn round(&self) -> impl Iterator<Item = Runnable> {
        let mut last = (!self.is_empty()).then(|| self.last.get());
        core::iter::from_fn(move || {
            if last? == self.first.get() {
                last = None;
            }
            self.pop()
        })
    }
}
