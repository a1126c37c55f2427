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

use super::Turn;

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

    /// The driver was asked, without waiting.
    #[inline]
    pub(crate) fn turned(&self, turn: Turn) {
        match turn {
            Turn::Events => self.tries.set(self.most_tries),
            Turn::Quiet => self.tries.set(self.tries.get().saturating_sub(1)),
            // That says nothing of what the driver has.
            Turn::Held => {}
        }
    }

    /// The worker has waited for so long, and the driver had something or not.
    #[inline]
    pub(crate) fn waited(&self, had_events: bool, time: Duration) {
        if had_events && time < Self::AT_ONCE {
            self.tries.set(self.most_tries);
        }
    }
}

/// How often in a row a worker may do no more than its own tasks.
#[derive(Debug, Default)]
pub(crate) struct Streak(Cell<u32>);

impl Streak {
    /// After so many, others may have something that they are stuck with.
    const MOST: u32 = 32;

    /// Whether it may once more.
    #[inline]
    pub(crate) fn goes_on(&self) -> bool {
        let next = self.0.get() + 1;
        self.0.set(if next > Self::MOST { 0 } else { next });
        next <= Self::MOST
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(1);

    #[test]
    fn a_rush_begins_with_events_that_were_there_already() {
        let rush = Rush::among_others();
        rush.turned(Turn::Held);
        rush.turned(Turn::Quiet);
        rush.waited(true, Duration::from_micros(50));
        assert!(!rush.is_on(), "slept");
        rush.waited(false, SHORT);
        assert!(!rush.is_on(), "no event");
        rush.waited(true, SHORT);
        assert!(rush.is_on());
        let rush = Rush::alone();
        rush.turned(Turn::Events);
        assert!(rush.is_on());
    }

    #[test]
    fn and_ends_where_there_are_none() {
        for rush in [Rush::alone(), Rush::among_others()] {
            rush.turned(Turn::Events);
            let in_vain =
                || (0..100).take_while(|_| rush.is_on()).inspect(|_| rush.turned(Turn::Quiet));
            assert_eq!(in_vain().count() as u32, rush.most_tries);
            rush.waited(true, SHORT);
            // Somebody else is at it.
            (0..100).for_each(|_| rush.turned(Turn::Held));
            assert!(rush.is_on());
            assert_eq!(in_vain().count() as u32, rush.most_tries);
        }
    }

    #[test]
    fn others_have_something_to_do_too() {
        let streak = Streak::default();
        let in_a_row = || (0..1_000).take_while(|_| streak.goes_on()).count();
        assert_eq!([in_a_row(), in_a_row()], [Streak::MOST as usize; 2]);
    }
}
