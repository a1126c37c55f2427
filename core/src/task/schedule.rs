//! What a task needs from its scheduler.

use core::{ptr::NonNull, task::Waker};

use super::observer::Observer;
use super::place::Place;
use super::{OwnedRef, Runnable};
use crate::{
    platform::Platform,
    sync::{Fused, fused},
};

/// The upward edge: implemented by the schedulers, called by wakers and by finished tasks.
///
/// # Safety
/// - [`schedule`](Self::schedule) neither loses the `Runnable` nor runs it before it returns,
///   except
///   to cancel it when it can no longer be queued. The task of a future that is not `Send` is run,
///   cancelled and retired on its own thread only.
/// - A scheduler counts its cells: `this` stays valid as long as one of them has not been
///   [`release`](Self::release)d.
pub unsafe trait Schedule: Sized + Send + Sync + 'static {
    /// The system below.
    type Platform: Platform;

    /// Whether its tasks can be polled with a [`Tracer`](super::Tracer), which takes code for each
    /// type of future.
    const TRACES: bool = false;

    /// Whether its tasks can ask for another poll without a wake, by
    /// [`Current::yield_now`](crate::scheduler::Current::yield_now).
    const YIELDS: bool = false;

    /// Whether a drop can ask whose task it belongs to, by
    /// [`Current::task_id`](crate::scheduler::Current::task_id).
    const HAS_FRAMES: bool = true;

    /// Whether there can be an [`observer`](Self::observer).
    const HAS_OBSERVER: bool = true;

    /// A cheaper way to clone the waker of a poll that waits for one of its tasks, if it has one.
    const CLONE_WAKER: Option<fn(&Waker) -> Waker> = None;

    /// Queues a task. From any thread, core or interrupt.
    ///
    /// # Safety
    /// `this` is alive until the call returns: on the scheduler's own worker because the worker
    /// holds it, elsewhere because the caller holds a reference to the task.
    unsafe fn schedule(this: NonNull<Self>, task: Runnable);

    /// As [`schedule`](Self::schedule), in the same critical section as the wake, if that takes
    /// one.
    ///
    /// # Safety
    /// As there.
    #[doc(hidden)]
    #[inline]
    unsafe fn schedule_fused(this: NonNull<Self>, task: Runnable, fused: Fused<'_>) {
        let _ = fused;
        // SAFETY: passed on from the caller.
        unsafe { Self::schedule(this, task) }
    }

    /// On a worker of this scheduler, where its task may be woken without a reference that keeps
    /// the scheduler alive: calls the closure, which wakes one, and queues what it gives. False
    /// elsewhere.
    ///
    /// # Safety
    /// `this` is alive when it is called.
    #[doc(hidden)]
    #[inline]
    unsafe fn wake_here(
        this: NonNull<Self>,
        wake: impl FnOnce(Fused<'_>) -> Option<Runnable>,
    ) -> bool {
        let is_local = Self::is_local(this);
        if is_local {
            fused(|fused| {
                if let Some(task) = wake(fused) {
                    // SAFETY: the worker keeps the scheduler alive.
                    unsafe { Self::schedule_fused(this, task, fused) }
                }
            });
        }
        is_local
    }

    /// A task that somebody joins is about to complete on this thread, which holds its `Runnable`. On the
    /// worker that it belongs to: takes it out of its owned list, leaves the list's reference to the
    /// caller, and forgets that it polls this cell, which may be gone next. False elsewhere, and
    /// nothing has been done.
    ///
    /// # Safety
    /// `this` is alive, and the task, which is one of its, completes before its `Runnable` is used for
    /// anything else.
    #[inline]
    unsafe fn disown(this: NonNull<Self>, task: &Runnable) -> bool {
        let _ = (this, task);
        false
    }

    /// Takes back the owned list's reference of a task that completed outside a worker's tick.
    ///
    /// # Safety
    /// As for [`schedule`](Self::schedule).
    unsafe fn retire(this: NonNull<Self>, done: OwnedRef);

    /// Whether the calling thread is a worker of this scheduler.
    fn is_local(this: NonNull<Self>) -> bool;

    /// Who is told of this scheduler's tasks.
    ///
    /// # Safety
    /// `this` is alive during `'a`.
    unsafe fn observer<'a>(this: NonNull<Self>) -> Option<&'a dyn Observer> {
        let _ = this;
        None
    }

    /// Takes back the place of a cell that has ended, and then the cell's count. From any thread,
    /// core or interrupt.
    ///
    /// # Safety
    /// The count was taken for the cell; `this` is not used again on its behalf.
    unsafe fn release(this: NonNull<Self>, place: Place);

    /// Takes one unit from the budget of the task that the calling thread polls; false if there is
    /// none left.
    fn charge() -> bool;
}
