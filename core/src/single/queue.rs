//! The run queue of an executor: a FIFO of tasks by their links, for one who runs them.

use core::{cell::Cell, iter, ptr, ptr::NonNull};

use crate::{
    link::{Chain, Link},
    task::Runnable,
};

/// A queue that only one may touch at a time (`!Sync`). What is left in it is leaked.
pub(super) struct Queue {
    /// The link of the newest task; null if the queue is empty. It leads to the oldest and so on, back
    /// to itself, and the queue owns their tasks. So one word finds both ends.
    last: Cell<*mut Link>,
}

// SAFETY: the queue owns its tasks, which are `Send`, and shares them with nobody.
unsafe impl Send for Queue {}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { last: Cell::new(ptr::null_mut()) }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.last.get().is_null()
    }

    /// Puts a task behind the others.
    #[inline]
    pub(super) fn push(&self, task: Runnable) {
        let link = task.into_link();
        // SAFETY: the queue owns the task from here on.
        unsafe { self.splice(link, link) };
    }

    /// Puts the tasks of a chain, which leads from the newest to the oldest, behind the others, the
    /// oldest first. Says how many there are.
    ///
    /// # Safety
    /// Every link of the chain came from [`Chain::into_link`], the last holds null, and the caller
    /// gives their tasks away.
    pub(super) unsafe fn append(&self, newest: NonNull<Link>) -> usize {
        let (mut oldest, mut len) = (newest, 1);
        // SAFETY: the queue owns the tasks of the chain from here on.
        unsafe {
            let mut rest = newest.as_ref().next();
            while let Some(older) = NonNull::new(rest) {
                rest = older.as_ref().next();
                older.as_ref().set_next(oldest.as_ptr());
                oldest = older;
                len += 1;
            }
            self.splice(oldest, newest);
        }
        len
    }

    /// Takes over a chain of tasks, from the oldest to the newest, whose link may hold anything.
    ///
    /// # Safety
    /// As for [`append`](Self::append), but for the order.
    #[inline]
    unsafe fn splice(&self, oldest: NonNull<Link>, newest: NonNull<Link>) {
        // SAFETY: the caller gives the tasks of the chain; the queue owns its last.
        unsafe {
            let first = match NonNull::new(self.last.get()) {
                None => oldest.as_ptr(),
                Some(last) => {
                    let first = last.as_ref().next();
                    last.as_ref().set_next(oldest.as_ptr());
                    first
                }
            };
            newest.as_ref().set_next(first);
        }
        self.last.set(newest.as_ptr());
    }

    /// Takes the oldest task.
    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        let last = NonNull::new(self.last.get())?;
        // SAFETY: the queue owns its tasks, and gives the first one away.
        unsafe {
            let first = NonNull::new_unchecked(last.as_ref().next());
            if first == last {
                self.last.set(ptr::null_mut());
            } else {
                last.as_ref().set_next(first.as_ref().next());
            }
            Some(Runnable::from_link(first))
        }
    }

    /// Takes the tasks that are in the queue now, and none that comes meanwhile.
    pub(super) fn round(&self) -> impl Iterator<Item = Runnable> {
        let mut last = self.last.get();
        iter::from_fn(move || {
            let newest = NonNull::new(last).and(NonNull::new(self.last.get()))?;
            // SAFETY: the queue owns its tasks.
            if unsafe { newest.as_ref() }.next() == last {
                last = ptr::null_mut();
            }
            self.pop()
        })
    }
}
