//! An executor for one core, in a static: with a heap or without, in thread mode or in an interrupt.
//!
//! ```text
//!   spawn, wake ──▶ inbox ──▶ queue ──▶ poll ──▶ idle ··· wake
//!   (anywhere)       │          ▲         │ woken meanwhile
//!                    │          └─────────┘
//!                    └── empty, twice ──▶ Board::wait (WFI, interrupts masked)
//! ```
//!
//! The tasks are those of the other schedulers, with the same handles: a
//! [`JoinHandle`](crate::task::JoinHandle) waits, takes the output and aborts; a shutdown cancels
//! all. What differs is where they live:
//!
//! - on the heap: [`Executor::spawn`], or [`Executor::try_spawn`] where it may be full;
//! - in a [`TaskPool`]: a static of N places. Nothing is allocated, and after
//!   [`TaskPool::reserve`] a spawn cannot fail.
//!
//! [`Board`] is what the chip owes: how to wait for an interrupt, and little else. The global
//! `critical-section` implementation has to be that of one core, and comes from the chip's crate.
//!
//! Each poll takes one task from the queue; a task that wakes itself goes behind the others.
//!
//! # What the other schedulers have, and this one has not
//!
//! - *A budget.* What waits for interrupts is seldom ready over and over, and counting would cost each
//!   poll. A task that takes from a channel which others keep full has to yield now and then, by
//!   `embassy_futures::yield_now` for instance; what else is queued runs before it goes on.
//! - *`Current::task_id`.* Who is polled is known from the waker:
//!   [`task::id_of`](crate::task::id_of), which costs nothing where nobody asks.
//!
//! # Several priorities
//!
//! Each executor is a static of its own. One at interrupt priority is a static whose
//! [`Board::pend`] sets its interrupt pending, and whose handler is
//! [`Executor::on_interrupt`]; it preempts the one that [runs](Executor::run) in `main`. Tasks of
//! both may wake each other.
//!
//! # No lost wake
//!
//! Before it sleeps the executor masks interrupts, looks once more at its inbox, by loads alone, and
//! calls [`Board::wait`] under the same mask. An interrupt before the mask has put its task into the
//! inbox, where the look finds it. One that comes later is pending, which ends WFI although
//! it is masked; its handler runs when the mask is lifted, and then the executor looks again.
//!
//! # Example
//!
//! ```
//! # mod desktop {
//! #     use std::sync::{Mutex, MutexGuard};
//! #     static LOCK: Mutex<()> = Mutex::new(());
//! #     static mut HELD: Option<MutexGuard<'static, ()>> = None;
//! #     thread_local! { static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) } }
//! #     struct Desktop;
//! #     critical_section::set_impl!(Desktop);
//! #     unsafe impl critical_section::Impl for Desktop {
//! #         unsafe fn acquire() -> bool {
//! #             let nested = DEPTH.replace(DEPTH.get() + 1) > 0;
//! #             if !nested { let guard = LOCK.lock().unwrap(); unsafe { HELD = Some(guard) } }
//! #             nested
//! #         }
//! #         unsafe fn release(nested: bool) {
//! #             DEPTH.set(DEPTH.get() - 1);
//! #             if !nested { #[allow(static_mut_refs)] drop(unsafe { HELD.take() }) }
//! #         }
//! #     }
//! # }
//! use jenny_core::single::{Board, Executor, Idle, TaskPool, task_size};
//!
//! struct Chip;
//!
//! impl Board for Chip {
//!     fn wait(&self, _: Idle<'_>) {
//!         // WFI, on a chip.
//!         std::thread::yield_now();
//!     }
//! }
//!
//! static EXECUTOR: Executor<Chip> = Executor::new(Chip);
//! static SUMS: TaskPool<{ task_size(&sum) }, 2> = TaskPool::new();
//!
//! async fn sum(upto: u32) -> u32 {
//!     (1..=upto).sum()
//! }
//!
//! EXECUTOR.run(|spawner| {
//!     let small = SUMS.spawn_local(spawner, sum(4)).unwrap();
//!     let large = SUMS.spawn_local(spawner, sum(100)).unwrap();
//!     let third = SUMS.spawn_local(spawner, sum(5));
//!     assert!(third.is_err(), "both places are in use");
//!
//!     spawner.spawn_local(async move {
//!         assert_eq!((small.await.unwrap(), large.await.unwrap()), (10, 5050));
//!         spawner.executor().close();
//!     });
//! });
//! ```

mod attention;
mod board;
mod counters;
mod executor;
#[cfg(feature = "alloc")]
mod graves;
#[cfg(not(feature = "alloc"))]
#[path = "no_graves.rs"]
mod graves;
#[cfg(feature = "alloc")]
mod heap;
#[cfg(feature = "alloc")]
mod live;
#[cfg(not(feature = "alloc"))]
#[path = "no_live.rs"]
mod live;
mod platform;
mod pool;
mod queue;
mod root;
mod thread_mode;

pub use self::{
    board::{Board, Idle},
    counters::{Counters, Counting, Counts, NoCounters},
    executor::{Executor, Spawner},
    platform::CriticalSection,
    pool::{PoolFull, Reserved, SpawnError, TaskFn, TaskPool, task_size},
    thread_mode::ThreadMode,
};
