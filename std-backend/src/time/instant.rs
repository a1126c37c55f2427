//! An instant of the runtime's clock.

use std::{
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
    time::{self, Duration},
};

use crate::{context, timekeeper::clock};

/// A point in time, as the clock of the current runtime shows it.
///
/// It is a [`std::time::Instant`], except that [`now`](Self::now) stands still while the clock is
/// [paused](fn@super::pause). Differences saturate at zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    std: time::Instant,
}

impl Instant {
    /// What the clock of the current runtime shows; outside of a runtime, the system's.
    ///
    /// As long as no clock was ever paused in this process, this is the system's clock and one load.
    #[inline]
    pub fn now() -> Self {
        let std = if clock::may_deviate() { now_there() } else { time::Instant::now() };
        Self { std }
    }

    /// Takes an instant of the standard library's.
    pub fn from_std(std: time::Instant) -> Self {
        Self { std }
    }

    /// The instant of the standard library's.
    pub fn into_std(self) -> time::Instant {
        self.std
    }

    /// Decades away, for what is never going to be waited for.
    #[cold]
    pub(super) fn far_future() -> Self {
        // Clocks that count nanoseconds in 64 bits still reach that far.
        Self::now() + Duration::from_secs(86_400 * 365 * 30)
    }

    /// This instant and a duration, or [`far_future`](Self::far_future) where the system's clock
    /// cannot express that.
    #[inline]
    pub(super) fn after(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or_else(Self::far_future)
    }

    /// The time from `earlier` to this instant, zero if that is later.
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// The time from `earlier` to this instant, `None` if that is later.
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.std.checked_duration_since(earlier.std)
    }

    /// The time from `earlier` to this instant, zero if that is later.
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// The time from this instant to now, zero if that is earlier.
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// The instant that is later by the duration, if the system's clock can express it.
    #[inline]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.std.checked_add(duration).map(Self::from_std)
    }

    /// The instant that is earlier by the duration, if the system's clock can express it.
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.std.checked_sub(duration).map(Self::from_std)
    }
}

#[cold]
fn now_there() -> time::Instant {
    let shown = context::try_with(|ambient| ambient.time.clock().now());
    shown.unwrap_or_else(|_| time::Instant::now())
}

impl From<time::Instant> for Instant {
    fn from(std: time::Instant) -> Self {
        Self { std }
    }
}

impl From<Instant> for time::Instant {
    fn from(instant: Instant) -> Self {
        instant.std
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    #[track_caller]
    fn add(self, duration: Duration) -> Self {
        Self { std: self.std + duration }
    }
}

impl AddAssign<Duration> for Instant {
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        self.std += duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    #[track_caller]
    fn sub(self, duration: Duration) -> Self {
        Self { std: self.std - duration }
    }
}

impl SubAssign<Duration> for Instant {
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        self.std -= duration;
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}
