//! The scheduler of the jenny runtime: `no_std` + `alloc`, without a thread, a clock or a socket.
//!
//! Applications use the crate `jenny`, which brings those. This crate is for writing another
//! backend: for a chip, a GUI's event loop, a simulator. It is *stepped*: the backend calls
//! [`tick`](scheduler::stealing::Entered::tick) in a loop of its own and decides how to wait, so
//! the core never blocks and owns no thread. What a backend owes is in [`platform`].
//!
//! # The journey of a task
//!
//! ```text
//!   spawn ──▶ cell ──▶ queue ──▶ tick ──▶ poll ──▶ output ──▶ JoinHandle ──▶ freed
//!     1         2        3         4      5 │ ▲       7           8            9
//!                        ▲                  ▼ │
//!                        └───── wake ◀──── idle
//!                                 6
//! ```
//!
//! | | step | file, below `src` |
//! |---|---|---|
//! | 1 | `Handle::spawn`: on a worker of this scheduler without a shared write, elsewhere through an inbox | `scheduler/stealing/handle.rs`, `core.rs`; `scheduler/local/` |
//! | 2 | one allocation, the cell: header, record, and the bytes that future and output share. Out come a [`Runnable`](task::Runnable) and a [`JoinHandle`](task::JoinHandle) | `task/harness.rs`, `cell.rs`, `header.rs` |
//! | 3 | the `Runnable` waits in a LIFO slot, a ring, an overflow or an inbox | `queue/`, `scheduler/stealing/shared.rs` |
//! | 4 | a worker takes it, and binds it to its list of live tasks if nobody has yet | `scheduler/stealing/worker.rs`, `owned.rs` |
//! | 5 | `Runnable::run` polls once and says what became of the task: an [`Outcome`](task::Outcome) | `task/harness.rs`, `state.rs` |
//! | 6 | a waker that finds the task idle makes the next `Runnable` and hands it to the scheduler, the only call upwards | `task/waker.rs`, `raw.rs`, `schedule.rs` |
//! | 7 | the output takes the place of the future, the joiner is woken, the task leaves its list | `task/harness.rs`, `scheduler/stealing/core.rs` |
//! | 8 | the joiner takes the output | `task/join.rs` |
//! | 9 | the last reference frees the cell and gives back its count on the scheduler | `task/harness.rs`, `scheduler/counted.rs` |
//!
//! A task that is aborted, or that meets the [shutdown](scheduler), goes the same way: its future
//! is dropped where it would have been polled.
//!
//! # Floors
//!
//! A module imports only from floors below its own; `ci/floors.py` checks it.
//!
//! ```text
//!   6   embassy                           the time of Embassy's ecosystem
//!   5   single          smp               an executor for one core; for several
//!   4   scheduler                         ticks, stealing, idling, shutdown, budget
//!   3   owned           time              all live tasks, so that each can be cancelled; timers
//!   2   task            queue             they do not know each other
//!   1   lock  list  link  rand  frame
//!   0   platform  sync  payload           what a backend owes; real atomics or a model checker's
//! ```
//!
//! # Chips without compare-and-swap
//!
//! With the feature `critical-section` the program's critical section is all that is needed.
//! Otherwise:
//!
//! All atomics are [`portable_atomic`]'s. Where the processor has none of its own (Cortex-M0,
//! RISC-V without the A extension) the *final binary* says how they are made; a library cannot
//! know, so this one never does, and without a choice it does not compile for such a chip:
//!
//! ```toml
//! [dependencies]
//! jenny-core = "0.1"
//! # One core, and the program may mask interrupts:
//! portable-atomic = { version = "1", default-features = false, features =
//! ["unsafe-assume-single-core"] }
//! # Or, for several cores or under another system, with a crate that provides the critical section:
//! # portable-atomic = { version = "1", default-features = false, features = ["critical-section"] }
//! ```
//!
//! The two exclude each other. The first is unsound on several cores.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `alloc`, on by default | tasks on the heap, their names, and the schedulers. Without it the executor for one core runs tasks in static places, and the program has no allocator |
//! | `critical-section` | the executor for one core |
//! | `embassy-time-driver` | that, and Embassy's time: drivers, timers, and what HALs' drivers ask of tasks |
//! | `std` | `From<JoinError> for std::io::Error` and nothing else |
//!
//! # A whole backend
//!
//! One thread that sleeps in `std::thread::park`. `core/tests/stepped` steps two workers by
//! hand, without threads.
//!
//! ```
//! use std::{
//!     any::Any,
//!     cell::Cell,
//!     num::NonZeroU64,
//!     panic::{AssertUnwindSafe, catch_unwind},
//!     pin::Pin,
//!     process, ptr,
//!     sync::{
//!         Mutex, PoisonError,
//!         atomic::{AtomicU64, Ordering::Relaxed},
//!     },
//!     task::{Context, Poll, Waker},
//!     thread::{self, Thread},
//! };
//!
//! use jenny_core::{
//!     lock::RawLock,
//!     platform::{Frame, Platform, Unpark},
//!     scheduler::{Tick, local},
//! };
//!
//! thread_local! {
//!     static SLOT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
//! }
//! static NEXT_ID: AtomicU64 = AtomicU64::new(1);
//!
//! struct Lock(Mutex<()>);
//!
//! // SAFETY: a mutex excludes, orders, and is released when the closure unwinds.
//! unsafe impl RawLock for Lock {
//!     fn new() -> Self {
//!         Self(Mutex::new(()))
//!     }
//!
//!     fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
//!         let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
//!         critical()
//!     }
//! }
//!
//! /// A thread's unpark is sticky and idempotent already.
//! struct Wake(Thread);
//!
//! impl Unpark for Wake {
//!     fn unpark(&self) {
//!         self.0.unpark();
//!     }
//! }
//!
//! struct Threads;
//!
//! // SAFETY: the slot is a thread-local cell, the closure runs here and now, ids are counted up.
//! unsafe impl Platform for Threads {
//!     type Lock = Lock;
//!     type OwnersLock = Lock;
//!     type Unpark = Wake;
//!
//!     fn slot() -> *const Frame {
//!         SLOT.get()
//!     }
//!
//!     unsafe fn set_slot(frame: *const Frame) -> *const Frame {
//!         SLOT.replace(frame)
//!     }
//!
//!     fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
//!         catch_unwind(AssertUnwindSafe(f))
//!     }
//!
//!     fn abort() -> ! {
//!         process::abort()
//!     }
//!
//!     fn affinity(&self) -> usize {
//!         SLOT.with(|slot| ptr::from_ref(slot).addr())
//!     }
//!
//!     fn seed(&self) -> u64 {
//!         0
//!     }
//!
//!     fn task_ids(&self, count: u32) -> NonZeroU64 {
//!         NonZeroU64::new(NEXT_ID.fetch_add(u64::from(count), Relaxed)).unwrap()
//!     }
//! }
//!
//! let (handle, worker) =
//!     local::new(Threads, Wake(thread::current()), local::Config::default());
//! let elsewhere = handle.clone();
//! let mut answer = thread::spawn(move || elsewhere.spawn(async { 6 * 7 })).join().unwrap();
//!
//! worker.enter(|worker| {
//!     loop {
//!         match worker.tick() {
//!             Tick::Ran => {}
//!             Tick::Idle if answer.is_finished() => handle.close(),
//!             Tick::Idle => thread::park(),
//!             Tick::Stopped | Tick::HandedOff => break,
//!         }
//!     }
//! });
//!
//! let answer = Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop()));
//! assert!(matches!(answer, Poll::Ready(Ok(42))));
//! ```

#![no_std]
#![deny(missing_docs)]
// What only the schedulers use stays without them.
#![cfg_attr(not(feature = "alloc"), allow(dead_code, unused_imports))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test, jenny_loom, jenny_count))]
extern crate std;

#[cfg(feature = "embassy-time-driver")]
pub mod embassy;
mod frame;
mod link;
pub mod list;
pub mod lock;
#[cfg(feature = "alloc")]
pub mod owned;
mod payload;
pub mod platform;
pub mod queue;
mod rand;
#[cfg(feature = "alloc")]
mod recycler;
#[cfg(feature = "alloc")]
pub mod scheduler;
#[cfg(feature = "critical-section")]
pub mod single;
#[cfg(feature = "alloc")]
pub mod smp;
#[cfg(feature = "alloc")]
mod stock;
mod sync;
/// What models of chips without compare-and-swap need.
#[cfg(all(jenny_loom, feature = "critical-section"))]
#[doc(hidden)]
pub use self::sync::without_compare_and_swap;
#[cfg(jenny_count)]
#[doc(hidden)]
pub use sync::count;
pub mod task;
pub mod time;
