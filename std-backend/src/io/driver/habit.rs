//! What to do after a read that has filled its buffer: leave a doubt, or read on.
//!
//! A doubt (`doubts.rs`) pays if the system tells of more anyway. Where it does not, the next ones of this
//! resource become rare. But that it does says nothing of when: a peer that has answered by the time of
//! the next read is served sooner by that, without the driver. So a thread leaves a doubt out now and
//! then, to *try*. Where one read in seven finds something after that, it goes on like this, on all its
//! resources, with up to [`RUN`] reads in a row on one, so that others have their turn; where they find
//! nothing, the next try is far away.
//!
//! These are guesses: all is Relaxed and without read-modify-writes, and what is lost is lost.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering::Relaxed};

/// What a doubt in vain adds to the caution. One that paid takes 1 away: two in three have to pay.
const LOSS: u8 = 2;

/// At most so many reads in vain, as a power of two, lie between two doubts.
const MOST_CAUTION: u8 = 10;

/// So many reads of a resource go without a doubt, in a row.
const RUN: u8 = 128;

/// What a read that finds something adds to the hope. One in vain takes 1 away: one in seven has to find
/// something.
const GAIN: u8 = 6;

const MOST_HOPE: u8 = 20 * GAIN;

/// A thread without hope leaves so many doubts between two tries.
const BETWEEN_TRIES: u8 = 32;

/// What the resources have shown that one thread reads.
#[derive(Debug)]
pub(super) struct Hope {
    hope: AtomicU8,
    /// How many doubts there are until the next try.
    doubts: AtomicU8,
}

impl Default for Hope {
    fn default() -> Self {
        Self { hope: AtomicU8::new(0), doubts: AtomicU8::new(BETWEEN_TRIES) }
    }
}

impl Hope {
    fn tries(&self) -> bool {
        if self.hope.load(Relaxed) > 0 {
            return true;
        }
        let left = self.doubts.load(Relaxed).checked_sub(1);
        self.doubts.store(left.unwrap_or(BETWEEN_TRIES), Relaxed);
        left.is_none()
    }

    fn was_right(&self) {
        self.hope.store(MOST_HOPE.min(self.hope.load(Relaxed) + GAIN), Relaxed);
    }

    fn was_wrong(&self) {
        self.hope.store(self.hope.load(Relaxed).saturating_sub(1), Relaxed);
    }
}

/// What one resource has shown.
#[derive(Debug)]
pub(super) struct Habit {
    /// How many reads in vain, as a power of two, follow the next doubt that does not pay.
    caution: AtomicU8,
    /// How many reads in vain it takes until the next doubt.
    reads: AtomicU16,
    /// How many reads in a row go without a doubt, the one that is still to come included; 0 if a doubt
    /// was left.
    run: AtomicU8,
}

impl Default for Habit {
    /// Two reads in vain say that this may be a dialogue.
    fn default() -> Self {
        Self { caution: AtomicU8::new(0), reads: AtomicU16::new(2), run: AtomicU8::new(0) }
    }
}

impl Habit {
    /// Whether there may be doubts.
    pub(super) fn is_good(&self) -> bool {
        self.reads.load(Relaxed) == 0
    }

    /// After a read that has filled its buffer: whether to leave a doubt.
    pub(super) fn leaves_doubt(&self, hope: &Hope) -> bool {
        if !self.is_good() {
            return false;
        }
        let run = self.run.load(Relaxed);
        let reads_on = match run {
            0 => hope.tries(),
            _ => {
                hope.was_right();
                run < RUN
            }
        };
        self.run.store(if reads_on { run + 1 } else { 0 }, Relaxed);
        !reads_on
    }

    /// A read has found nothing.
    pub(super) fn was_vain(&self, hope: &Hope) {
        if let Some(fewer) = self.reads.load(Relaxed).checked_sub(1) {
            self.reads.store(fewer, Relaxed);
        } else if self.run.load(Relaxed) > 0 {
            self.run.store(0, Relaxed);
            hope.was_wrong();
        }
    }

    /// A doubt has paid or not.
    pub(super) fn learn(&self, paid: bool) {
        let caution = self.caution.load(Relaxed);
        if !paid {
            let caution = MOST_CAUTION.min(caution + LOSS);
            self.caution.store(caution, Relaxed);
            self.reads.store(1 << caution, Relaxed);
        } else if caution > 0 {
            self.caution.store(caution - 1, Relaxed);
        }
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::*;

    /// How many doubts are left in so many messages that fill the buffer. After those the system tells of
    /// more or not, and a read that goes without finds something or not.
    fn doubts(
        (habit, hope): &(Habit, Hope),
        messages: usize,
        pay: bool,
        finds: impl Fn(usize) -> bool,
    ) -> usize {
        (0..messages)
            .filter(|&message| {
                let doubts = habit.leaves_doubt(hope);
                if doubts {
                    habit.learn(pay);
                } else if !finds(message) {
                    habit.was_vain(hope);
                }
                doubts
            })
            .count()
    }

    fn never(_: usize) -> bool {
        false
    }

    #[test]
    fn doubts_that_pay_go_on_and_vain_ones_become_rare() {
        let resource = Default::default();
        assert_eq!(doubts(&resource, 50, true, never), 47, "two reads in vain first, and a try");
        assert!(doubts(&resource, 1_000, false, never) < 8);
        assert!(doubts(&resource, 100_000, false, never) < 110);
        // Once in a thousand reads it leaves one again.
        assert!(doubts(&resource, 2_000, true, never) > 900);
    }

    #[test]
    fn where_reads_find_something_there_are_few_doubts() {
        let resource = Default::default();
        assert!(doubts(&resource, 1_000, true, never) > 960);
        let run = usize::from(RUN);
        assert!(doubts(&resource, 10 * run, true, |_| true) < 50, "it has to find out");
        assert_eq!(doubts(&resource, 10 * (run + 1), true, |_| true), 10, "others have a turn");
        // It pays also if one in five finds something, but not one in twenty.
        assert!(doubts(&resource, 1_000, true, |message| message % 5 == 0) < 20);
        assert!(doubts(&resource, 10_000, true, |message| message % 20 == 0) > 7_000);
    }

    #[test]
    fn what_one_resource_has_shown_counts_for_the_others_of_a_thread() {
        let resource = Default::default();
        doubts(&resource, 10, true, never);
        doubts(&resource, 100, true, |_| true);
        let other = (Habit::default(), resource.1);
        assert_eq!(doubts(&other, 10, true, |message| message > 2), 0);
    }
}
