//! The time of Embassy's ecosystem, from all sides (feature `embassy-time-driver`).
//!
//! `embassy-time` asks one *time driver* for the time and for wake-ups, which the program links by
//! symbols; HALs come with one. What is here has nothing to do with `embassy-executor`.
//!
//! | you have | and want | take |
//! |---|---|---|
//! | a HAL with a driver that has a queue of its own (`generic-queue-N`) | `embassy-time` in tasks | nothing: it works with any waker |
//! | a HAL whose driver keeps its queue in the tasks (the default) | the same | [`embassy_timer_items!`](crate::embassy_timer_items) |
//! | a counter and a compare interrupt | a driver | [`QueueDriver`], or [`TimerQueue`] for one of another kind |
//! | any driver | timers that take no slot in its queue, see [`time`](crate::time) | [`DriverTimers`] |
//!
//! How many ticks a second has (`tick-hz-*`) is the program's choice; nothing here makes it.

mod driver;
mod items;
mod queue;
mod timers;

pub use self::{
    driver::{Alarm, QueueDriver},
    items::{TimerItems, TimerQueueItem},
    queue::{TimerQueue, TimerQueueFull},
    timers::{DriverTimers, Sleep},
};
