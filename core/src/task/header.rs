//! The part of a cell that does not depend on the future's type.

use core::{ptr::NonNull, task::Waker};

use super::id::IdCell;
use super::join_waker::JoinWaker;
use super::membership::{Membership, Tags};
use super::origin::Origin;
use super::state::State;
use crate::{
    link::Link,
    sync::{AtomicPtr, Fused, Ordering, const_unless_checked},
};

/// The first 40 bytes of a cell: all that a wake or a queue touches.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    /// Rule L (see `task/mod.rs`): belongs to the queue that the task is in.
    pub(super) link: Link,
    pub(super) vtable: &'static Vtable,
    /// The scheduler's shared part. The cell owns one count on it, until it is freed.
    pub(super) scheduler: SchedulerCell,
    pub(super) id: IdCell,
}

/// The address of a task's scheduler.
///
/// Atomic, because a shutdown may look at any time whose task is in a place that stays.
pub(super) struct SchedulerCell(AtomicPtr<()>);

impl SchedulerCell {
    const_unless_checked! {
        /// Null, of a place that has never had a task.
        #[inline]
        pub(super) fn new(scheduler: *mut ()) -> Self {
            Self(AtomicPtr::new(scheduler))
        }
    }

    #[inline]
    pub(super) fn set(&self, scheduler: NonNull<()>) {
        // Ordering: Relaxed, here and below; the store that starts the task is the Release.
        self.0.store(scheduler.as_ptr(), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> NonNull<()> {
        // SAFETY: there is or was a task, and only what is not null is stored.
        unsafe { NonNull::new_unchecked(self.0.load(Ordering::Relaxed)) }
    }
}

/// The next 48 bytes: what spawn, join and completion touch.
#[repr(C)]
pub(crate) struct Record {
    pub(super) membership: Membership<Header>,
    /// Rule J: belongs to whom the table in `state.rs` says.
    pub(super) join_waker: JoinWaker,
    /// Where the task was spawned, and its name. Never changes.
    pub(super) origin: Origin,
    pub(super) tags: Tags,
}

/// A header and its record, which lie next to each other in every cell.
#[repr(C)]
pub(super) struct Prefix {
    pub(super) header: Header,
    pub(super) record: Record,
}

/// Polls with a tracer.
type Trace = unsafe fn(NonNull<Header>, &dyn super::Tracer) -> Ran;

/// Moves an output.
type TakeOutput = unsafe fn(NonNull<Header>, *mut (), charged: bool) -> bool;

/// What became of the `Runnable` that was run: an [`Outcome`](super::Outcome) in one register, with
/// its variants in the same order. The first two are numbered as the state word's exchange fails and
/// succeeds.
#[repr(usize)]
pub(super) enum Ran {
    /// It is to be queued again.
    Again = 0,
    /// It is no more.
    Idle = 1,
    /// It is no more, and the owned list's reference is the caller's.
    Done = 2,
    /// It is no more, the task has ended and left its owned list, and its cell may be gone.
    Left = 3,
}

/// What has to know the future's or the scheduler's type. Declared here, filled in `harness.rs`.
pub(super) struct Vtable {
    /// Polls or cancels; consumes the `Runnable`.
    pub(super) run: unsafe fn(NonNull<Header>) -> Ran,
    /// As `run`, and says where the future leaves its waker; none if the system takes no traces.
    pub(super) trace: Option<Trace>,
    /// Drops the future and completes as cancelled; consumes the `Runnable`.
    pub(super) cancel: unsafe fn(NonNull<Header>) -> super::OwnedRef,
    /// Hands the `Runnable` to the scheduler.
    pub(super) schedule: unsafe fn(NonNull<Header>, Fused<'_>),
    /// As `cancel`, and hands the finished task to the worker that owns it.
    pub(super) discard: unsafe fn(NonNull<Header>),
    /// Wakes the task, and consumes the reference of its waker; none if wakers have none.
    pub(super) wake: Option<unsafe fn(NonNull<Header>)>,
    /// Moves the output to a `Poll<Result<T, JoinError>>`, for one unit of the polling task's budget
    /// if that is asked for; false if there is none left. None if there never was a `JoinHandle`.
    pub(super) take_output: Option<TakeOutput>,
    /// Drops the output in place. None as above.
    pub(super) drop_output: Option<unsafe fn(NonNull<Header>)>,
    /// [`Schedule::CLONE_WAKER`](super::Schedule::CLONE_WAKER); without an allocator there are no
    /// schedulers that have it.
    #[cfg(feature = "alloc")]
    pub(super) clone_waker: Option<fn(&Waker) -> Waker>,
    /// Frees the cell and gives back its count on the scheduler.
    pub(super) free: unsafe fn(NonNull<Header>),
    /// Ends the program.
    pub(super) abort: fn() -> !,
}
