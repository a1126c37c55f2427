//! The driver of `embassy-time`: its timers become jenny's.
//!
//! A waker waits with the worker that it is registered on, and where there is none with a thread for
//! that purpose, which the first such registration starts:
//!
//! | registered | fired by | clock |
//! |---|---|---|
//! | by a task, or in `block_on` | the worker's loop, with its sleeps | the runtime's, which may be paused |
//! | on another thread with a multi-thread runtime: `block_on`, `spawn_blocking`, `enter` | one of its workers | the system's |
//! | on another thread with a runtime of one thread, which runs only now and then | the timer thread | the system's |
//! | the same, where the clock was ever paused | that runtime | the runtime's |
//! | without a runtime, or in one without `enable_time` | the timer thread | the system's |
//! | while the runtime shuts down | the timer thread | the system's |
//!
//! The frequency is `embassy_time_driver::TICK_HZ`, which the program chooses. Wakers are called at
//! the first millisecond that is not before their time.

use std::{
    task::Waker,
    time::{Duration, Instant},
};

use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};

use crate::{
    context,
    timekeeper::{clock, thread},
};

const NANOS: u64 = 1_000_000_000;

struct Runtimes;

time_driver_impl!(static DRIVER: Runtimes = Runtimes);

impl Driver for Runtimes {
    fn now(&self) -> u64 {
        let now = if clock::may_deviate() {
            context::wakes().map(|wakes| wakes.home().clock().now())
        } else {
            None
        };
        ticks(now.unwrap_or_else(Instant::now).saturating_duration_since(clock::epoch()))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // What no clock can express never comes.
        let Some(at) = clock::epoch().checked_add(duration(at)) else { return };
        if context::wakes().is_some_and(|wakes| wakes.wake_at(at, waker).is_ok()) {
            return;
        }
        thread::wakes().wake_at(at, waker).expect("the timer thread never closes");
    }
}

/// The ticks that are over after a duration.
fn ticks(since: Duration) -> u64 {
    let below_a_second = u64::from(since.subsec_nanos()) * TICK_HZ / NANOS;
    since.as_secs().saturating_mul(TICK_HZ).saturating_add(below_a_second)
}

/// The duration after which so many ticks are over.
fn duration(ticks: u64) -> Duration {
    let below_a_second = (ticks % TICK_HZ * NANOS).div_ceil(TICK_HZ);
    Duration::from_secs(ticks / TICK_HZ) + Duration::from_nanos(below_a_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_over_when_their_duration_is() {
        for count in [0, 1, TICK_HZ - 1, TICK_HZ, 7 * TICK_HZ / 3, u64::MAX / NANOS] {
            assert_eq!(ticks(duration(count)), count);
            if let Some(before) = duration(count).checked_sub(Duration::from_nanos(1)) {
                assert!(ticks(before) < count);
            }
        }
    }
}
