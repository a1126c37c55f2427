//! Seeded choices: which victim to rob first.

use core::cell::Cell;

/// Marsaglia's xorshift with Vigna's `64*` finaliser
/// (<https://vigna.di.unimi.it/ftp/papers/xorshift.pdf>): three shifts and one multiplication, no
/// shared state, the same sequence for the same seed.
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero is the one state that xorshift never leaves.
        Self(Cell::new(seed | 1))
    }

    fn next(&self) -> u32 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// A number below `bound`, by Lemire's multiply-shift (no division).
    pub(crate) fn below(&self, bound: u32) -> u32 {
        ((u64::from(self.next()) * u64::from(bound)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn stays_below_the_bound_and_reaches_every_value() {
        for seed in [0, 1, u64::MAX] {
            let rng = Rng::new(seed);
            let mut seen = [false; 7];
            for _ in 0..1_000 {
                seen[rng.below(7) as usize] = true;
            }
            assert!(seen.iter().all(|&s| s), "seed {seed}: {seen:?}");
        }
    }
}
