//! What the runtime measures beyond what costs nothing.

use std::time::Duration;

use super::Builder;
use crate::runtime::{HistogramConfiguration, HistogramScale};

impl Builder {
    /// Takes the time of every poll, which costs two looks at the clock for each. See
    /// [`RuntimeMetrics::poll_time_histogram_bucket_count`](crate::runtime::RuntimeMetrics::poll_time_histogram_bucket_count).
    ///
    /// # Examples
    /// ```
    /// let runtime = jenny::runtime::Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .build()?;
    /// runtime.block_on(async { jenny::spawn(async {}).await.unwrap() });
    /// let metrics = runtime.metrics();
    /// let buckets = 0..metrics.poll_time_histogram_num_buckets();
    /// let polls: u64 =
    ///     buckets.map(|bucket| metrics.poll_time_histogram_bucket_count(0, bucket)).sum();
    /// assert_eq!(polls, 1);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn enable_metrics_poll_time_histogram(&mut self) -> &mut Self {
        self.poll_times = true;
        self
    }

    /// The old name of
    /// [`enable_metrics_poll_time_histogram`](Self::enable_metrics_poll_time_histogram).
    #[deprecated(note = "renamed to `enable_metrics_poll_time_histogram`")]
    pub fn enable_metrics_poll_count_histogram(&mut self) -> &mut Self {
        self.enable_metrics_poll_time_histogram()
    }

    /// The buckets of the histogram of poll times; by default ten of 100 µs each.
    pub fn metrics_poll_time_histogram_configuration(
        &mut self,
        configuration: HistogramConfiguration,
    ) -> &mut Self {
        self.poll_time_buckets = configuration;
        self
    }

    /// How the buckets of the histogram of poll times grow.
    #[deprecated(note = "use `metrics_poll_time_histogram_configuration`")]
    pub fn metrics_poll_count_histogram_scale(&mut self, scale: HistogramScale) -> &mut Self {
        self.poll_time_buckets.set_scale(scale);
        self
    }

    /// The width of the first bucket of the histogram of poll times.
    ///
    /// # Panics
    /// If it is zero.
    #[deprecated(note = "use `metrics_poll_time_histogram_configuration`")]
    #[track_caller]
    pub fn metrics_poll_count_histogram_resolution(&mut self, resolution: Duration) -> &mut Self {
        self.poll_time_buckets.set_resolution(resolution);
        self
    }

    /// The number of buckets of the histogram of poll times.
    ///
    /// # Panics
    /// If it is zero.
    #[deprecated(note = "use `metrics_poll_time_histogram_configuration`")]
    #[track_caller]
    pub fn metrics_poll_count_histogram_buckets(&mut self, buckets: usize) -> &mut Self {
        self.poll_time_buckets.set_buckets(buckets);
        self
    }
}
