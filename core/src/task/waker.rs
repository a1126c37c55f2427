//! The one waker vtable of all tasks.

use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull,
    task::{RawWaker, RawWakerVTable, Waker},
};

use super::{
    header::{Header, Id},
    raw::RawTask,
};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker that borrows the `Runnable`'s hold on the cell, so that a poll counts no reference.
pub(super) struct BorrowedWaker(ManuallyDrop<Waker>);

impl BorrowedWaker {
    /// # Safety
    /// The caller holds the task's `Runnable` for as long as the waker lives.
    pub(super) unsafe fn new(task: RawTask) -> Self {
        // SAFETY: the functions of VTABLE keep the contract of `RawWaker`: they are thread-safe, and
        // each waker but this one owns a reference. This one is never dropped.
        Self(ManuallyDrop::new(unsafe { Waker::from_raw(raw(task)) }))
    }
}

impl Deref for BorrowedWaker {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.0
    }
}

pub(super) fn raw(task: RawTask) -> RawWaker {
    RawWaker::new(task.pointer().as_ptr().cast_const().cast(), &VTABLE)
}

/// The task of a waker, if it is one of this crate's; it is alive as long as the waker.
fn task_of(waker: &Waker) -> Option<RawTask> {
    // SAFETY: only `raw` makes wakers with this table.
    core::ptr::eq(waker.vtable(), &VTABLE).then(|| unsafe { task(waker.data()) })
}

/// The cell of the task that the waker wakes, and nothing else; null if that is none of this crate's.
#[inline]
pub(crate) fn cell_of(waker: &Waker) -> *const () {
    if core::ptr::eq(waker.vtable(), &VTABLE) { waker.data() } else { core::ptr::null() }
}

/// Asks for another poll of a task instead of waking it.
///
/// # Safety
/// The calling thread is in the poll of the task with this cell.
#[inline]
pub(crate) unsafe fn set_yielded(cell: *const ()) {
    // SAFETY: the poll keeps the cell alive, and the record is its poller's (rule S).
    unsafe { task(cell) }.record().yielded.set(true);
}

/// The id of the task whose waker this is, if it is one of this crate's: inside of a poll, with the
/// waker of the context, the task that is being polled; not in a poll for a traced dump, whose waker is
/// another one. From anywhere, whatever the scheduler.
///
/// ```
/// use core::{future::poll_fn, task::Poll};
///
/// use jenny_core::task::{self, Id};
///
/// /// The task that awaits this; `None` in the future of a `block_on`.
/// async fn this_task() -> Option<Id> {
///     poll_fn(|context| Poll::Ready(task::id_of(context.waker()))).await
/// }
/// ```
pub fn id_of(waker: &Waker) -> Option<Id> {
    task_of(waker).map(RawTask::id)
}

/// Whether the waker is that of a task which has completed, so that nobody needs it to be called.
pub fn has_completed(waker: &Waker) -> bool {
    task_of(waker).is_some_and(|task| task.state().is_complete())
}

/// Whether the waker is that of a task which has completed, and the last reference to it.
#[cfg(feature = "embassy-time-driver")]
pub(crate) fn is_last_of_completed(waker: &Waker) -> bool {
    task_of(waker).is_some_and(|task| task.state().is_last_of_completed())
}

/// # Safety
/// The pointer is the data of a waker made by [`raw`], which is alive.
unsafe fn task(data: *const ()) -> RawTask {
    // SAFETY: `raw` stored a non-null pointer to a cell, which the waker keeps alive.
    unsafe { RawTask::new(NonNull::new_unchecked(data.cast_mut().cast::<Header>())) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called by a live waker.
    let task = unsafe { task(data) };
    task.clone_reference();
    raw(task)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called by a waker that gives up its reference here.
    unsafe {
        let task = task(data);
        (task.vtable().wake)(task.pointer())
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called by a live waker.
    unsafe { task(data) }.wake_by_ref();
}

unsafe fn drop(data: *const ()) {
    // SAFETY: called by a waker that gives up its reference here.
    unsafe { task(data).drop_reference() }
}
