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
