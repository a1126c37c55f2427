//! The live tasks of an executor that lie on the heap, so that each can be cancelled. Those in
//! places that stay are found there ([`tasks_of`](crate::task::tasks_of)).

use crate::{
    list::FrontList,
    owned::Link,
    task::{Member, OwnedRef, RawTask, Runnable},
};

/// The list, for the code that runs the tasks (`!Sync`).
pub(super) struct LiveTasks(FrontList<Link>);

// SAFETY: the list is a set of pointers to tasks, each of which may be touched from any thread;
// that only one thread at a time has the list is what `!Sync` says.
unsafe impl Send for LiveTasks {}

impl LiveTasks {
    pub(super) const fn new() -> Self {
        Self(FrontList::new())
    }

    /// Whether the task is one that the list has yet to take.
    #[inline]
    pub(super) fn wants(&self, task: &Runnable) -> bool {
        task.owner().is_none()
    }

    /// Takes a task that it wants.
    #[inline]
    pub(super) fn bind(&self, task: &Runnable) {
        debug_assert!(self.wants(task), "bound twice");
        task.set_owner(0);
        self.0.push_front(task.raw());
    }

    /// Unlinks a task that has ended, if it is here.
    ///
    /// # Safety
    /// It is a task of this executor, and the reference is dropped without another call of this
    /// kind.
    #[inline]
    pub(super) unsafe fn unlink(&self, done: &OwnedRef) {
        if done.is_owned_by(0) {
            // SAFETY: the executor's tasks are bound here, and nowhere else.
            unsafe { self.0.remove(done.raw().pointer()) };
        }
    }

    /// Takes back a task that was run to its end.
    ///
    /// # Safety
    /// It is a task of this executor.
    #[inline]
    pub(super) unsafe fn retire(&self, done: OwnedRef) {
        // SAFETY: passed on from the caller; there is one reference of this kind.
        unsafe { self.unlink(&done) };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls the closure with each task.
    ///
    /// # Safety
    /// The closure unlinks no task but the one that it is given, and binds none.
    pub(super) unsafe fn for_each(&self, visit: impl Fn(Member)) {
        // SAFETY: a node is a task in the list, whose reference keeps it alive; the rest is passed
        // on.
        unsafe { self.0.for_each(|node| visit(Member(RawTask::new(node)))) }
    }
}
