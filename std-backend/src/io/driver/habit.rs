//! Whether doubts of a resource have paid of late.

use crate::primitives::{AtomicUsize, Ordering};

/// How many reads in vain it takes until the next doubt, and how many, as a power of two, after one
/// that did not pay.
///
/// Ordering: Relaxed everywhere, and no read-modify-write; what is lost is a guess.
#[derive(Debug)]
pub(super) struct Habit(AtomicUsize);

/// What a doubt in vain adds to the caution. One that paid takes 1 away: two in three have to pay.
const LOSS: usize = 2;

const MOST_CAUTION: usize = 10;
const CAUTION_BITS: u32 = 8;
const CAUTION: usize = (1 << CAUTION_BITS) - 1;

impl Default for Habit {
    /// Two reads in vain say that this may be a dialogue.
    fn default() -> Self {
        Self(AtomicUsize::new(Self::word(0, 2)))
    }
}

impl Habit {
    fn word(caution: usize, reads: usize) -> usize {
        caution | reads << CAUTION_BITS
    }

    fn read(&self) -> (usize, usize) {
        let word = self.0.load(Ordering::Relaxed);
        (word & CAUTION, word >> CAUTION_BITS)
    }

    fn write(&self, caution: usize, reads: usize) {
        self.0.store(Self::word(caution, reads), Ordering::Relaxed);
    }

    /// Whether a doubt is worth a try.
    pub(super) fn is_good(&self) -> bool {
        self.read().1 == 0
    }

    /// A read was in vain.
    pub(super) fn was_vain(&self) {
        let (caution, reads) = self.read();
        if let Some(fewer) = reads.checked_sub(1) {
            self.write(caution, fewer);
        }
    }

    /// A doubt has paid or not.
    pub(super) fn learn(&self, paid: bool) {
        let (caution, reads) = self.read();
        if !paid {
            let caution = MOST_CAUTION.min(caution + LOSS);
            self.write(caution, 1 << caution);
        } else if caution > 0 {
            self.write(caution - 1, reads);
        }
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::*;

    /// How many of so many reads that find nothing more are left as doubts.
    fn doubts(habit: &Habit, reads: usize, pay: bool) -> usize {
        (0..reads)
            .filter(|_| {
                let doubts = habit.is_good();
                if doubts {
                    habit.learn(pay);
                } else {
                    habit.was_vain();
                }
                doubts
            })
            .count()
    }

    #[test]
    fn doubts_that_pay_go_on_and_vain_ones_become_rare() {
        let habit = Habit::default();
        assert_eq!(doubts(&habit, 100, true), 98);
        assert!(doubts(&habit, 1_000, false) < 8);
        assert!(doubts(&habit, 100_000, false) < 110);
        // Once in a thousand reads it tries again.
        assert!(doubts(&habit, 2_000, true) > 900);
    }
}
