//! The next deadline as one word, which everybody may read without the lock.
//!
//! Small chips have no 64-bit atomics, so the word holds the low bits of a tick and the reader, who
//! knows what time it is, adds the high ones. That works within half of the word's range around now.
//! A deadline further away than a quarter is published as a quarter away; its reader finds nothing
//! due then, and the next deadline is published anew.

use crate::sync::{AtomicUsize, Ordering, const_unless_checked};

const NONE: u64 = mask(usize::BITS);

#[derive(Debug)]
pub(super) struct Published(AtomicUsize);

impl Published {
    const_unless_checked! {
        pub(super) fn new() -> Self {
            Self(AtomicUsize::new(NONE as usize))
        }
    }

    /// Publishes a deadline at a time that is not after now. Under the lock.
    #[inline]
    pub(super) fn store(&self, deadline: Option<u64>, elapsed: u64) {
        let word = deadline.map_or(NONE, |deadline| encode(deadline, elapsed, usize::BITS));
        // Ordering: Relaxed; an earlier deadline is followed by `Home::earlier`, whose unpark orders
        // it, and a later one is only an offer.
        self.0.store(word as usize, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn load(&self, now: u64) -> Option<u64> {
        // Ordering: Relaxed, as above.
        let word = self.0.load(Ordering::Relaxed) as u64;
        (word != NONE).then(|| decode(word, now, usize::BITS))
    }
}

const fn mask(bits: u32) -> u64 {
    u64::MAX >> (u64::BITS - bits)
}

fn encode(deadline: u64, elapsed: u64, bits: u32) -> u64 {
    let horizon = elapsed.saturating_add(1 << (bits - 2));
    let word = deadline.min(horizon) & mask(bits);
    // The largest word means that there is none; the one before it is a tick too early, and may be.
    word.min(mask(bits) - 1)
}

fn decode(word: u64, now: u64, bits: u32) -> u64 {
    let unused = u64::BITS - bits;
    let distance = (word.wrapping_sub(now) << unused) as i64 >> unused;
    now.saturating_add_signed(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_survives_the_wrap_of_a_32_bit_word() {
        for now in [0, 1 << 31, (1 << 32) - 2, 1 << 32, (1 << 45) - 5] {
            for delay in [0, 1, 7, 1 << 20, 1 << 30] {
                let deadline = now + delay;
                let read = decode(encode(deadline, now, 32), now, 32);
                let expected =
                    if deadline & mask(32) == mask(32) { deadline - 1 } else { deadline };
                assert_eq!(read, expected, "{now} + {delay}");
                // A fortnight later it is overdue and not half a century ahead.
                let later = deadline + (1 << 30);
                assert_eq!(decode(encode(deadline, now, 32), later, 32), expected);
            }
        }
    }

    #[test]
    fn a_far_deadline_is_read_too_early_and_never_too_late() {
        for bits in [32, 64] {
            for deadline in [1 << 31, 1 << 40, u64::MAX - 1, u64::MAX] {
                let read = decode(encode(deadline, 3, bits), 3, bits);
                assert!(3 < read && read <= deadline, "{bits} bits: {deadline} read as {read}");
            }
        }
    }

    #[test]
    fn none_is_no_deadline() {
        let published = Published::new();
        assert_eq!(published.load(5), None);
        published.store(Some(u64::MAX), 0);
        assert!(published.load(5).is_some());
        published.store(None, 0);
        assert_eq!(published.load(5), None);
    }
}
