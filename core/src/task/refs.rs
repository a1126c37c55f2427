//! The handles of the scheduler: the right to run a task, and the owned list's reference.

use core::{fmt, mem::ManuallyDrop, ptr::NonNull};

use super::header::{Header, Ran};
use super::id::Id;
use super::marks::Owner;
use super::observer::Tracer;
use super::raw::RawTask;
use super::state::Cancel;
use crate::link::{Chain, Link};

/// The right to run a task, which exists exactly while the task is scheduled or being polled.
///
/// Dropping it cancels the task: nothing is lost in a queue that goes away.
#[must_use = "a dropped Runnable cancels its task"]
pub struct Runnable(RawTask);

// SAFETY: the state word allows one Runnable at a time and hands the future over with it (rule 1);
// that a future which is not `Send` only runs on its own thread is promised by `task::new`'s
// caller.
unsafe impl Send for Runnable {}
// SAFETY: a shared Runnable only gives the id and the place of the spawn, which never change.
unsafe impl Sync for Runnable {}

/// What became of a task that was run.
#[must_use]
#[derive(Debug)]
pub enum Outcome {
    /// It was woken while it ran: queue it behind the others.
    Again(Runnable),
    /// It waits, and its waker makes the next `Runnable`; or it has ended in a place that stays.
    Idle,
    /// It is complete: take it out of the owned list it is bound to, then drop the reference.
    Done(OwnedRef),
    /// It is complete, and has [left](super::Schedule::disown) the owned list that it was bound to.
    Left,
}

impl Outcome {
    /// # Safety
    /// The task's `Runnable` was run, and this came of it.
    #[inline]
    unsafe fn of(task: RawTask, ran: Ran) -> Self {
        // SAFETY: passed on from the caller.
        unsafe {
            match ran {
                Ran::Again => Self::Again(Runnable::new(task)),
                Ran::Idle => Self::Idle,
                Ran::Done => Self::Done(OwnedRef::new(task)),
                Ran::Left => Self::Left,
            }
        }
    }
}

impl Runnable {
    /// # Safety
    /// The caller was given the Runnable by the state word.
    pub(super) unsafe fn new(task: RawTask) -> Self {
        Self(task)
    }

    fn into_raw(self) -> RawTask {
        ManuallyDrop::new(self).0
    }

    /// Polls the future once, or drops it if the task was aborted. From the scheduler's thread.
    #[inline]
    pub fn run(self) -> Outcome {
        let task = self.into_raw();
        // SAFETY: this consumes the Runnable, which keeps the cell alive.
        unsafe { Outcome::of(task, (task.vtable().run)(task.pointer())) }
    }

    /// As [`run`](Self::run), and tells the tracer where the future waits. Without, if the
    /// scheduler takes no traces.
    #[cold]
    pub(crate) fn run_traced(self, tracer: &dyn Tracer) -> Outcome {
        let Some(trace) = self.0.vtable().trace else { return self.run() };
        let task = self.into_raw();
        // SAFETY: this consumes the Runnable, which keeps the cell alive.
        unsafe { Outcome::of(task, trace(task.pointer(), tracer)) }
    }

    /// Drops the future and completes the task as cancelled. From a thread that may drop the
    /// future.
    pub fn cancel(self) -> OwnedRef {
        let task = self.into_raw();
        // SAFETY: this consumes the Runnable, which keeps the cell alive.
        unsafe { (task.vtable().cancel)(task.pointer()) }
    }

    /// The task's id.
    #[inline]
    pub fn id(&self) -> Id {
        self.0.id()
    }

    /// Where the task was spawned.
    #[cfg(feature = "alloc")]
    pub fn spawned_at(&self) -> &'static core::panic::Location<'static> {
        self.0.spawned_at()
    }

    /// The name that the task was spawned with.
    pub fn name(&self) -> Option<&str> {
        // SAFETY: the origin never changes, and the Runnable keeps the cell alive.
        unsafe { (*self.0.origin()).name() }
    }

    /// The worker whose owned list the task is bound to.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn owner(&self) -> Option<u16> {
        // Rule B: the holder of the Runnable may read.
        self.0.record().tags.owner.get().index()
    }

    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn is_owned_by(&self, worker: u16) -> bool {
        // Rule B: as above.
        self.0.record().tags.owner.get() == Owner::worker(worker)
    }

    /// Binds the task to a worker.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn set_owner(&self, worker: u16) {
        // Rule B: the holder of an unbound task's Runnable may write.
        self.0.record().tags.owner.set(Owner::worker(worker));
    }

    pub(crate) fn raw(&self) -> RawTask {
        self.0
    }

    /// The address of the cell, as [`cell_of`](super::cell_of) has it.
    #[inline]
    pub(crate) fn cell(&self) -> *const () {
        self.0.pointer().as_ptr().cast_const().cast()
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY: this consumes the Runnable.
        unsafe { (self.0.vtable().discard)(self.0.pointer()) }
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runnable").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The owned list's reference to a task that has completed.
pub struct OwnedRef(RawTask);

// SAFETY: the task is complete: what is left of it is atomics and memory.
unsafe impl Send for OwnedRef {}
// SAFETY: as above.
unsafe impl Sync for OwnedRef {}

impl OwnedRef {
    /// # Safety
    /// The task has just completed, and the caller did that.
    pub(super) unsafe fn new(task: RawTask) -> Self {
        Self(task)
    }

    /// The worker whose owned list the task is in; `None` if it never was in one.
    #[cfg(feature = "alloc")]
    pub(crate) fn owner(&self) -> Option<u16> {
        // Rule B: after completion nobody writes.
        self.0.record().tags.owner.get().index()
    }

    /// Whether the task is in this worker's owned list.
    #[cfg(feature = "alloc")]
    pub(crate) fn is_owned_by(&self, worker: u16) -> bool {
        // Rule B: as above.
        self.0.record().tags.owner.get() == Owner::worker(worker)
    }

    pub(crate) fn raw(&self) -> RawTask {
        self.0
    }

    pub(super) fn into_raw(self) -> RawTask {
        ManuallyDrop::new(self).0
    }
}

impl Drop for OwnedRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: gives up the reference that this value is, of a complete task.
        unsafe { self.0.drop_last_reference() }
    }
}

impl fmt::Debug for OwnedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedRef").field("id", &self.0.id()).finish_non_exhaustive()
    }
}

/// # Safety
/// The pointer came from [`link_of`], and the cell is alive.
unsafe fn task_of(link: NonNull<Link>) -> RawTask {
    // SAFETY: the link is a field of the header, and `link_of` kept the provenance of the cell.
    unsafe { RawTask::new(link.byte_sub(core::mem::offset_of!(Header, link)).cast()) }
}

fn link_of(task: RawTask) -> NonNull<Link> {
    // SAFETY: the cell is alive; no reference is made, so the pointer reaches the whole cell.
    unsafe { NonNull::new_unchecked(&raw mut (*task.pointer().as_ptr()).link) }
}

// SAFETY: rule L: a Runnable is in at most one queue and is what keeps the cell alive there.
unsafe impl Chain for Runnable {
    fn into_link(self) -> NonNull<Link> {
        link_of(self.into_raw())
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        // SAFETY: the caller's link came from `into_link`.
        Self(unsafe { task_of(link) })
    }
}

// SAFETY: rule L: a complete task is in no run queue, and its owned reference keeps the cell alive.
unsafe impl Chain for OwnedRef {
    fn into_link(self) -> NonNull<Link> {
        link_of(self.into_raw())
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        // SAFETY: the caller's link came from `into_link`.
        Self(unsafe { task_of(link) })
    }
}

/// A task in an owned list, seen by the list's owner.
pub(crate) struct Member(pub(crate) RawTask);

impl Member {
    /// Claims the task for cancellation if it is idle; otherwise flags it for whoever runs it.
    pub(crate) fn claim(&self) -> Option<Runnable> {
        match self.0.state().cancel() {
            // SAFETY: by rule 1 the cancellation made the Runnable.
            Cancel::Claimed => Some(unsafe { Runnable::new(self.0) }),
            Cancel::Busy | Cancel::Complete => None,
        }
    }
}
