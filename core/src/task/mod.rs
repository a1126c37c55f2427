//! The task system: one allocation per task, one state word, one vtable.
//!
//! # A task's life
//!
//! ```text
//!              new()                       start_poll()
//!   future ──────────▶ scheduled ─────────────────────────▶ being polled
//!                          ▲  ▲                              │  │  │
//!                          │  │        end_poll() = Again    │  │  │ Ready, panic, cancelled
//!                          │  └──────────────────────────────┘  │  ▼
//!                          │                                    │ complete() ──▶ output ──▶ JoinHandle
//!                          │ wake: 0 → 1      end_poll() = Idle │                   │
//!                          └──────────────── idle ◀─────────────┘                   ▼
//!                                                             last reference: free()
//! ```
//!
//! [`new`] makes a cell and two handles: the [`Runnable`] goes to a queue, the [`JoinHandle`] to
//! the user. A scheduler that takes a `Runnable` from a queue [runs](Runnable::run) it and gets an
//! [`Outcome`]: nothing more to do, queue it again, or done. A waker that finds the task idle makes
//! the next `Runnable` and hands it to [`Schedule::schedule`], the only call from here up.
//!
//! A third reference exists from the start without a handle: the owned list's. A scheduler keeps
//! all its tasks in lists, so that it can cancel them; the reference comes back as the [`OwnedRef`]
//! in [`Outcome::Done`], and with it the order to take the task out of its list. A task that is joined
//! and [leaves its list](Schedule::disown) as it completes gives the reference up there and then; and
//! places that stay are in a list for ever: there, too, [`Runnable::run`] gives it up itself.
//!
//! # Who may touch what
//!
//! The cell is shared; these rules say who may use the parts of it that are not atomic. Rules 1 to 6
//! are in `state.rs`, next to the transitions that enforce them.
//!
//! - **Rule S, stage**: the holder of the `Runnable`, exclusively. After completion, if the state
//!   word then had JOIN_INTEREST, the `JoinHandle`; otherwise whoever completed the task.
//! - **Rule J, join waker**: the second table in `state.rs`. While JOIN_WAKER is set the slot has a
//!   waker that nobody overwrites. Completion gives it to the completer, once; a handle that withdraws
//!   with one transition before that gets it back. Anybody may copy what is there at any time; a copy
//!   becomes a waker only for whom the word says that it is theirs, and that it is not out of date
//!   (rule 4).
//! - **Rule L, link**: the queue that holds the task's `Runnable` or its `OwnedRef`. There is at
//!   most one of these, and it is in at most one queue. Without an allocator there are no queues of
//!   ended tasks, and it belongs to the stage from the end of the future on.
//! - **Rule O, owned pointers**: the owned list of the worker that the task is bound to, under that
//!   list's own rule (only its worker touches it). A task in a place that stays is in none.
//! - **Rule B, owner**: written once, by the holder of the `Runnable` before the first poll; read by
//!   later holders and by whoever has the `OwnedRef`.
//!
//! # Panics
//!
//! User code runs in `Future::poll`, in the drop of a future, an output or a panic payload, and in
//! the join waker and in an [`Observer`]. Each of these calls is made through
//! [`Platform::catch`](crate::platform::Platform::catch): a panic in a poll or in the drop of a
//! future becomes the task's [`JoinError`], every other one ends where it happened.

mod cell;
mod harness;
mod header;
#[cfg(feature = "alloc")]
mod heap;
mod id;
mod join;
mod join_waker;
mod marks;
#[cfg(feature = "alloc")]
mod membership;
#[cfg(not(feature = "alloc"))]
#[path = "no_membership.rs"]
mod membership;
mod memory;
mod observer;
#[cfg(feature = "alloc")]
mod origin;
#[cfg(not(feature = "alloc"))]
#[path = "unnamed.rs"]
mod origin;
#[cfg(feature = "alloc")]
mod place;
#[cfg(not(feature = "alloc"))]
#[path = "no_place.rs"]
mod place;
mod raw;
mod refs;
mod schedule;
#[cfg(feature = "alloc")]
mod snapshot;
#[cfg(feature = "alloc")]
mod spares;
mod spawned;
mod state;
mod trace;
#[cfg(feature = "critical-section")]
mod vacancy;
mod waker;

#[cfg(feature = "alloc")]
pub use self::heap::new;
pub use self::id::Id;
pub use self::join::{AbortHandle, JoinError, JoinHandle};
pub use self::observer::{Observer, TaskMeta, Tracer};
pub use self::place::Place;
pub use self::refs::{Outcome, OwnedRef, Runnable};
pub use self::schedule::Schedule;
#[cfg(feature = "alloc")]
pub use self::snapshot::{Snapshot, TaskState};
pub use self::spawned::Spawned;

#[cfg(feature = "critical-section")]
pub(crate) use self::memory::Memory;
#[cfg(feature = "embassy-time-driver")]
pub(crate) use self::waker::is_last_of_completed;
#[cfg(feature = "alloc")]
pub(crate) use self::waker::{cell_of, clone_in_poll, drop_in_poll, set_yielded};
pub use self::waker::{has_completed, id_of};
#[cfg(feature = "critical-section")]
pub(crate) use self::{
    id::take_ids,
    vacancy::{Vacancy, tasks_of},
};

#[cfg(feature = "critical-section")]
pub(crate) use self::harness::new_detached_in;
pub(crate) use self::harness::{layout, new_in};
pub(crate) use self::header::Header;
#[cfg(feature = "alloc")]
pub(crate) use self::heap::Heap;
pub(crate) use self::raw::RawTask;
pub(crate) use self::refs::Member;
#[cfg(feature = "alloc")]
pub(crate) use self::snapshot::Held;
