//! The waker of a traced poll.

use core::{
    mem::ManuallyDrop,
    task::{RawWaker, RawWakerVTable, Waker},
};

use super::observer::Tracer;
use super::raw::RawTask;
use super::waker;

/// Who reads a trace looks for these functions by their names.
static VTABLE: RawWakerVTable =
    RawWakerVTable::new(__jenny_clone_traced, __jenny_wake_traced, __jenny_wake_traced, drop);

/// What makes a waker that reports its clones. They are wakers of the task like any other, so nothing
/// of this outlives the poll.
pub(super) struct TracedWaker<'a> {
    task: RawTask,
    tracer: &'a dyn Tracer,
}

impl<'a> TracedWaker<'a> {
    /// # Safety
    /// The caller holds the task's `Runnable` for as long as the value lives.
    pub(super) unsafe fn new(task: RawTask, tracer: &'a dyn Tracer) -> Self {
        Self { task, tracer }
    }

    /// Gives the waker to the closure.
    pub(super) fn lend<R>(&self, scope: impl FnOnce(&Waker) -> R) -> R {
        let data = (&raw const *self).cast();
        // SAFETY: the functions of VTABLE keep the contract of `RawWaker`. They are thread-safe, since
        // a tracer is, and what they do to the task is. `clone` makes a waker with a reference of its
        // own; this one has none and is never dropped. `self` is borrowed as long as it lives.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) });
        scope(&waker)
    }
}

/// # Safety
/// The pointer is the data of a waker that [`TracedWaker::lend`] has lent.
unsafe fn traced<'a>(data: *const ()) -> &'a TracedWaker<'a> {
    // SAFETY: passed on from the caller; whoever made the waker borrows the value meanwhile.
    unsafe { &*data.cast() }
}

unsafe fn __jenny_clone_traced(data: *const ()) -> RawWaker {
    // SAFETY: called by a live waker.
    let TracedWaker { task, tracer } = unsafe { traced(data) };
    tracer.await_point(task.id());
    task.clone_reference();
    waker::raw(*task)
}

/// Also for a wake by value: nobody owns such a waker, so there is no reference to give up.
unsafe fn __jenny_wake_traced(data: *const ()) {
    // SAFETY: called by a live waker.
    let TracedWaker { task, tracer } = unsafe { traced(data) };
    tracer.await_point(task.id());
    task.wake_by_ref();
}

unsafe fn drop(_: *const ()) {}
