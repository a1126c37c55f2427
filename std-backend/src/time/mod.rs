//! Waiting: sleeps, intervals, time-outs.
//!
//! | | |
//! |---|---|
//! | [`sleep`](fn@sleep), [`sleep_until`] | wait once |
//! | [`interval`](fn@interval), [`interval_at`] | wait again and again, without drifting |
//! | [`timeout`](fn@timeout), [`timeout_at`] | wait for a future, but not for ever |
//! | [`pause`](fn@pause), [`resume`], [`advance`] | stop the clock in a test, and move it on |
//!
//! All of them need a runtime with timers: [`enable_time`](crate::runtime::Builder::enable_time) or
//! `enable_all`.
//!
//! # Guarantees
//! - Nothing fires early.
//! - Timers of one worker fire in the order of their deadlines, and of their registration where a
//!   millisecond has several.
//! - A timer needs a thread that runs its runtime. On a current-thread runtime that is the one in
//!   `block_on`.
//!
//! # True today
//! Each worker has a hierarchical wheel of milliseconds of its own, and sleeps until its first
//! deadline. Deadlines may be centuries away.
//!
//! # Timers of `embassy-time`
//! With the feature `embassy-time-driver` this crate is the time driver of `embassy-time`, so that
//! code written for microcontrollers runs on the desktop and in tests. Do not enable `std`,
//! `mock-driver` or another driver beside it, which define the same symbols. The tick rate is the
//! program's choice (`tick-hz-*`).
//!
//! Any waker is served, in a runtime with timers, in one without, and outside of all. In a task and
//! in `block_on` it is the worker that calls it, by the clock of its runtime: `embassy_time::Instant`
//! stands still where that is [paused](fn@pause), and the clock jumps to `embassy_time`'s deadlines,
//! too. Everywhere else a thread for the purpose does, which the first such timer starts. Wakers are
//! called at the first millisecond that is not before their time.

#[cfg(feature = "embassy-time-driver")]
mod embassy;
pub mod error;
mod instant;
mod interval;
mod pause;
mod sleep;
mod timeout;

pub use std::time::Duration;

pub use self::{
    instant::Instant,
    interval::{Interval, MissedTickBehavior, interval, interval_at},
    pause::{advance, pause, resume},
    sleep::{Sleep, sleep, sleep_until},
    timeout::{Timeout, timeout, timeout_at},
};
