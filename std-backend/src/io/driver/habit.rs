//! What to do after a read that has filled its buffer: leave a doubt, or read on.
//!
//! A doubt (`doubts.rs`) pays if the system tells of more anyway. Where it does not, the next ones become
//! rare. But that it does says nothing of when: a peer that has answered by the time of the next read is
//! served sooner by that, without the driver. So now and then a doubt is left out, to *try*. Where the
//! read after that finds something, reads go on like that, [`RUN`] in a row, so that others have their
//! turn; where it does not, the next try is far away.
//!
//! These are guesses: all is Relaxed and without read-modify-writes, and what is lost is lost.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering::Relaxed};

/// What a doubt in vain adds to the caution. One that paid takes 1 away: two in three have to pay.
const LOSS: u8 = 2;

/// At most so many reads in vain, as a power of two, lie between two doubts.
const MOST_CAUTION: u8 = 10;

/// At most so many doubts, as a power of two, lie between two tries.
const LONGEST_GAP: u8 = 4;

/// So many reads in a row go without a doubt.
const RUN: u8 = 64;

/// What one resource has shown.
#[derive(Debug)]
pub(super) struct Habit {
    /// How many reads in vain, as a power of two, follow the next doubt that does not pay.
    caution: AtomicU8,
    /// How many reads in vain it takes until the next doubt.
    reads: AtomicU16,
    /// How many doubts, as a power of two, follow the next try in vain.
    gap: AtomicU8,
    /// How many doubts there are until the next try.
    doubts: AtomicU8,
    /// How many reads this try has, the one that is still to come included; 0 if there is none.
    run: AtomicU8,
}

impl Default for Habit {
    /// Two reads in vain say that this may be a dialogue.
    fn default() -> Self {
        Self {
            caution: AtomicU8::new(0),
            reads: AtomicU16::new(2),
            gap: AtomicU8::new(LONGEST_GAP),
            doubts: AtomicU8::new(1 << LONGEST_GAP),
            run: AtomicU8::new(0),
        }
    }
}

impl Habit {
    /// Whether there may be doubts.
    pub(super) fn is_good(&self) -> bool {
        self.reads.load(Relaxed) == 0
    }

    /// After a read that has filled its buffer: whether to leave a doubt.
    pub(super) fn leaves_doubt(&self) -> bool {
        if !self.is_good() {
            return false;
        }
        let (run, doubts) = (self.run.load(Relaxed), self.doubts.load(Relaxed));
        if run == 0 && doubts > 0 {
            self.doubts.store(doubts - 1, Relaxed);
            return true;
        }
        let is_over = run == RUN;
        self.run.store(if is_over { 0 } else { run + 1 }, Relaxed);
        is_over
    }

    /// A read has found nothing.
    pub(super) fn was_vain(&self) {
        if let Some(fewer) = self.reads.load(Relaxed).checked_sub(1) {
            self.reads.store(fewer, Relaxed);
        } else if let Some(found) = self.run.load(Relaxed).checked_sub(1) {
            let longer = LONGEST_GAP.min(self.gap.load(Relaxed) + 1);
            let (gap, doubts) = if found > 0 { (0, 0) } else { (longer, 1 << longer) };
            self.gap.store(gap, Relaxed);
            self.doubts.store(doubts, Relaxed);
            self.run.store(0, Relaxed);
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
    fn doubts(habit: &Habit, messages: usize, pay: bool, finds: impl Fn(usize) -> bool) -> usize {
        (0..messages)
            .filter(|&message| {
                let doubts = habit.leaves_doubt();
                if doubts {
                    habit.learn(pay);
                } else if !finds(message) {
                    habit.was_vain();
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
        let habit = Habit::default();
        let between = 1 << LONGEST_GAP;
        assert_eq!(doubts(&habit, 2 + between, true, never), between, "two reads in vain first");
        assert_eq!(doubts(&habit, 10 * (between + 1), true, never), 10 * between, "and tries");
        assert!(doubts(&habit, 1_000, false, never) < 8);
        assert!(doubts(&habit, 100_000, false, never) < 110);
        // Once in a thousand reads it leaves one again.
        assert!(doubts(&habit, 2_000, true, never) > 800);
    }

    #[test]
    fn where_the_next_read_finds_something_there_are_few_doubts() {
        let habit = Habit::default();
        assert!(doubts(&habit, 100, true, never) > 80);
        let run = usize::from(RUN);
        assert!(doubts(&habit, 10 * run, true, |_| true) < 20, "others have their turn");
        assert!(doubts(&habit, 10 * run, true, |_| true) >= 9, "others have their turn");
        // It pays also if most of the reads find something.
        assert!(doubts(&habit, 1_000, true, |message| message % 4 != 0) < 20);
        assert!(doubts(&habit, 1_000, true, never) > 800);
    }
}
