//! Into which bucket a duration falls.

use std::{fmt, ops::Range, time::Duration};

/// Which buckets a histogram of durations has. The last one has no end.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use jenny::runtime::{Builder, HistogramConfiguration, LogHistogram};
///
/// let runtime = Builder::new_current_thread()
///     .enable_metrics_poll_time_histogram()
///     .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(
///         LogHistogram::builder().max_error(0.1).max_value(Duration::from_secs(1)),
///     ))
///     .build()?;
/// assert!(runtime.metrics().poll_time_histogram_num_buckets() > 100);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HistogramConfiguration(Shape);

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// The width in nanoseconds.
    Linear {
        width: u64,
        buckets: usize,
    },
    Log(LogHistogram),
    /// Described by three methods of the builder, piece by piece.
    Legacy {
        scale: HistogramScale,
        resolution: u64,
        buckets: usize,
    },
}

/// How the buckets of a histogram grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistogramScale {
    /// All are equally wide.
    Linear,
    /// Each is twice as wide as the one before.
    Log,
}

impl HistogramConfiguration {
    /// Buckets of equal width, the last one without an end.
    ///
    /// # Panics
    /// If there is no bucket, or the width is zero.
    #[track_caller]
    pub fn linear(bucket_width: Duration, num_buckets: usize) -> Self {
        assert!(num_buckets > 0, "a histogram needs at least one bucket");
        Self(Shape::Linear { width: width(bucket_width), buckets: num_buckets })
    }

    /// Buckets whose width grows with their value: each has the same relative error.
    pub fn log(configuration: impl Into<LogHistogram>) -> Self {
        Self(Shape::Log(configuration.into()))
    }

    /// Changes one of the three numbers that describe a histogram in the old way.
    fn legacy(&mut self) -> (&mut HistogramScale, &mut u64, &mut usize) {
        if !matches!(self.0, Shape::Legacy { .. }) {
            self.0 = Shape::Legacy {
                scale: HistogramScale::Linear,
                resolution: DEFAULT_WIDTH,
                buckets: DEFAULT_BUCKETS,
            };
        }
        match &mut self.0 {
            Shape::Legacy { scale, resolution, buckets } => (scale, resolution, buckets),
            _ => unreachable!("made a legacy one above"),
        }
    }

    pub(crate) fn set_scale(&mut self, scale: HistogramScale) {
        *self.legacy().0 = scale;
    }

    #[track_caller]
    pub(crate) fn set_resolution(&mut self, resolution: Duration) {
        *self.legacy().1 = width(resolution);
    }

    #[track_caller]
    pub(crate) fn set_buckets(&mut self, buckets: usize) {
        assert!(buckets > 0, "a histogram needs at least one bucket");
        *self.legacy().2 = buckets;
    }

    pub(crate) fn buckets(&self) -> usize {
        match self.0 {
            Shape::Linear { buckets, .. } | Shape::Legacy { buckets, .. } => buckets,
            Shape::Log(log) => log.buckets,
        }
    }

    /// Where a bucket begins, in nanoseconds.
    fn start(&self, bucket: usize) -> u64 {
        if bucket == 0 {
            return 0;
        }
        match self.0 {
            Shape::Linear { width, .. }
            | Shape::Legacy { scale: HistogramScale::Linear, resolution: width, .. } => {
                width.saturating_mul(bucket as u64)
            }
            Shape::Legacy { scale: HistogramScale::Log, resolution, .. } => {
                let doublings = u32::try_from(bucket - 1).unwrap_or(u32::MAX);
                let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
                resolution.next_power_of_two().saturating_mul(factor)
            }
            Shape::Log(log) => lower_bound(bucket + log.offset, log.precision),
        }
    }

    pub(crate) fn range(&self, bucket: usize) -> Range<Duration> {
        let end = if bucket + 1 < self.buckets() { self.start(bucket + 1) } else { u64::MAX };
        Duration::from_nanos(self.start(bucket))..Duration::from_nanos(end)
    }

    pub(crate) fn bucket(&self, duration: Duration) -> usize {
        let nanos = nanos(duration);
        let bucket = match self.0 {
            Shape::Linear { width, .. }
            | Shape::Legacy { scale: HistogramScale::Linear, resolution: width, .. } => {
                usize::try_from(nanos / width).unwrap_or(usize::MAX)
            }
            Shape::Legacy { scale: HistogramScale::Log, resolution, .. } => {
                let times = nanos / resolution.next_power_of_two();
                (u64::BITS - times.leading_zeros()) as usize
            }
            Shape::Log(log) => index(nanos, log.precision).saturating_sub(log.offset),
        };
        bucket.min(self.buckets() - 1)
    }
}

const DEFAULT_WIDTH: u64 = 100_000;
const DEFAULT_BUCKETS: usize = 10;

impl Default for HistogramConfiguration {
    /// Ten buckets of 100 µs.
    fn default() -> Self {
        Self(Shape::Linear { width: DEFAULT_WIDTH, buckets: DEFAULT_BUCKETS })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[track_caller]
fn width(duration: Duration) -> u64 {
    assert!(!duration.is_zero(), "a bucket of a histogram is at least a nanosecond wide");
    nanos(duration)
}

// Both of the following number the buckets of H2 histograms from zero, before the first ones are
// merged: each power of two is cut into `2^precision` buckets of equal width
// (<https://iop.systems/blog/h2-histogram>).

/// The number of the bucket that a value falls into.
fn index(value: u64, precision: u32) -> usize {
    let shift = value.checked_ilog2().unwrap_or(0).saturating_sub(precision);
    ((shift as usize) << precision) + (value >> shift) as usize
}

/// The least value that falls into a bucket. The inverse of [`index`].
fn lower_bound(index: usize, precision: u32) -> u64 {
    let shift = (index >> precision).saturating_sub(1);
    ((index - (shift << precision)) as u64) << shift
}

/// A histogram whose buckets grow with their value, so that the relative error is bounded.
///
/// The first bucket is all below [`min_value`](LogHistogramBuilder::min_value), the last one all
/// above [`max_value`](LogHistogramBuilder::max_value).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHistogram {
    buckets: usize,
    precision: u32,
    /// How many buckets are merged into the first, beside itself.
    offset: usize,
}

impl LogHistogram {
    /// Describes a histogram.
    pub fn builder() -> LogHistogramBuilder {
        LogHistogramBuilder::default()
    }

    /// Where the last bucket begins, in nanoseconds.
    pub fn max_value(&self) -> u64 {
        lower_bound(self.buckets - 1 + self.offset, self.precision)
    }
}

impl Default for LogHistogram {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// Describes a [`LogHistogram`]: by default from 100 ns to a minute, with an error of 25 %, which
/// takes 119 buckets.
#[derive(Clone, Copy, Debug)]
pub struct LogHistogramBuilder {
    min_value: u64,
    max_value: u64,
    precision: u32,
}

impl Default for LogHistogramBuilder {
    fn default() -> Self {
        Self { min_value: 100, max_value: nanos(Duration::from_secs(60)), precision: 2 }
    }
}

const MAX_PRECISION: u32 = 10;

impl LogHistogramBuilder {
    /// The most that a bucket's width may be, as a part of the durations in it. What is used is the
    /// next power of one half, at least a quarter and down to about a thousandth.
    ///
    /// # Panics
    /// If it is not between 0 and 1.
    #[track_caller]
    pub fn max_error(self, max_error: f64) -> Self {
        assert!(max_error > 0.0 && max_error < 1.0, "the error is a part: between 0 and 1");
        let fits = |precision: &u32| 0.5_f64.powi(*precision as i32) <= max_error;
        self.precision_exact((2..MAX_PRECISION).find(fits).unwrap_or(MAX_PRECISION))
    }

    /// Cuts each power of two into `2^precision` buckets.
    ///
    /// # Panics
    /// If it is more than 10.
    #[track_caller]
    pub fn precision_exact(mut self, precision: u32) -> Self {
        assert!(precision <= MAX_PRECISION, "the precision is at most {MAX_PRECISION}");
        self.precision = precision;
        self
    }

    /// What is shorter falls into the first bucket.
    pub fn min_value(mut self, duration: Duration) -> Self {
        self.min_value = nanos(duration);
        self
    }

    /// What is longer falls into the last bucket.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn max_value(mut self, duration: Duration) -> Self {
        assert!(!duration.is_zero(), "the greatest duration of a histogram is more than zero");
        self.max_value = nanos(duration);
        self
    }

    /// Builds the histogram, if it is small enough.
    ///
    /// # Errors
    /// It takes more buckets.
    pub fn max_buckets(
        &mut self,
        max_buckets: usize,
    ) -> Result<LogHistogram, InvalidHistogramConfiguration> {
        let histogram = self.build();
        if histogram.buckets > max_buckets {
            return Err(InvalidHistogramConfiguration::TooManyBuckets {
                required_bucket_count: histogram.buckets,
            });
        }
        Ok(histogram)
    }

    /// Builds the histogram.
    pub fn build(&self) -> LogHistogram {
        let Self { min_value, max_value, precision } = *self;
        let offset = index(min_value, precision).saturating_sub(1);
        // The first bucket that begins at the greatest value or above. Above half of the numbers
        // there is none.
        let last = index(max_value.min(1 << 63) - 1, precision) + 1;
        LogHistogram { buckets: last.saturating_sub(offset) + 1, precision, offset }
    }
}

impl From<LogHistogramBuilder> for LogHistogram {
    fn from(builder: LogHistogramBuilder) -> Self {
        builder.build()
    }
}

/// A histogram cannot be made as described.
#[derive(Debug)]
pub enum InvalidHistogramConfiguration {
    /// It takes more buckets than allowed.
    TooManyBuckets {
        /// How many it takes.
        required_bucket_count: usize,
    },
}

impl fmt::Display for InvalidHistogramConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TooManyBuckets { required_bucket_count } = self;
        write!(f, "the histogram takes {required_bucket_count} buckets, more than allowed")
    }
}

impl std::error::Error for InvalidHistogramConfiguration {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranges join without a gap, and each end falls where it should.
    fn check(histogram: &HistogramConfiguration) {
        let last = histogram.buckets() - 1;
        let nanosecond = Duration::from_nanos(1);
        for bucket in 0..=last {
            let Range { start, end } = histogram.range(bucket);
            assert!(start < end, "{histogram:?}: bucket {bucket} is empty");
            assert_eq!(histogram.bucket(start), bucket, "{histogram:?}");
            assert_eq!(histogram.bucket(end - nanosecond), bucket, "{histogram:?}");
            if bucket < last {
                assert_eq!(histogram.range(bucket + 1).start, end, "{histogram:?}");
            }
        }
        assert_eq!(histogram.range(0).start, Duration::ZERO);
        assert_eq!(histogram.range(last).end, Duration::from_nanos(u64::MAX));
        assert_eq!(histogram.bucket(Duration::MAX), last);
    }

    #[test]
    fn the_buckets_cover_everything_once() {
        check(&HistogramConfiguration::default());
        check(&HistogramConfiguration::linear(Duration::from_micros(7), 3));
        for scale in [HistogramScale::Linear, HistogramScale::Log] {
            let mut legacy = HistogramConfiguration::default();
            legacy.set_scale(scale);
            legacy.set_resolution(Duration::from_nanos(50));
            legacy.set_buckets(12);
            check(&legacy);
        }
        for precision in 0..=MAX_PRECISION {
            for min in [0, 1, 2, 3, 100, 20_000] {
                for max in [1, 2, 99, 4_000_000, u64::MAX] {
                    let builder = LogHistogram::builder()
                        .precision_exact(precision)
                        .min_value(Duration::from_nanos(min))
                        .max_value(Duration::from_nanos(max));
                    check(&HistogramConfiguration::log(builder));
                }
            }
        }
    }

    #[test]
    fn a_log_histogram_keeps_its_bounds_and_its_error() {
        let default = LogHistogram::default();
        assert_eq!(default.buckets, 119);
        assert!(default.max_value() >= 60_000_000_000);
        let histogram = HistogramConfiguration::log(LogHistogram::builder().max_error(0.1));
        assert!(histogram.range(0).end <= Duration::from_nanos(100));
        for bucket in 1..histogram.buckets() - 1 {
            let Range { start, end } = histogram.range(bucket);
            assert!((end - start).as_nanos() * 10 <= start.as_nanos(), "bucket {bucket}");
        }
    }

    #[test]
    fn too_many_buckets_are_an_error_that_says_how_many() {
        let error = LogHistogram::builder().max_buckets(5).unwrap_err();
        assert_eq!(error.to_string(), "the histogram takes 119 buckets, more than allowed");
        assert_eq!(LogHistogram::builder().max_buckets(119).unwrap(), LogHistogram::default());
    }

    #[test]
    fn the_old_log_scale_doubles() {
        let mut histogram = HistogramConfiguration::default();
        histogram.set_scale(HistogramScale::Log);
        histogram.set_resolution(Duration::from_nanos(60));
        histogram.set_buckets(4);
        let starts: Vec<_> = (0..4).map(|bucket| histogram.range(bucket).start).collect();
        assert_eq!(starts, [0, 64, 128, 256].map(Duration::from_nanos));
    }
}
