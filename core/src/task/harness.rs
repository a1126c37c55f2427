//! The life of a task, where its types are known: poll, completion, cancellation.

use core::{
    alloc::Layout,
    future::Future,
    hint,
    mem::{self, ManuallyDrop},
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};

use super::cell::{Cell, End, Kind};
use super::header::{Header, Ran, Vtable};
use super::id::Id;
use super::join::{JoinError, JoinHandle};
use super::memory::Memory;
use super::observer::{Observer, TaskMeta, Tracer};
use super::raw::RawTask;
use super::refs::{OwnedRef, Runnable};
use super::schedule::Schedule;
use super::spawned::Spawned;
use super::state::{EndPoll, Seen, StartPoll, Wake};
use super::trace::TracedWaker;
use super::waker::BorrowedWaker;
use crate::{
    frame::enter_task,
    platform::{PanicPayload, Platform},
    sync::Fused,
};

/// The size and the alignment of a task's cell.
pub(crate) const fn layout<F: Future, S>() -> Layout {
    Layout::new::<Cell<F, S>>()
}

/// Makes a task that is scheduled, in a place of the caller's: run, queue or cancel its
/// [`Runnable`].
///
/// # Safety
/// - The place is the caller's to give away, has [`layout`], and may be given back to `M`. If
///   places of
///   `M` stay, the caller has reserved it.
/// - One count on the scheduler has been taken for the cell, so that `scheduler` stays valid until
///   [`Schedule::release`].
/// - If the future or its output is not `Send`, the scheduler runs and cancels the task on this
///   thread only. If the future borrows, the task is complete before the borrow ends.
#[inline]
pub(crate) unsafe fn new_in<F, S, M>(
    place: NonNull<u8>,
    future: F,
    scheduler: NonNull<S>,
    id: Option<Id>,
    spawned: Spawned<'_>,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future,
    S: Schedule,
    M: Memory<S>,
{
    // SAFETY: passed on; the new state word counts one Runnable and the JoinHandle's reference.
    unsafe {
        let task = make::<F, S, M, true>(place, future, scheduler, id, spawned);
        (Runnable::new(task), JoinHandle::new(task))
    }
}

/// As [`new_in`], without a `JoinHandle`, in a place that stays.
///
/// # Safety
/// As there.
#[cfg(feature = "critical-section")]
#[inline]
pub(crate) unsafe fn new_detached_in<F, S, M>(
    place: NonNull<u8>,
    future: F,
    scheduler: NonNull<S>,
    spawned: Spawned<'_>,
) -> Runnable
where
    F: Future,
    S: Schedule,
    M: Memory<S>,
{
    // SAFETY: passed on; the new state word counts one Runnable.
    unsafe { Runnable::new(make::<F, S, M, false>(place, future, scheduler, None, spawned)) }
}

/// # Safety
/// As for [`new_in`]; whether there is a `JoinHandle` says `JOINED`.
#[inline]
unsafe fn make<F, S, M, const JOINED: bool>(
    place: NonNull<u8>,
    future: F,
    scheduler: NonNull<S>,
    id: Option<Id>,
    spawned: Spawned<'_>,
) -> RawTask
where
    F: Future,
    S: Schedule,
    M: Memory<S>,
{
    const { assert!(JOINED || M::STAYS, "wakers on the heap count beside the owned list") };
    let vtable = const {
        &Vtable {
            run: run::<F, S, M, JOINED>,
            trace: if S::TRACES { Some(trace::<F, S>) } else { None },
            cancel: cancel::<F, S, JOINED>,
            schedule: schedule::<S>,
            discard: discard_task::<F, S, M, JOINED>,
            wake: if M::STAYS { None } else { Some(wake::<S>) },
            take_output: if JOINED { Some(take_output::<F, S>) } else { None },
            drop_output: if JOINED { Some(drop_output::<F, S>) } else { None },
            #[cfg(feature = "alloc")]
            clone_waker: S::CLONE_WAKER,
            free: free::<F, S, M>,
            abort: <S::Platform as Platform>::abort,
        }
    };
    // SAFETY: the place is as the caller says.
    unsafe {
        let kind = Kind { stays: M::STAYS, is_joined: JOINED };
        let of = (scheduler.cast(), vtable);
        let task = RawTask::new(Cell::<F, S>::write(place, kind, future, of, id, spawned));
        if let Some(observer) = S::observer(scheduler) {
            tell::<S>(task, |task| observer.spawned(task));
        }
        task
    }
}

/// # Safety
/// Consumes the Runnable of a live cell of these types.
unsafe fn run<F: Future, S: Schedule, M: Memory<S>, const JOINED: bool>(
    header: NonNull<Header>,
) -> Ran {
    // SAFETY: the Runnable keeps the cell alive and gives exclusive access to the stage (rule S). In a
    // place that stays the task is in no list, so what that refers to it by is ours.
    unsafe {
        let task = RawTask::new(header);
        let ran = match task.state().start_poll() {
            StartPoll::Poll(seen) => {
                let waker = BorrowedWaker::new(task, M::STAYS);
                poll::<F, S, JOINED>(task, M::STAYS, seen, &waker, F::poll)
            }
            StartPoll::Cancel => cancelled::<F, S, JOINED>(header),
        };
        if M::STAYS && matches!(ran, Ran::Done) {
            leave_place::<F, S, M, JOINED>(header);
            return Ran::Idle;
        }
        ran
    }
}

/// Gives up the owned list's reference to a task in a place that stays.
///
/// # Safety
/// It is the caller's, and the task, of these types, has completed.
#[inline(always)]
unsafe fn leave_place<F: Future, S: Schedule, M: Memory<S>, const JOINED: bool>(
    header: NonNull<Header>,
) {
    // SAFETY: passed on; without a handle there is no other reference.
    unsafe {
        if JOINED {
            drop(OwnedRef::new(RawTask::new(header)));
        } else {
            free::<F, S, M>(header);
        }
    }
}

/// As [`cancel`], for whoever would have polled the task.
///
/// # Safety
/// As there.
#[cold]
unsafe fn cancelled<F: Future, S: Schedule, const JOINED: bool>(header: NonNull<Header>) -> Ran {
    // SAFETY: passed on; the reference is the caller's by what this returns.
    let _ = unsafe { cancel::<F, S, JOINED>(header) }.into_raw();
    Ran::Done
}

/// # Safety
/// Consumes the Runnable of a live cell of these types.
unsafe fn discard_task<F: Future, S: Schedule, M: Memory<S>, const JOINED: bool>(
    header: NonNull<Header>,
) {
    // SAFETY: passed on. The reference keeps the cell, and the cell's count the scheduler, until it is
    // handed over, and the implementation promises to stay alive until it returns.
    unsafe {
        let done = cancel::<F, S, JOINED>(header);
        if M::STAYS {
            leave_place::<F, S, M, JOINED>(done.into_raw().pointer());
        } else {
            S::retire(done.raw().scheduler().cast(), done);
        }
    }
}

/// As `run`, with a waker that reports its clones.
///
/// # Safety
/// As for `run`.
#[cold]
unsafe fn trace<F: Future, S: Schedule>(header: NonNull<Header>, tracer: &dyn Tracer) -> Ran {
    // SAFETY: as in `run`. The traced waker is gone before the Runnable and the tracer are.
    unsafe {
        let task = RawTask::new(header);
        let seen = match task.state().start_poll() {
            StartPoll::Poll(seen) => seen,
            StartPoll::Cancel => return cancelled::<F, S, true>(header),
        };
        let traced = TracedWaker::new(task, tracer);
        traced.lend(|waker| poll::<F, S, true>(task, false, seen, waker, __jenny_poll_traced::<F>))
    }
}

/// Marks the stack: above it are the future's own calls. Who reads a trace looks for this name.
#[inline(never)]
fn __jenny_poll_traced<F: Future>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let polled = future.poll(context);
    // Something is left to do: this is no tail call, which would take its frame from the stack.
    hint::black_box(());
    polled
}

/// Polls the future, in the given way, and draws the consequences.
///
/// # Safety
/// Consumes the Runnable of a live cell of these types.
#[inline(always)]
unsafe fn poll<F: Future, S: Schedule, const JOINED: bool>(
    task: RawTask,
    stays: bool,
    seen: Seen,
    waker: &Waker,
    poll: impl FnOnce(Pin<&mut F>, &mut Context<'_>) -> Poll<F::Output>,
) -> Ran {
    // SAFETY: the Runnable keeps the cell alive and gives exclusive access to the stage (rule S).
    unsafe {
        let cell = Cell::<F, S>::of(task.pointer());
        let observer = observer::<S>(task);
        if let Some(observer) = observer {
            tell::<S>(task, |task| observer.before_poll(task));
        }
        let polled = S::Platform::catch(|| cell.poll(&mut Context::from_waker(waker), poll));
        let panicked = match polled {
            Ok(Poll::Pending) => {
                if let Some(observer) = observer {
                    tell::<S>(task, |task| observer.after_poll(task));
                }
                if S::YIELDS && task.record().tags.take_yielded() {
                    return Ran::Again;
                }
                let ended = if stays {
                    task.state().end_quiet_poll(seen)
                } else {
                    task.state().end_poll(seen)
                };
                return match ended {
                    EndPoll::Idle => Ran::Idle,
                    EndPoll::Again => Ran::Again,
                };
            }
            Ok(Poll::Ready(output)) => match S::Platform::catch(|| cell.drop_future(JOINED)) {
                Ok(()) => leave::<F, S, JOINED>(cell, End::Output(output)),
                Err(panic) => {
                    discard::<S, _>(output);
                    leave::<F, S, JOINED>(cell, End::Panicked(panic))
                }
            },
            Err(panic) => leave_panic::<F, S, JOINED>(cell, panic),
        };
        if let Some(observer) = observer {
            tell::<S>(task, |task| observer.after_poll(task));
        }
        complete::<F, S, JOINED, true>(task, observer, panicked)
    }
}

/// Ends a task whose poll has panicked.
///
/// # Safety
/// Rule S: the caller holds the Runnable, and the stage is the future.
#[cold]
#[inline(never)]
unsafe fn leave_panic<F: Future, S: Schedule, const JOINED: bool>(
    cell: &Cell<F, S>,
    panic: PanicPayload,
) -> bool {
    // SAFETY: passed on from the caller.
    unsafe {
        if let Err(second) = S::Platform::catch(|| cell.drop_future(JOINED)) {
            discard::<S, _>(second);
        }
        leave::<F, S, JOINED>(cell, End::Panicked(panic))
    }
}

/// Leaves for the `JoinHandle` what became of the task; nobody wants it if there never was one.
/// Says whether it panicked.
///
/// # Safety
/// Rule S: the caller holds the Runnable, and the stage is consumed.
#[inline]
unsafe fn leave<F: Future, S: Schedule, const JOINED: bool>(
    cell: &Cell<F, S>,
    end: End<F::Output>,
) -> bool {
    let panicked = matches!(end, End::Panicked(_));
    if JOINED {
        // SAFETY: passed on from the caller.
        unsafe { cell.store(end) };
    } else {
        discard_end::<S, _>(end);
    }
    panicked
}

/// Runs what drops a value of the task's, which may ask whose task that is.
#[inline]
fn as_its_own<S: Schedule, R>(task: RawTask, run: impl FnOnce() -> R) -> R {
    if S::HAS_FRAMES { enter_task::<S::Platform, _>(task.id().0, run) } else { run() }
}

/// # Safety
/// Consumes the Runnable of a live cell of these types.
unsafe fn cancel<F: Future, S: Schedule, const JOINED: bool>(header: NonNull<Header>) -> OwnedRef {
    // SAFETY: as in `run`.
    unsafe {
        let (task, cell) = (RawTask::new(header), Cell::<F, S>::of(header));
        let drop = || S::Platform::catch(|| cell.drop_future(JOINED));
        // Also where no worker has said whose future this is: a spawner is refused, or late.
        let end = match as_its_own::<S, _>(task, drop) {
            Ok(()) => End::Cancelled,
            Err(panic) => End::Panicked(panic),
        };
        let panicked = leave::<F, S, JOINED>(cell, end);
        complete::<F, S, JOINED, false>(task, observer::<S>(task), panicked);
        OwnedRef::new(task)
    }
}

/// Ends a task: `Done`, or `Left`, which only a task is that `LEAVES` if it can.
///
/// # Safety
/// Consumes the Runnable; the future has been dropped, and what became of it is stored if there was
/// a `JoinHandle`. The observer is the scheduler's. A chip is spared the second copy, in `cancel`.
#[cfg_attr(not(target_os = "none"), inline(always))]
unsafe fn complete<F: Future, S: Schedule, const JOINED: bool, const LEAVES: bool>(
    task: RawTask,
    observer: Option<&dyn Observer>,
    panicked: bool,
) -> Ran {
    // SAFETY: exclusive access to the stage until the completion gives it to the JoinHandle, and
    // from then on only if there is none (rules S and J). The owned list's reference keeps the cell
    // alive until it is given up, which is the last use. The join waker is ours when the word says so;
    // the copy from before is it, by rule 4.
    unsafe {
        if let Some(observer) = observer {
            if panicked {
                tell::<S>(task, |task| observer.panicked(task));
            }
            tell::<S>(task, |task| observer.terminated(task));
        }
        if !JOINED {
            // Nobody looks at the word for the end of the task, and its place is vacant next.
            return Ran::Done;
        }
        // Only who may yield is known to be polled, and keeps references.
        let spare = if S::YIELDS { task.record().tags.close_spares() } else { 0 };
        if task.state().complete_alone(spare) {
            discard_rest::<F, S>(task);
            return Ran::Done;
        }
        let leaves = LEAVES && {
            let runnable = ManuallyDrop::new(Runnable::new(task));
            S::disown(task.scheduler().cast(), &runnable)
        };
        let mut waker = None;
        if leaves
            && task
                .state()
                .complete_and_leave(spare, || waker = Some(task.record().join_waker.copy()))
        {
            // The cell may be gone.
            if let Some(waker) = waker {
                wake_joiner::<S>(waker.into_waker());
            }
            return Ran::Left;
        }
        let completed = task.state().complete(spare);
        if !completed.join_interest {
            discard_rest::<F, S>(task);
        } else if completed.join_waker {
            wake_joiner::<S>(task.record().join_waker.copy().into_waker());
        }
        if leaves {
            task.drop_last_reference();
            return Ran::Left;
        }
        Ran::Done
    }
}

/// Calls a joiner's waker; a panic of it ends here.
#[inline]
fn wake_joiner<S: Schedule>(waker: Waker) {
    if let Err(panic) = S::Platform::catch(|| waker.wake()) {
        discard::<S, _>(panic);
    }
}

/// Drops what nobody joins for.
///
/// # Safety
/// The task is complete, and the output is the caller's.
#[inline]
unsafe fn discard_rest<F: Future, S: Schedule>(task: RawTask) {
    // SAFETY: passed on from the caller.
    if let Some(end) = unsafe { Cell::<F, S>::of(task.pointer()).take() } {
        discard_end::<S, _>(end);
    }
}

/// Who is told of the scheduler's tasks.
///
/// # Safety
/// The task belongs to this scheduler, and is alive during `'a`.
#[inline]
unsafe fn observer<'a, S: Schedule>(task: RawTask) -> Option<&'a dyn Observer> {
    // SAFETY: the cell's count keeps the scheduler alive as long as the task.
    if S::HAS_OBSERVER { unsafe { S::observer(task.scheduler().cast()) } } else { None }
}

/// Calls an observer; a panic in it ends here.
///
/// # Safety
/// The task is alive.
#[cold]
unsafe fn tell<S: Schedule>(task: RawTask, call: impl FnOnce(&TaskMeta<'_>)) {
    // SAFETY: passed on from the caller.
    let meta = unsafe { TaskMeta::new(task) };
    if let Err(panic) = S::Platform::catch(|| call(&meta)) {
        discard::<S, _>(panic);
    }
}

/// Drops a value of the user's; a panic of the drop ends here. If dropping that panic's payload
/// panics too, the second payload is leaked.
fn discard<S: Schedule, T>(value: T) {
    if let Err(panic) = S::Platform::catch(|| drop(value))
        && let Err(second) = S::Platform::catch(|| drop(panic))
    {
        mem::forget(second);
    }
}

fn discard_end<S: Schedule, T>(end: End<T>) {
    match end {
        End::Output(output) => discard::<S, T>(output),
        End::Panicked(payload) => discard::<S, PanicPayload>(payload),
        End::Cancelled => {}
    }
}

/// # Safety
/// Consumes the Runnable of a live cell of this scheduler; the caller is a worker of it, or holds a
/// reference to the task.
unsafe fn schedule<S: Schedule>(header: NonNull<Header>, fused: Fused<'_>) {
    // SAFETY: passed on; the cell's count keeps the scheduler alive.
    unsafe {
        let task = RawTask::new(header);
        S::schedule_fused(task.scheduler().cast(), Runnable::new(task), fused);
    }
}

/// # Safety
/// Consumes a waker's reference to a live cell of this scheduler.
unsafe fn wake<S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the cell, and the cell's count the scheduler, alive. By
    // rule 1 the wake that says so made the Runnable, which takes over from the reference.
    unsafe {
        let task = RawTask::new(header);
        let scheduler = task.scheduler().cast::<S>();
        let mut is_last = false;
        let woken = S::wake_here(scheduler, |fused| match task.state().wake_by_val(fused) {
            Wake::Schedule => Some(Runnable::new(task)),
            Wake::Nothing => None,
            Wake::Free => {
                is_last = true;
                None
            }
        });
        if !woken {
            // A foreign thread keeps its reference until the scheduler has returned: the cell's
            // count is what keeps the scheduler's inbox and unpark handle alive under it.
            task.wake_by_ref();
            task.drop_reference();
        } else if is_last {
            (task.vtable().free)(header);
        }
    }
}

/// # Safety
/// The task is complete, the output is the caller's, and the destination is a pending
/// `Poll<Result<F::Output, JoinError>>`.
unsafe fn take_output<F: Future, S: Schedule>(
    header: NonNull<Header>,
    destination: *mut (),
    charged: bool,
) -> bool {
    if charged && !S::charge() {
        return false;
    }
    // SAFETY: passed on from the caller.
    unsafe {
        let task = RawTask::new(header);
        let result = match Cell::<F, S>::of(header).take() {
            Some(End::Output(output)) => Ok(output),
            Some(End::Panicked(payload)) => Err(JoinError::panic(task.id(), payload)),
            Some(End::Cancelled) => Err(JoinError::cancelled(task.id())),
            None => panic!("a JoinHandle was polled after it had given its output"),
        };
        destination.cast::<Poll<Result<F::Output, JoinError>>>().write(Poll::Ready(result));
    }
    true
}

/// # Safety
/// The task is complete and the output is the caller's.
unsafe fn drop_output<F: Future, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: passed on from the caller.
    let (task, end) = unsafe { (RawTask::new(header), Cell::<F, S>::of(header).take()) };
    // It may have been taken already.
    let Some(end) = end else { return };
    // What is plain runs no code that could ask whose drop it is.
    let runs_code = match end {
        End::Cancelled => false,
        End::Output(_) => mem::needs_drop::<F::Output>(),
        End::Panicked(_) => true,
    };
    if runs_code {
        as_its_own::<S, _>(task, || discard_end::<S, _>(end));
    }
}

/// # Safety
/// The last reference has been dropped.
unsafe fn free<F: Future, S: Schedule, M: Memory<S>>(header: NonNull<Header>) {
    // SAFETY: nobody can reach the cell any more; its count keeps the scheduler alive until the
    // memory gives it back.
    unsafe {
        let scheduler =
            if M::STAYS { NonNull::dangling() } else { RawTask::new(header).scheduler().cast() };
        let place = Cell::<F, S>::end(header, M::STAYS);
        M::give_back(scheduler, place, layout::<F, S>());
    }
}
