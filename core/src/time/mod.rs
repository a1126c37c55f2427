//! Timers: a wheel per worker, and a future's side of it. It works without a scheduler, too.
//!
//! ```text
//!   Timer (in a future, pinned)                    Timers (one per worker)
//!  ┌────────────────────────────┐                 ┌─────────────────────────────────┐
//!  │ home ──────────────────────┼────────────────▶│ next deadline, one atomic word  │◀── next
//!  │ entry: links, deadline,    │ register, reset │ lock ┌────────────────────────┐ │
//!  │        waker, state        │◀───────────────▶│      │ wheel                  │◀├─── fire
//!  └────────────────────────────┘     cancel      │      └────────────────────────┘ │
//!                                                 └─────────────────────────────────┘
//! ```
//!
//! A [`Timer`] is a node of the wheel itself: registering and cancelling allocate nothing, leave
//! nothing behind, and cost a lock and a few pointers. [`Timers`] is turned by whoever has the time:
//!
//! - ask [`Timers::next`] how long to wait, and wait no longer;
//! - then, and now and then while busy, call [`Timers::fire`] with the present time;
//! - when [`Home::earlier`] is called on another thread, end the wait and ask again.
//!
//! Times are ticks, of a millisecond or of whatever suits, as `u64`. There is no clock in here: each
//! call that needs the time is given it. A timer fires at the first [`fire`](Timers::fire) with a
//! time that is not before its deadline, so never early, and those that are due together fire in the
//! order of their deadlines, and of their registration.
//!
//! | file | |
//! |---|---|
//! | `entry.rs` | the node, its states, and who may touch what |
//! | `wheel.rs` | sorts the nodes by deadline; all under the lock |
//! | `published.rs` | the next deadline as one word |
//! | `wakers.rs` | what leaves the lock to be woken |
//! | `timers.rs` | lock, wheel and published deadline |
//! | `timer.rs` | the node's owner, and where it registers |
//!
//! # Example
//!
//! A main loop with a clock of its own, on one core. `WFI` stands for whatever waits there.
//!
//! ```
//! # use std::sync::{Mutex, PoisonError};
//! use std::{cell::Cell, future::poll_fn, pin::pin, task::{Context, Poll, Waker}};
//!
//! use jenny_core::{lock::RawLock, time::{Closed, Timer, Timers}};
//! # struct Lock(Mutex<()>);
//! # // SAFETY: a mutex excludes, orders, and is released when the closure unwinds.
//! # unsafe impl RawLock for Lock {
//! #     fn new() -> Self { Self(Mutex::new(())) }
//! #     fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
//! #         let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
//! #         critical()
//! #     }
//! # }
//!
//! async fn sleep_until(deadline: u64, timers: &Timers<Lock>, clock: &Cell<u64>) -> Result<(), Closed> {
//!     let mut timer = pin!(Timer::new(timers));
//!     poll_fn(|cx| timer.as_mut().poll(deadline, || clock.get(), cx)).await
//! }
//!
//! let clock = Cell::new(0);
//! let timers = Timers::<Lock>::new();
//! let mut blink = pin!(async {
//!     let mut blinks = Vec::new();
//!     for n in 1..=3 {
//!         sleep_until(n * 500, &timers, &clock).await?;
//!         blinks.push(clock.get());
//!     }
//!     Ok::<_, Closed>(blinks)
//! });
//!
//! let mut cx = Context::from_waker(Waker::noop());
//! let blinks = loop {
//!     timers.fire(clock.get());
//!     match blink.as_mut().poll(&mut cx) {
//!         Poll::Ready(blinks) => break blinks,
//!         // WFI, with an alarm at that tick.
//!         Poll::Pending => clock.set(timers.next(clock.get()).unwrap()),
//!     }
//! };
//! assert_eq!(blinks, Ok(vec![500, 1000, 1500]));
//! ```

mod entry;
mod published;
mod timer;
mod timers;
mod wakers;
mod wheel;

pub use self::{
    timer::{Home, Timer},
    timers::{Closed, Timers},
};
