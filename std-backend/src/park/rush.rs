//! When a worker that has run its tasks asks the driver first, before it looks at what other workers
//! have and before it sleeps.
//!
//! To register as asleep, to look into all queues again and to get up takes a few hundred
//! nanoseconds, and writes to lines that all workers share. To take the tasks of another worker moves
//! all that they touch to this core. Where the driver has the next events already, as under load,
//! nobody needed that: two workers that ask it in turns share its events without taking anything
//! from each other. But where it has none, to ask it first is a system call for nothing. So the
//! workers do what would have been right the last time.

use std::{cell::Cell, time::Duration};

/// Whether events come as fast as they are handled, for one worker.
#[derive(Debug)]
pub(crate) struct Rush {
    /// How often the driver may still be asked in vain.
    tries: Cell<u32>,
    most_tries: u32,
}

impl Rush {
    /// A wait that was as short has not slept.
    const AT_ONCE: Duration = Duration::from_micros(10);

    /// For a worker that has its driver for itself.
    pub(crate) fn alone() -> Self {
        Self { tries: Cell::new(0), most_tries: 1 }
    }

    /// For a worker that takes turns with others: if there is nothing, they may have taken it a
    /// moment ago.
    pub(crate) fn among_others() -> Self {
        Self { tries: Cell::new(0), most_tries: 8 }
    }

    /// Whether to ask the driver first.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.tries.get() > 0
    }

    /// The driver was asked, without waiting, and had something or not.
    #[inline]
    pub(crate) fn turned(&self, had_events: bool) {
        let tries = if had_events { self.most_tries } else { self.tries.get().saturating_sub(1) };
        self.tries.set(tries);
    }

    /// The worker has waited for so long, and the driver had something or not.
    #[inline]
    pub(crate) fn waited(&self, had_events: bool, time: Duration) {
        if had_events && time < Self::AT_ONCE {
            self.tries.set(self.most_tries);
        }
    }
}

/// For how long a worker does no more than its own tasks.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    began: Cell<u64>,
}

impl Streak {
    /// After as many nanoseconds, others may have something that they are stuck with.
    const MOST: u64 = 1_000_000;

    /// Whether it may once more, at this time.
    #[inline]
    pub(crate) fn goes_on(&self, now: u64) -> bool {
        let goes_on = now.saturating_sub(self.began.get()) < Self::MOST;
        if !goes_on {
            self.began.set(now);
        }
        goes_on
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(1);

    #[test]
    fn a_rush_begins_with_events_that_were_there_already() {
        let rush = Rush::among_others();
        rush.turned(false);
        rush.waited(true, Duration::from_micros(50));
        assert!(!rush.is_on(), "slept");
        rush.waited(false, SHORT);
        assert!(!rush.is_on(), "no event");
        rush.waited(true, SHORT);
        assert!(rush.is_on());
        let rush = Rush::alone();
        rush.turned(true);
        assert!(rush.is_on());
    }

    #[test]
    fn and_ends_where_there_are_none() {
        for rush in [Rush::alone(), Rush::among_others()] {
            rush.turned(true);
            let in_vain = (0..100).take_while(|_| rush.is_on()).inspect(|_| rush.turned(false));
            assert_eq!(in_vain.count() as u32, rush.most_tries);
        }
    }

    #[test]
    fn others_have_something_to_do_too() {
        let streak = Streak::default();
        let now = 5 * Streak::MOST;
        assert!(!streak.goes_on(now));
        assert!(streak.goes_on(now + 1) && streak.goes_on(now + Streak::MOST - 1));
        assert!(!streak.goes_on(now + Streak::MOST));
        assert!(streak.goes_on(now + Streak::MOST + 1));
    }
}
