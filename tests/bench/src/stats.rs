//! Medians, and how far to trust them.

use serde::Serialize;

/// How one value stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    /// The 95 % interval of the median.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ratio {
    /// Of pairs that were measured next to each other: a drift of the machine leaves each pair's
    /// ratio alone.
    pub(crate) fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut ratios: Vec<f64> = pairs.map(|(value, reference)| value / reference).collect();
        let (low, high) = interval(&ratios);
        Self { median: median(&mut ratios), low, high }
    }
}

/// The middle of the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// The smallest value that is not below a share `q` of all.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

pub(crate) fn min(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

/// The 95 % interval of the median, by bootstrap percentiles (Efron, 1979).
fn interval(values: &[f64]) -> (f64, f64) {
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
    fn quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.50), 100.0);
        assert_eq!(quantile(&mut values, 0.99), 198.0);
        assert_eq!(quantile(&mut values, 1.0), 200.0);
        assert_eq!(quantile(&mut [7.0], 0.01), 7.0);
    }

    #[test]
    fn interval_holds_the_median_and_narrows_with_agreement() {
        let spread: Vec<f64> = (0..40).map(f64::from).collect();
        let (low, high) = interval(&spread);
        assert!(low < 19.5 && 19.5 < high, "{low}..{high}");
        assert!(low > 5.0 && high < 35.0, "{low}..{high}");
        assert_eq!(interval(&[7.0; 40]), (7.0, 7.0));
    }

    #[test]
    fn ratio_is_blind_to_a_drift_of_both_and_to_one_outlier() {
        let drifting = (1..=21).map(f64::from).map(|slower| (2.0 * slower, 8.0 * slower));
        assert_eq!(Ratio::of(drifting), Ratio { median: 0.25, low: 0.25, high: 0.25 });

        let outlier = (0..21).map(|round| if round == 7 { (900.0, 1.0) } else { (3.0, 6.0) });
        assert_eq!(Ratio::of(outlier), Ratio { median: 0.5, low: 0.5, high: 0.5 });
    }

    #[test]
    fn ratio_of_the_medians_is_not_the_median_of_the_ratios() {
        // Half of the pairs fell into a slow time of the machine, one side's medians do not agree.
        let pairs = [(1.0, 2.0), (10.0, 20.0), (30.0, 60.0)];
        assert_eq!(Ratio::of(pairs.into_iter()).median, 0.5);
    }
}
