//! The clock of a runtime. Tests can stop it and move it on.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// The resolution of the wheels.
const TICK: Duration = Duration::from_millis(1);

/// Whether a clock was ever stopped in this process: until then nobody asks whose clock to read.
static EVER_STOPPED: AtomicBool = AtomicBool::new(false);

/// Whether a clock may differ from the system's. One load.
#[inline]
pub(crate) fn may_deviate() -> bool {
    // Ordering: Relaxed; whoever has to see the stop is told of it in some other way, by a task's
    // wake or a thread's start, and the hand itself is behind a lock.
    EVER_STOPPED.load(Ordering::Relaxed)
}

/// Where clocks that have to agree begin: before any runtime's clock.
#[cfg(feature = "embassy-time-driver")]
pub(crate) fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// The clock of a runtime: the system's, until it is stopped.
pub(crate) struct Clock {
    /// Tick 0 of the wheels.
    start: Instant,
    can_stop: bool,
    /// It was stopped once, so the system's clock does not tell what this one shows.
    deviates: AtomicBool,
    hand: Mutex<Hand>,
}

struct Hand {
    /// What the clock showed when it was last stopped, moved or started.
    at: Instant,
    /// The system's time when it was started; `None` while it is stopped.
    running_since: Option<Instant>,
}

/// Why a clock was not stopped, started or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    ManyThreads,
    Stopped,
    Running,
    TooFar,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManyThreads => {
                "only a runtime with one thread can pause its clock: write `flavor = \
                 \"current_thread\"` in the attribute, or build the runtime with \
                 `Builder::new_current_thread`"
            }
            Self::Stopped => "the clock is paused already: call `resume` before the next `pause`",
            Self::Running => "the clock is not paused: call `pause` first, or `start_paused(true)`",
            Self::TooFar => "the clock cannot show a time so far away: advance it by less",
        })
    }
}

impl Clock {
    /// A clock that runs. `can_stop` if one thread runs all tasks: only there the runtime can tell
    /// that nothing else is going to happen.
    pub(crate) fn new(can_stop: bool) -> Self {
        #[cfg(feature = "embassy-time-driver")]
        epoch();
        let now = Instant::now();
        Self {
            start: now,
            can_stop,
            deviates: AtomicBool::new(false),
            hand: Mutex::new(Hand { at: now, running_since: Some(now) }),
        }
    }

    /// A clock that is stopped where the runtime starts, at tick 0 exactly.
    pub(crate) fn stopped() -> Self {
        let clock = Self::new(true);
        clock.hand.lock().running_since = None;
        clock.deviate();
        clock
    }

    fn deviate(&self) {
        self.deviates.store(true, Ordering::Relaxed);
        EVER_STOPPED.store(true, Ordering::Relaxed);
    }

    /// Whether the clock was ever stopped, so that it may stand still between two looks.
    #[inline]
    pub(crate) fn deviates(&self) -> bool {
        self.deviates.load(Ordering::Relaxed)
    }

    /// What the clock shows.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        if self.deviates() { self.hand.lock().now() } else { Instant::now() }
    }

    /// Whether the clock stands still. Asks the lock, so that whoever stops the clock afterwards sees
    /// what the caller did before.
    pub(crate) fn is_stopped(&self) -> bool {
        self.hand.lock().running_since.is_none()
    }

    /// Stops the clock.
    pub(crate) fn stop(&self) -> Result<(), Refused> {
        if !self.can_stop {
            return Err(Refused::ManyThreads);
        }
        let mut hand = self.hand.lock();
        if hand.running_since.is_none() {
            return Err(Refused::Stopped);
        }
        hand.at = hand.now();
        hand.running_since = None;
        self.deviate();
        Ok(())
    }

    /// Lets the clock run again, from what it shows.
    pub(crate) fn run(&self) -> Result<(), Refused> {
        let mut hand = self.hand.lock();
        if hand.running_since.is_some() {
            return Err(Refused::Running);
        }
        hand.running_since = Some(Instant::now());
        Ok(())
    }

    /// Moves a stopped clock.
    pub(crate) fn advance(&self, duration: Duration) -> Result<(), Refused> {
        let mut hand = self.hand.lock();
        if hand.running_since.is_some() {
            return Err(Refused::Running);
        }
        hand.at = hand.at.checked_add(duration).ok_or(Refused::TooFar)?;
        Ok(())
    }

    /// Moves the clock to a tick, if it is stopped and has not reached it yet. What is beyond all
    /// clocks is not reached.
    pub(crate) fn jump_to(&self, tick: u64) {
        let mut hand = self.hand.lock();
        let there = self.start.checked_add(Duration::from_millis(tick));
        if hand.running_since.is_none()
            && let Some(there) = there
        {
            hand.at = hand.at.max(there);
        }
    }

    /// The first tick that is not before the instant.
    #[inline]
    pub(crate) fn tick_at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        let below_a_second = since.subsec_nanos().div_ceil(TICK.subsec_nanos());
        since.as_secs().saturating_mul(1000).saturating_add(u64::from(below_a_second))
    }

    /// The last tick that is over.
    #[inline]
    pub(crate) fn tick(&self) -> u64 {
        self.tick_of(self.now())
    }

    /// The last tick that is over at an instant.
    pub(crate) fn tick_of(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        since.as_secs().saturating_mul(1000).saturating_add(u64::from(since.subsec_millis()))
    }

    /// How long it takes from `now` until a tick is over; `None` if that is beyond all clocks.
    pub(crate) fn time_until(&self, tick: u64, now: Instant) -> Option<Duration> {
        let there = self.start.checked_add(Duration::from_millis(tick))?;
        Some(there.saturating_duration_since(now))
    }
}

impl Hand {
    fn now(&self) -> Instant {
        match self.running_since {
            Some(since) => self.at + since.elapsed(),
            None => self.at,
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("stopped", &self.is_stopped())
            .field("tick", &self.tick())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_micros(500);

    #[test]
    fn deadlines_round_up_and_the_time_rounds_down() {
        let clock = Clock::stopped();
        let start = clock.now();
        assert_eq!((clock.tick(), clock.tick_at(start)), (0, 0));
        assert_eq!(clock.tick_at(start + Duration::from_nanos(1)), 1);
        assert_eq!(clock.tick_at(start + TICK), 1);
        assert_eq!(clock.tick_at(start + TICK + HALF), 2);
        assert_eq!(clock.tick_at(start + Duration::from_millis(1999) + HALF), 2000);
        clock.advance(TICK + HALF).unwrap();
        assert_eq!(clock.tick(), 1);
        assert_eq!(clock.time_until(2, clock.now()), Some(HALF));
        assert_eq!(clock.time_until(1, clock.now()), Some(Duration::ZERO));
        // Before the clock was made.
        assert_eq!(clock.tick_at(start - Duration::from_secs(1)), 0);
    }

    #[test]
    fn a_stopped_clock_is_moved_and_goes_on_from_there() {
        let clock = Clock::new(true);
        assert_eq!(clock.run(), Err(Refused::Running));
        assert_eq!(clock.advance(TICK), Err(Refused::Running));
        clock.stop().unwrap();
        assert_eq!(clock.stop(), Err(Refused::Stopped));
        let stopped = clock.now();
        clock.advance(Duration::from_secs(3600)).unwrap();
        assert_eq!(clock.now() - stopped, Duration::from_secs(3600));
        assert_eq!(clock.advance(Duration::MAX), Err(Refused::TooFar));
        clock.run().unwrap();
        assert!(clock.now() >= stopped + Duration::from_secs(3600));
        assert!(!clock.is_stopped());
    }

    #[test]
    fn jumps_go_forward_only() {
        let clock = Clock::stopped();
        for (tick, then) in [(7, 7), (7, 7), (3, 7), (8, 8)] {
            clock.jump_to(tick);
            assert_eq!(clock.tick(), then);
        }
        clock.run().unwrap();
        clock.jump_to(1_000_000);
        assert!(clock.tick() < 1_000_000);
    }

    #[test]
    fn the_clock_of_many_threads_cannot_be_stopped() {
        assert_eq!(Clock::new(false).stop(), Err(Refused::ManyThreads));
    }
}
