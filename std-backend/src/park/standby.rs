//! Who of the sleepers looks after the workers that are awake.
//!
//! A worker that is inside a long poll cannot fire its timers or turn the driver, and what is in its
//! LIFO slot waits. If everybody else slept without a limit, the runtime would be frozen for as long.
//! So some sleepers are **on standby**: they wake up every [`PERIOD`], look whether a worker is stuck,
//! take over what it neglects, and otherwise sleep on.
//!
//! # The claim
//! Whenever one worker is awake and another one sleeps, somebody is on standby, or has been unparked
//! and will be.
//!
//! Nobody is woken for that in the ordinary course of events. A worker that goes to sleep goes on
//! standby if there are fewer than [`ENOUGH`]; there are two, so that an event that wakes one of them,
//! usually the one in the driver, leaves the other. Only the last one that awakes has to **recruit**
//! another sleeper, who is on standby from then on. After a time in which all workers slept they
//! **retire** one by one and sleep without a limit; the first worker that awakes then recruits.
//!
//! # Why nobody is forgotten
//! Three steps may break the claim. Each has a store and then a load, of the standby count and of the
//! set of sleepers, with a `SeqCst` fence between them; so of two that race, one sees the other.
//!
//! | step | store | load |
//! |---|---|---|
//! | fall asleep | join the sleepers | is anybody on standby? else be it |
//! | awake | leave the sleepers; leave the standby | is anybody on standby? else recruit a sleeper |
//! | retire | leave the standby | does everybody sleep? else be on standby again |
//!
//! - *fall asleep* against *awake*: the one that falls asleep sees too few on standby, or the one that
//!   awakes sees a sleeper to recruit. An unpark is sticky, so it does not matter whether it sleeps yet.
//! - *retire* against *awake*: the retiring one sees a worker awake, or that worker sees nobody.
//! - *retire* against *retire*, *fall asleep* against *retire*: by themselves they leave nobody awake;
//!   with somebody awake the rows above apply to each.

use std::time::Duration;

use crate::primitives::{AtomicUsize, Ordering, fence};

/// How long a sleeper on standby sleeps: the longest that a stuck worker goes unnoticed.
pub const PERIOD: Duration = Duration::from_millis(10);

/// How long it sleeps if there is something that would be stuck if its worker were.
pub const SHORT_PERIOD: Duration = Duration::from_millis(3);

/// How many periods without anybody awake go by before it retires: about a second.
pub const QUIET_PERIODS: u32 = 100;

/// How many sleepers on standby are enough.
const ENOUGH: usize = 2;

/// The number of sleepers on standby.
#[derive(Debug, Default)]
pub struct Standby {
    count: AtomicUsize,
}

impl Standby {
    /// Nobody is.
    pub fn new() -> Self {
        Self { count: AtomicUsize::new(0) }
    }

    /// Goes on standby, unless enough are. The caller has joined the sleepers, and a fence came after.
    #[must_use]
    pub fn join(&self) -> bool {
        // Two may pass this load at once: one more than enough is no harm.
        let needed = self.count.load(Ordering::Relaxed) < ENOUGH;
        if needed {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        needed
    }

    /// Leaves the standby, to work or to end.
    pub fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a worker that has left the sleepers, and the standby if it was on it, has to recruit
    /// one of those that still sleep.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        // Ordering: the table above, "awake".
        fence(Ordering::SeqCst);
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Leaves the standby to sleep without a limit; false, and on standby still, if not everybody
    /// sleeps.
    #[must_use]
    pub fn retire(&self, everybody_sleeps: impl Fn() -> bool) -> bool {
        self.leave();
        // Ordering: the table above, "retire".
        fence(Ordering::SeqCst);
        if everybody_sleeps() {
            return true;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        false
    }
}
