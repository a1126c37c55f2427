//! The handles of the user: wait for a task, or abort it.

use core::{
    fmt,
    future::Future,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::id::Id;
use super::marks::StageTag;
use super::raw::RawTask;
use super::state::{Cancel, DropJoin};
use crate::{
    payload::{self, PanicPayload},
    sync::fused,
};

/// Waits for a task to finish; the owner of its output.
///
/// Dropping the handle detaches the task, which goes on. Awaiting it is cancel safe. Awaiting again
/// after it gave its result panics. May be awaited from any task, thread or runtime.
pub struct JoinHandle<T> {
    task: RawTask,
    _output: PhantomData<T>,
}

// SAFETY: the handle gives away a T by value from whichever thread polls it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: through a shared handle only the id, the state and `abort` are reachable, all atomic.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    /// The caller gives away the JoinHandle's reference of a task whose output is a `T`.
    pub(super) unsafe fn new(task: RawTask) -> Self {
        Self { task, _output: PhantomData }
    }

    /// Asks for the task to be cancelled: its future is dropped by its scheduler, never here.
    ///
    /// Awaiting the handle then yields a [`JoinError`] that is
    /// [cancelled](JoinError::is_cancelled), unless the task finishes first. From any thread.
    pub fn abort(&self) {
        abort(self.task);
    }

    /// Whether the task has finished. If so, awaiting the handle does not wait.
    pub fn is_finished(&self) -> bool {
        self.task.state().is_complete()
    }

    /// Waits for the task to finish, and leaves its output where it is. Ready at once and for ever
    /// after that.
    ///
    /// While it is pending, the waker of the last poll, and no other, is woken: once. Takes nothing
    /// from the budget.
    pub fn poll_finished(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_finished() || register(self.task, context.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// What awaiting the handle gives, if the task has finished. Takes nothing from the budget.
    ///
    /// # Panics
    /// If the handle has given it already.
    pub fn try_join(&mut self) -> Option<Result<T, JoinError>> {
        if !self.is_finished() {
            return None;
        }
        let mut output = Poll::Pending;
        // SAFETY: the task is complete.
        unsafe { self.take_output(&mut output, false) };
        match output {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// A handle that can only abort the task.
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.clone_reference();
        AbortHandle(self.task)
    }

    /// The task's id.
    #[inline]
    pub fn id(&self) -> Id {
        self.task.id()
    }

    /// Moves the output out; false if that is to be charged to a budget which is exhausted.
    ///
    /// # Safety
    /// The task is complete.
    #[inline]
    unsafe fn take_output(
        &mut self,
        output: &mut Poll<Result<T, JoinError>>,
        charged: bool,
    ) -> bool {
        let output = (&raw mut *output).cast();
        // SAFETY: the task is complete and its output is the handle's; the place has the type that the
        // task was made with, together with this handle.
        unsafe {
            let take_output = self.task.vtable().take_output.unwrap_unchecked();
            take_output(self.task.pointer(), output, charged)
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.task.state().is_complete() && !register(self.task, context.waker()) {
            return Poll::Pending;
        }
        let mut output = Slot(Poll::Pending);
        // SAFETY: the task is complete.
        if !unsafe { self.get_mut().take_output(&mut output.0, true) } {
            context.waker().wake_by_ref();
        }
        output.0
    }
}

/// Where an output arrives, as a rule on the stack. A small one comes by a store of 16 bytes, which takes
/// a dozen nanoseconds more if it lies on two pages.
#[cfg_attr(target_pointer_width = "64", repr(align(16)))]
struct Slot<T>(Poll<Result<T, JoinError>>);

/// Leaves the waker for whoever completes the task. True if the task is complete instead.
///
/// For the `JoinHandle` only. Once for all types of output.
fn register(task: RawTask, waker: &Waker) -> bool {
    let (state, slot) = (task.state(), &task.record().join_waker);
    if state.has_join_waker() {
        if slot.copy().is(waker) {
            return state.is_complete();
        }
        if state.unset_join_waker().is_err() {
            return true;
        }
        // SAFETY: rule J: with the flag clear the slot is the handle's, and still holds the
        // waker.
        drop(unsafe { slot.copy().into_waker() });
    }
    // Rule J: the flag is clear and the task was incomplete, so the slot is the handle's, and what it
    // has is nobody's.
    slot.put(clone_waker(task, waker));
    if state.set_join_waker().is_err() {
        // SAFETY: rule J: the flag was not set at completion, so the slot stayed the handle's.
        drop(unsafe { slot.copy().into_waker() });
        return true;
    }
    false
}

/// A task that waits for another mostly has a reference to spare.
#[inline]
fn clone_waker(task: RawTask, waker: &Waker) -> Waker {
    #[cfg(feature = "alloc")]
    if let Some(clone) = task.vtable().clone_waker {
        return clone(waker);
    }
    let _ = task;
    waker.clone()
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle's reference is given up here.
        unsafe { give_up(self.task) }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("JoinHandle", self.task, f)
    }
}

/// Aborts a task without waiting for it. May be cloned, and outlive the task.
pub struct AbortHandle(RawTask);

// SAFETY: only the id, the state and `abort` are reachable, all atomic.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}
impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        abort(self.0);
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.0.state().is_complete()
    }

    /// The task's id.
    #[inline]
    pub fn id(&self) -> Id {
        self.0.id()
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        self.0.clone_reference();
        Self(self.0)
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        // SAFETY: gives up the reference that this handle is.
        unsafe { self.0.drop_reference() }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("AbortHandle", self.0, f)
    }
}

fn abort(task: RawTask) {
    if task.state().cancel() == Cancel::Claimed {
        // SAFETY: by rule 1 the cancellation made the Runnable; the handle's reference keeps the
        // scheduler alive.
        fused(|fused| unsafe { (task.vtable().schedule)(task.pointer(), fused) });
    }
}

/// The end of a `JoinHandle`, whatever it waited for.
///
/// # Safety
/// Consumes the handle's reference.
unsafe fn give_up(task: RawTask) {
    let mut waker = None;
    let dropped = task.state().drop_join(|| {
        // The copy becomes a waker only if the transition makes it ours.
        waker = Some(task.record().join_waker.copy());
    });
    match (dropped, waker) {
        // SAFETY: the transition made the waker ours, and nobody looks at the slot again.
        (DropJoin::Detached, Some(waker)) => drop(unsafe { waker.into_waker() }),
        (DropJoin::Detached, None) => {}
        // SAFETY: the task is complete, and the output and the reference are ours (rule S). It was
        // made with a handle.
        (DropJoin::Complete, _) => unsafe {
            if task.stage() != StageTag::Consumed {
                (task.vtable().drop_output.unwrap_unchecked())(task.pointer());
            }
            task.drop_last_reference();
        },
    }
}

fn debug(name: &str, task: RawTask, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (complete, cancelled, scheduled) = task.state().snapshot();
    let mut shown = f.debug_struct(name);
    shown.field("id", &task.id());
    task.record().origin.show(&mut shown);
    shown
        .field("complete", &complete)
        .field("cancelled", &cancelled)
        .field("scheduled", &scheduled)
        .finish()
}

/// Why a task has no output: it was cancelled, or it panicked.
pub struct JoinError {
    id: Id,
    payload: Option<PayloadCell>,
}

/// Makes the payload `Sync`: it can only be moved out.
struct PayloadCell(PanicPayload);

// SAFETY: a shared reference gives no access to the payload but its type's `str` view, which is
// `Sync` itself.
unsafe impl Sync for PayloadCell {}

impl JoinError {
    pub(super) fn cancelled(id: Id) -> Self {
        Self { id, payload: None }
    }

    pub(super) fn panic(id: Id, payload: PanicPayload) -> Self {
        Self { id, payload: Some(PayloadCell(payload)) }
    }

    /// Whether the task was aborted, or its runtime shut down, before it finished.
    pub fn is_cancelled(&self) -> bool {
        self.payload.is_none()
    }

    /// Whether the task panicked: in a poll, or in the drop of its future.
    pub fn is_panic(&self) -> bool {
        self.payload.is_some()
    }

    /// The payload of the panic, for `std::panic::resume_unwind`.
    ///
    /// # Panics
    /// If the task did not panic.
    #[track_caller]
    pub fn into_panic(self) -> PanicPayload {
        self.try_into_panic().expect(
            "the task was cancelled, it did not panic: check `is_panic` or use `try_into_panic`",
        )
    }

    /// The payload of the panic.
    ///
    /// # Errors
    /// The error itself, if the task did not panic.
    pub fn try_into_panic(self) -> Result<PanicPayload, JoinError> {
        match self.payload {
            Some(PayloadCell(payload)) => Ok(payload),
            None => Err(self),
        }
    }

    /// The id of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// What the panic said, if it said a string.
    fn message(&self) -> Option<&str> {
        payload::message(&self.payload.as_ref()?.0)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.payload, self.message()) {
            (None, _) => write!(f, "task {} was cancelled", self.id),
            (Some(_), Some(message)) => {
                write!(f, "task {} panicked with message {message:?}", self.id)
            }
            (Some(_), None) => write!(f, "task {} panicked", self.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.payload, self.message()) {
            (None, _) => write!(f, "JoinError::Cancelled({:?})", self.id),
            (Some(_), Some(message)) => {
                write!(f, "JoinError::Panic({:?}, {message:?}, ...)", self.id)
            }
            (Some(_), None) => write!(f, "JoinError::Panic({:?}, ...)", self.id),
        }
    }
}

impl core::error::Error for JoinError {}

#[cfg(feature = "std")]
impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> Self {
        let message = if error.is_cancelled() { "task was cancelled" } else { "task panicked" };
        Self::other(message)
    }
}
