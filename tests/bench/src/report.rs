//! What was measured, for people and for programs.

use serde::Serialize;

use crate::cases::Case;
use crate::measure::{Pair, Sample};
use crate::stats::{interval, median, min};

/// One case on both peers.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    case: &'static str,
    operations: u64,
    pairs: usize,
    /// jenny's time over Tokio's: below one, jenny is faster.
    ratio: Ratio,
    jenny: Times,
    tokio: Times,
}

#[derive(Debug, Serialize)]
struct Ratio {
    median: f64,
    /// The 95 % interval of the median.
    low: f64,
    high: f64,
}

/// Nanoseconds per operation.
#[derive(Debug, Serialize)]
struct Times {
    min: f64,
    median: f64,
    cpu_median: f64,
}

impl Times {
    fn of(samples: impl Iterator<Item = Sample> + Clone) -> Self {
        let mut nanos: Vec<f64> = samples.clone().map(|sample| sample.nanos).collect();
        let mut cpu_nanos: Vec<f64> = samples.map(|sample| sample.cpu_nanos).collect();
        Self {
            min: min(nanos.iter().copied()),
            median: median(&mut nanos),
            cpu_median: median(&mut cpu_nanos),
        }
    }
}

impl Row {
    pub(crate) fn new(case: &Case, pairs: &[Pair]) -> Self {
        let mut ratios: Vec<f64> =
            pairs.iter().map(|pair| pair.jenny.nanos / pair.tokio.nanos).collect();
        let (low, high) = interval(&ratios);
        Self {
            case: case.name,
            operations: case.operations,
            pairs: pairs.len(),
            ratio: Ratio { median: median(&mut ratios), low, high },
            jenny: Times::of(pairs.iter().map(|pair| pair.jenny)),
            tokio: Times::of(pairs.iter().map(|pair| pair.tokio)),
        }
    }

    pub(crate) fn heading() -> String {
        format!(
            "{:<17} {:>6}  {:<15} {:>11} {:>11} {:>11} {:>11}\n{:<17} {:>6}  {:<15} {:>11} {:>11} {:>11} {:>11}",
            "",
            "jenny/",
            "",
            "ns/op, min",
            "",
            "CPU ns/op",
            "",
            "case",
            "Tokio",
            "95 %",
            "jenny",
            "Tokio",
            "jenny",
            "Tokio",
        )
    }

    pub(crate) fn line(&self) -> String {
        let Self { ratio, jenny, tokio, .. } = self;
        format!(
            "{:<17} {:>6.3}  {:<15} {:>11.1} {:>11.1} {:>11.1} {:>11.1}",
            self.case,
            ratio.median,
            format!("{:.3} to {:.3}", ratio.low, ratio.high),
            jenny.min,
            tokio.min,
            jenny.cpu_median,
            tokio.cpu_median,
        )
    }
}
