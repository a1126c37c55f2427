//! When a worker that has run its tasks asks the driver before it goes to sleep.
//!
//! To register as asleep, to look into all queues again and to get up takes a few hundred
//! nanoseconds, and writes to lines that all workers share. Where the driver has the next event
//! already, as under load, nobody needed that. But where it has none, to ask it first is a system
//! call for nothing. So a worker does what would have been right the last time.

use std::{cell::Cell, time::Duration};

/// Whether events come as fast as one worker handles them: how often the driver may be asked first.
#[derive(Debug, Default)]
pub(crate) struct Rush(Cell<u32>);

impl Rush {
    /// A wait that was as short has not slept.
    const AT_ONCE: Duration = Duration::from_micros(5);

    /// So often in a row the driver comes first; then a worker has a look at what others have to
    /// do.
    const IN_A_ROW: u32 = 32;

    /// Whether to ask the driver before a sleep.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.get() > 0
    }

    /// The driver was asked, without waiting, and had something or not.
    #[inline]
    pub(crate) fn turned(&self, had_events: bool) {
        let left = self.0.get().saturating_sub(1);
        self.0.set(if had_events { left } else { 0 });
    }

    /// The worker has waited for so long, and the driver had something or not.
    #[inline]
    pub(crate) fn waited(&self, had_events: bool, time: Duration) {
        let goes_on = had_events && time < Self::AT_ONCE;
        self.0.set(if goes_on { Self::IN_A_ROW } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_begins_with_a_wait_that_was_none_and_ends() {
        let rush = Rush::default();
        rush.turned(true);
        assert!(!rush.is_on());
        rush.waited(true, Duration::from_micros(50));
        assert!(!rush.is_on(), "slept");
        rush.waited(false, Duration::ZERO);
        assert!(!rush.is_on(), "no event");
        rush.waited(true, Duration::from_micros(1));
        assert!(rush.is_on());
        rush.turned(false);
        assert!(!rush.is_on(), "asked in vain");
        rush.waited(true, Duration::from_micros(1));
        let turns = (0..1_000).take_while(|_| rush.is_on()).inspect(|_| rush.turned(true)).count();
        assert_eq!(turns as u32, Rush::IN_A_ROW, "others have something to do, too");
    }
}
