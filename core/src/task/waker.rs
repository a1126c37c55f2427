//! The one waker vtable of all tasks.

use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull,
    task::{RawWaker, RawWakerVTable, Waker},
};

use super::{header::Header, id::Id, raw::RawTask};

/// Of cells that are freed: wakers count.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// Of cells in places that stay: wakers are only addresses (rule 6).
static STAYING: RawWakerVTable =
    RawWakerVTable::new(clone_staying, wake_by_ref, wake_by_ref, forget);

/// A waker that borrows the `Runnable`'s hold on the cell, so that a poll counts no reference.
pub(super) struct BorrowedWaker(ManuallyDrop<Waker>);

impl BorrowedWaker {
    /// # Safety
    /// The caller holds the task's `Runnable` for as long as the waker lives. `stays` says that the
    /// cell's place does.
    #[inline]
    pub(super) unsafe fn new(task: RawTask, stays: bool) -> Self {
        let raw = if stays { raw_staying(task.pointer().as_ptr().cast()) } else { raw(task) };
        // SAFETY: the functions of both tables keep the contract of `RawWaker`: they are
        // thread-safe, and each waker but this one owns a reference, if it needs one. This one is
        // never dropped.
        Self(ManuallyDrop::new(unsafe { Waker::from_raw(raw) }))
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

fn raw_staying(data: *const ()) -> RawWaker {
    RawWaker::new(data, &STAYING)
}

fn is_staying(waker: &Waker) -> bool {
    core::ptr::eq(waker.vtable(), &STAYING)
}

/// The task of a waker, if it is one of this crate's; or, in a place that stays, of whatever task
/// is there: its state and its id can be read for as long as the waker lives.
fn task_of(waker: &Waker) -> Option<RawTask> {
    let is_ours = core::ptr::eq(waker.vtable(), &VTABLE) || is_staying(waker);
    // SAFETY: wakers with these tables have the address of a cell.
    is_ours.then(|| unsafe { task(waker.data()) })
}

/// The cell of the task that the waker wakes, and nothing else; null if that is none of this
/// crate's.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) fn cell_of(waker: &Waker) -> *const () {
    if core::ptr::eq(waker.vtable(), &VTABLE) { waker.data() } else { core::ptr::null() }
}

/// Asks for another poll of a task instead of waking it.
///
/// # Safety
/// The calling thread is in the poll of the task with this cell.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) unsafe fn set_yielded(cell: *const ()) {
    // SAFETY: the poll keeps the cell alive, and the record is its poller's (rule S).
    unsafe { task(cell) }.record().tags.spares.set_yielded();
}

/// A waker of the task that is being polled, which may cost no read-modify-write.
///
/// # Safety
/// The calling thread is in the poll of the task with this cell, which [`cell_of`] has found.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) unsafe fn clone_in_poll(cell: *const ()) -> Waker {
    // SAFETY: the poll keeps the cell alive; the waker gets the reference that is made.
    unsafe {
        let task = task(cell);
        task.clone_in_poll();
        Waker::from_raw(raw(task))
    }
}

/// Drops a waker of the task that is being polled, which may cost no read-modify-write.
///
/// # Safety
/// As for [`clone_in_poll`]; and the cell is that of the waker.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) unsafe fn drop_in_poll(waker: Waker) {
    let waker = ManuallyDrop::new(waker);
    // SAFETY: the waker's reference is given up, and not used again.
    unsafe { task(waker.data()).drop_in_poll() }
}

/// The id of the task whose waker this is, if it is one of this crate's: inside of a poll, with the
/// waker of the context, the task that is being polled; not in a poll for a traced dump, whose
/// waker is another one. From anywhere, whatever the scheduler.
///
/// A waker that outlives a task in a static place is a waker of whatever task comes there next.
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
    // Nobody knows how many there are of a waker that counts nothing.
    !is_staying(waker) && task_of(waker).is_some_and(|task| task.state().is_last_of_completed())
}

/// # Safety
/// The pointer is the data of a waker with one of the tables above, which is alive.
unsafe fn task(data: *const ()) -> RawTask {
    // SAFETY: it is a non-null pointer to a cell, which the waker keeps alive, or whose place
    // stays.
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
        // Those of cells that are freed have it.
        (task.vtable().wake.unwrap_unchecked())(task.pointer())
    }
}

unsafe fn clone_staying(data: *const ()) -> RawWaker {
    raw_staying(data)
}

unsafe fn forget(_: *const ()) {}

/// Also for wakers by value that count nothing.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called by a live waker.
    unsafe { task(data) }.wake_by_ref();
}

unsafe fn drop(data: *const ()) {
    // SAFETY: called by a waker that gives up its reference here.
    unsafe { task(data).drop_reference() }
}
