//! The part of a cell that does not depend on the future's type.

use core::{cell::Cell, mem::MaybeUninit, ptr::NonNull, task::Waker};

use super::id::IdCell;
use super::origin::Origin;
use super::state::State;
use crate::{
    link::Link,
    list::Pointers,
    sync::{Fused, UnsafeCell},
};

/// The first 40 bytes of a cell: all that a wake or a queue touches.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    /// Rule L (see `task/mod.rs`): belongs to the queue that the task is in.
    pub(super) link: Link,
    pub(super) vtable: &'static Vtable,
    /// The scheduler's shared part. The cell owns one count on it, until it is freed.
    pub(super) scheduler: NonNull<()>,
    pub(super) id: IdCell,
}

/// The next 48 bytes: what spawn, join and completion touch.
#[repr(C)]
pub(crate) struct Record {
    /// Rule O: belongs to the owned list that the task is bound to.
    pub(super) owned: Pointers<Header>,
    /// Rule J: belongs to whom the table in `state.rs` says.
    pub(super) join_waker: UnsafeCell<MaybeUninit<Waker>>,
    /// Where the task was spawned, and its name. Never changes.
    pub(super) origin: Origin,
    /// Rule B: which worker's owned list the task is bound to.
    pub(super) owner: Cell<Owner>,
    /// Rule S: what the stage holds.
    pub(super) stage: Cell<StageTag>,
    /// Rule S: the poll has asked for another one, without a wake.
    pub(super) yielded: Cell<bool>,
}

/// A header and its record, which lie next to each other in every cell.
#[repr(C)]
pub(super) struct Prefix {
    pub(super) header: Header,
    pub(super) record: Record,
}

/// The index of a worker, of which a scheduler has at most 65,534, off by one; or none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(u16);

impl Owner {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) fn worker(index: u16) -> Self {
        Self(index.wrapping_add(1))
    }

    #[inline]
    pub(super) fn index(self) -> Option<u16> {
        self.0.checked_sub(1)
    }
}

/// What the bytes of the stage mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum StageTag {
    Future,
    Output,
    Panicked,
    Cancelled,
    /// Nothing: moved out, or dropped.
    Consumed,
}

/// Polls with a tracer.
type Trace = unsafe fn(NonNull<Header>, &dyn super::Tracer) -> super::Outcome;

/// What has to know the future's or the scheduler's type. Declared here, filled in `harness.rs`.
pub(super) struct Vtable {
    /// Polls or cancels; consumes the `Runnable`.
    pub(super) run: unsafe fn(NonNull<Header>) -> super::Outcome,
    /// As `run`, and says where the future leaves its waker; none if the system takes no traces.
    pub(super) trace: Option<Trace>,
    /// Drops the future and completes as cancelled; consumes the `Runnable`.
    pub(super) cancel: unsafe fn(NonNull<Header>) -> super::OwnedRef,
    /// Hands the `Runnable` to the scheduler.
    pub(super) schedule: unsafe fn(NonNull<Header>, Fused<'_>),
    /// Hands a finished task to the worker that owns it.
    pub(super) retire: unsafe fn(super::OwnedRef),
    /// Wakes the task, and consumes the reference of its waker.
    pub(super) wake: unsafe fn(NonNull<Header>),
    /// Moves the output to a `Poll<Result<T, JoinError>>`, for one unit of the polling task's budget
    /// if that is asked for; false if there is none left.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut (), charged: bool) -> bool,
    /// Drops the output in place.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// Frees the cell and gives back its count on the scheduler.
    pub(super) free: unsafe fn(NonNull<Header>),
    /// Ends the program.
    pub(super) abort: fn() -> !,
}
