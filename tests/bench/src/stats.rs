//! Medians, and how far to trust them.

/// The middle of the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

pub(crate) fn min(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

/// The 95 % interval of the median, by bootstrap percentiles (Efron, 1979).
pub(crate) fn interval(values: &[f64]) -> (f64, f64) {
    const RESAMPLES: usize = 4000;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut resample = vec![0.0; values.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            resample.fill_with(|| values[random.below(values.len())]);
            median(&mut resample)
        })
        .collect();
    medians.sort_unstable_by(f64::total_cmp);
    (medians[RESAMPLES * 25 / 1000], medians[RESAMPLES * 975 / 1000 - 1])
}

/// Xorshift64 (Marsaglia, 2003): the same interval for the same samples.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The high half; the modulus of a few dozen samples is unbiased enough.
        (self.0 >> 32) as usize % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn interval_holds_the_median_and_narrows_with_agreement() {
        let spread: Vec<f64> = (0..40).map(f64::from).collect();
        let (low, high) = interval(&spread);
        assert!(low < 19.5 && 19.5 < high, "{low}..{high}");
        assert!(low > 5.0 && high < 35.0, "{low}..{high}");
        assert_eq!(interval(&[7.0; 40]), (7.0, 7.0));
    }
}
