//! All live tasks of an executor, so that each can be cancelled.

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

    /// Takes a task that is not in it.
    #[inline]
    pub(super) fn bind(&self, task: &Runnable) {
        debug_assert!(task.owner().is_none(), "bound twice");
        task.set_owner(0);
        self.0.push_front(task.raw());
    }

    /// Unlinks a task that has ended.
    ///
    /// # Safety
    /// The task was bound here, and the reference is dropped without another call of this kind.
    #[inline]
    pub(super) unsafe fn unlink(&self, done: &OwnedRef) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.remove(done.raw().pointer()) };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cancels the tasks that are idle. The others are flagged for whoever would poll them.
    ///
    /// # Safety
    /// `cancelled` unlinks the task that it is given, and neither it nor the drop of a future binds or
    /// unlinks another one.
    pub(super) unsafe fn cancel(&self, cancelled: impl Fn(OwnedRef)) {
        // SAFETY: a node is a task in the list, whose reference keeps it alive; user code runs only
        // once it is claimed. What is unlinked is as the caller says.
        unsafe {
            self.0.for_each(|node| {
                if let Some(runnable) = Member(RawTask::new(node)).claim() {
                    cancelled(runnable.cancel());
                }
            });
        }
    }
}
