//! Ticks at equal distances.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Instant, Sleep};

/// A tick this late still counts as punctual: timers have a resolution of a millisecond, and threads
/// are not always woken at once.
const PUNCTUAL: Duration = Duration::from_millis(5);

/// Ticks now, and then each `period`. See [`interval_at`].
///
/// # Panics
/// If `period` is zero, and as [`sleep`](fn@super::sleep).
///
/// # Examples
/// ```
/// use jenny::time::{Duration, Instant, interval};
///
/// # #[jenny::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let start = Instant::now();
/// let mut beat = interval(Duration::from_secs(10));
/// for _ in 0..3 {
///     beat.tick().await;
/// }
/// assert_eq!(start.elapsed(), Duration::from_secs(20));
/// # }
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    check(period);
    Interval::new(super::sleep(Duration::ZERO), period)
}

/// Ticks at `start`, and then each `period`.
///
/// What becomes of ticks that nobody took in time is for [`MissedTickBehavior`] to say. An interval
/// that is dropped ticks no more; it never ends by itself.
///
/// # Panics
/// If `period` is zero, and as [`sleep`](fn@super::sleep).
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    check(period);
    Interval::new(super::sleep_until(start), period)
}

#[track_caller]
fn check(period: Duration) {
    assert!(!period.is_zero(), "an interval needs a `period` above zero");
}

/// What an [`Interval`] does with ticks that were missed, because nobody waited for them while the
/// task or its thread was busy.
///
/// With a period of 50 ms, and somebody who is back 130 ms after the tick at 0, the ticks that are
/// taken at 130 and later:
///
/// | | |
/// |---|---|
/// | `Burst` | 130 (due at 50), 130 (due at 100), 150, 200 |
/// | `Delay` | 130, 180, 230 |
/// | `Skip` | 130, 150, 200 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// All missed ticks come at once, until the interval has caught up: their number is right.
    #[default]
    Burst,
    /// The next tick comes a period after the late one: their distance is right.
    Delay,
    /// The next tick comes at the next multiple of the period: their phase is right.
    Skip,
}

impl MissedTickBehavior {
    /// When to tick after a tick that was due at `due` and is taken `now`, late.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            Self::Burst => due.after(period),
            Self::Delay => now.after(period),
            Self::Skip => {
                let late = (now - due).as_nanos() % period.as_nanos();
                // Below the period, which is a duration.
                let seconds = u64::try_from(late / 1_000_000_000).expect("less than the period");
                let nanos = (late % 1_000_000_000) as u32;
                now.after(period - Duration::new(seconds, nanos))
            }
        }
    }
}

/// Ticks at equal distances. Made by [`interval`] and [`interval_at`].
///
/// An interval is one allocation, so that it can be moved while it waits.
#[derive(Debug)]
pub struct Interval {
    sleep: Pin<Box<Sleep>>,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

impl Interval {
    fn new(sleep: Sleep, period: Duration) -> Self {
        Self { sleep: Box::pin(sleep), period, missed_tick_behavior: MissedTickBehavior::default() }
    }

    /// Waits for the next tick, and returns when it was due.
    ///
    /// Cancel safe: a tick that was waited for in vain is there for the next call.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|context| self.poll_tick(context)).await
    }

    /// Polls for the next tick. The last task that polled is woken.
    pub fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.sleep.as_mut().poll(context));
        let due = self.sleep.deadline();
        let (seen, next) = match self.missed_tick_behavior {
            // Whatever the clock says, which was at `due` at least.
            MissedTickBehavior::Burst => (due, due.after(self.period)),
            behavior => {
                let now = Instant::now();
                let is_late = now - due > PUNCTUAL;
                let next = if is_late {
                    behavior.next(due, now, self.period)
                } else {
                    due.after(self.period)
                };
                (now, next)
            }
        };
        self.sleep.as_mut().reset_after(seen, next);
        Poll::Ready(due)
    }

    /// Ticks next when a period from now is over.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Ticks next at once.
    pub fn reset_immediately(&mut self) {
        self.sleep.as_mut().reset(Instant::now());
    }

    /// Ticks next when `after` is over, and then each period again.
    pub fn reset_after(&mut self, after: Duration) {
        self.sleep.as_mut().reset(Instant::now().after(after));
    }

    /// Ticks next at `deadline`, and then each period again.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.as_mut().reset(deadline);
    }

    /// What becomes of missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Says what becomes of missed ticks.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }

    /// The distance between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}
