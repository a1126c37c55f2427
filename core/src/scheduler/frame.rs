//! Finding out what the current thread is in.

use core::{
    future::Future,
    pin::Pin,
    ptr,
    task::{Context, Poll, Waker},
};

use crate::{
    frame::{BUDGET, Frame, enter, enter_task},
    owned::LocalOwnedTasks,
    platform::Platform,
    task::{self, Id, Runnable},
};

/// Gives the innermost frame of this thread to the closure.
#[inline]
pub(super) fn innermost<P: Platform, R>(f: impl FnOnce(Option<&Frame>) -> R) -> R {
    // SAFETY: the slot is null or points to the frame of a scope that this thread has not left, and
    // the borrow ends before the scope can.
    f(unsafe { P::slot().as_ref() })
}

/// Runs the closure with the task and the budget of the frame outside of this one.
pub(super) fn as_outer<R>(frame: &Frame, run: impl FnOnce() -> R) -> R {
    struct GiveBack<'a> {
        inner: &'a Frame,
        outer: Option<&'a Frame>,
    }

    impl Drop for GiveBack<'_> {
        fn drop(&mut self) {
            if let Some(outer) = self.outer {
                outer.set_budget(self.inner.budget());
                if self.inner.take_refusal() {
                    outer.refuse();
                }
            }
            self.inner.end_task();
        }
    }

    // SAFETY: a frame's outer frame outlives it.
    let outer = unsafe { frame.outer().as_ref() };
    if let Some(outer) = outer {
        frame.adopt(outer);
    }
    let _give_back = GiveBack { inner: frame, outer };
    run()
}

/// The innermost frame of this thread that has a worker of the scheduler.
///
/// Scopes nest: a waker of an outer scheduler finds its worker below the inner one's.
///
/// # Safety
/// The caller stays inside the frame's scope for as long as it uses the frame.
#[inline]
pub(super) unsafe fn with_worker_of<'a, P: Platform>(scheduler: *const ()) -> Option<&'a Frame> {
    let mut frame = P::slot();
    // SAFETY: as in `innermost`; a frame's outer frame outlives it.
    while let Some(current) = unsafe { frame.as_ref() } {
        if ptr::eq(current.scheduler(), scheduler) && !current.local().is_null() {
            return Some(current);
        }
        frame = current.outer();
    }
    None
}

/// Takes a task that completes in this thread's poll out of a worker's list, if it is in that one. Then
/// its cell may soon be another task's, which nobody may take for the one that is polled here.
///
/// # Safety
/// As for [`LocalOwnedTasks::leave`].
#[inline]
pub(super) unsafe fn disown<P: Platform>(owned: &LocalOwnedTasks, task: &Runnable) -> bool {
    // SAFETY: passed on from the caller.
    let leaves = unsafe { owned.leave(task) };
    if leaves {
        innermost::<P, _>(|frame| frame.map(Frame::end_poll));
    }
    leaves
}

/// The owner-only state that this thread has of a scheduler, or null.
#[inline]
pub(super) fn local_of<P: Platform>(scheduler: *const ()) -> *const () {
    // SAFETY: the frame is used here only.
    unsafe { with_worker_of::<P>(scheduler) }.map_or(ptr::null(), Frame::local)
}

/// What the current thread or core is in.
#[derive(Debug)]
pub struct Current<P>(core::marker::PhantomData<P>);

impl<P: Platform> Current<P> {
    /// The id of the task that is being polled or dropped on this thread.
    pub fn task_id() -> Option<Id> {
        innermost::<P, _>(|frame| frame.and_then(Frame::task)).map(task::Id)
    }

    /// An id for a task that no scheduler of this crate spawns.
    pub fn new_task_id(platform: &P) -> Id {
        task::Id(platform.task_ids(1))
    }

    /// Wakes a task in its own poll, which is about to return `Pending`: it is polled again behind the
    /// others. `waker` is the poll's.
    ///
    /// The same as `waker.wake_by_ref()`, and cheaper where the poll is that of a worker. Another
    /// waker, of a future that polls this one on its own account, is woken.
    #[inline]
    pub fn yield_now(waker: &Waker) {
        let cell = task::cell_of(waker);
        if innermost::<P, _>(|frame| frame.is_some_and(|frame| frame.is_polling(cell))) {
            // SAFETY: this thread is in the poll of the task with this cell.
            unsafe { task::set_yielded(cell) }
        } else {
            waker.wake_by_ref();
        }
    }

    /// A clone of a waker. The same as `waker.clone()`, and cheaper in the poll of the waker's own task.
    #[inline]
    pub fn clone_waker(waker: &Waker) -> Waker {
        let cell = task::cell_of(waker);
        if innermost::<P, _>(|frame| frame.is_some_and(|frame| frame.is_polling(cell))) {
            // SAFETY: this thread is in the poll of the task with this cell.
            unsafe { task::clone_in_poll(cell) }
        } else {
            waker.clone()
        }
    }

    /// Drops a waker. The same as `drop(waker)`, and cheaper in the poll of the waker's own task.
    #[inline]
    pub fn drop_waker(waker: Waker) {
        let cell = task::cell_of(&waker);
        if innermost::<P, _>(|frame| frame.is_some_and(|frame| frame.is_polling(cell))) {
            // SAFETY: this thread is in the poll of the task with this cell, which is the waker's.
            unsafe { task::drop_in_poll(waker) }
        } else {
            drop(waker);
        }
    }

    /// Lets the innermost tick that this thread is in return after the task that is running.
    pub fn end_tick() {
        innermost::<P, _>(|frame| frame.map(Frame::end_tick));
    }

    /// Runs a task that is no part of a scheduler on this thread: it has an id and no budget.
    pub fn enter_blocking<R>(id: Id, run: impl FnOnce() -> R) -> R {
        enter_task::<P, _>(id.0, run)
    }

    /// Polls a future that is no task (the root of a `block_on`) with a budget of its own, and says
    /// whether a resource was refused a unit of it.
    pub fn poll_root<F: Future>(
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> (Poll<F::Output>, bool) {
        enter::<P, _>(ptr::null(), ptr::null(), |frame| {
            frame.set_budget(Some(BUDGET));
            (future.poll(context), frame.take_refusal())
        })
    }
}
