//! Who wants to know what happens to tasks.

use core::{fmt, marker::PhantomData};

use super::id::Id;
use super::raw::RawTask;

/// What is known about a task while it is alive.
#[derive(Clone, Copy)]
pub struct TaskMeta<'a> {
    task: RawTask,
    _alive: PhantomData<&'a ()>,
}

impl<'a> TaskMeta<'a> {
    /// # Safety
    /// The cell is alive during `'a`.
    pub(crate) unsafe fn new(task: RawTask) -> Self {
        Self { task, _alive: PhantomData }
    }

    /// The task's id.
    #[inline]
    pub fn id(&self) -> Id {
        self.task.id()
    }

    /// The name that the task was spawned with.
    pub fn name(&self) -> Option<&'a str> {
        // SAFETY: the origin never changes, and the cell is alive during `'a`.
        unsafe { (*self.task.origin()).name() }
    }

    /// Where the task was spawned.
    #[cfg(feature = "alloc")]
    pub fn spawned_at(&self) -> &'static core::panic::Location<'static> {
        self.task.spawned_at()
    }
}

impl fmt::Debug for TaskMeta<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TaskMeta");
        shown.field("id", &self.id());
        // SAFETY: as above.
        unsafe { (*self.task.origin()).show(&mut shown) };
        shown.finish()
    }
}

/// Is told of the life of every task of a scheduler, on the thread where it happens.
///
/// For each task: `spawned` once, then `before_poll` and `after_poll` in pairs, then `panicked` if it
/// did, then `terminated` once. A call may spawn and wake. A panic in it stays in it.
pub trait Observer: Send + Sync + 'static {
    /// The task exists; nobody has it yet.
    fn spawned(&self, task: &TaskMeta<'_>) {
        let _ = task;
    }

    /// The task is about to be polled.
    fn before_poll(&self, task: &TaskMeta<'_>) {
        let _ = task;
    }

    /// The task has been polled; if that was the last time, its future has been dropped.
    fn after_poll(&self, task: &TaskMeta<'_>) {
        let _ = task;
    }

    /// The task's end is a panic, of a poll or of the drop of its future.
    fn panicked(&self, task: &TaskMeta<'_>) {
        let _ = task;
    }

    /// The task has ended, and its future is gone. Whoever joins it hears of it after this.
    fn terminated(&self, task: &TaskMeta<'_>) {
        let _ = task;
    }
}

/// Watches where tasks wait, in a traced dump.
///
/// A task waits where it leaves its waker, and what it leaves is a clone. So it is polled with a waker
/// that reports each clone, whatever the future is made of.
pub trait Tracer: Send + Sync + 'static {
    /// Whether there is time to poll another task.
    fn has_time(&self) -> bool;

    /// Called in the middle of a poll, with the future's calls on the stack: here it leaves its waker,
    /// or wakes itself. On the thread that polls, or on one that the future has lent its waker to. A
    /// panic in it is the task's.
    fn await_point(&self, task: Id);
}

impl fmt::Debug for dyn Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
