//! How long polls take: two looks at the clock for each, so only where it was asked for.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jenny_core::task::{Observer, TaskMeta};

use super::{HistogramConfiguration, SEAT};

/// A histogram of poll times for each worker.
pub(crate) struct PollTimes {
    pub(crate) configuration: HistogramConfiguration,
    workers: Box<[Counts]>,
}

/// One worker's counts.
#[repr(align(128))]
struct Counts(Box<[AtomicU64]>);

impl PollTimes {
    pub(crate) fn new(configuration: HistogramConfiguration, workers: usize) -> Self {
        let counts = || Counts((0..configuration.buckets()).map(|_| AtomicU64::new(0)).collect());
        Self { workers: (0..workers).map(|_| counts()).collect(), configuration }
    }

    /// How many polls of a worker fell into a bucket.
    pub(crate) fn count(&self, worker: usize, bucket: usize) -> u64 {
        self.workers[worker].0[bucket].load(Ordering::Relaxed)
    }
}

thread_local! {
    /// The polls that this thread is inside of, the innermost last: on which worker each started,
    /// and when. They nest where a task runs another runtime.
    static POLLS: RefCell<Vec<(Option<usize>, Instant)>> = const { RefCell::new(Vec::new()) };
}

/// Takes the time of every poll.
#[derive(Clone)]
pub(crate) struct PollTimer(pub(super) Arc<PollTimes>);

impl Observer for PollTimer {
    fn before_poll(&self, _: &TaskMeta<'_>) {
        POLLS.with_borrow_mut(|polls| polls.push((SEAT.get(), Instant::now())));
    }

    fn after_poll(&self, _: &TaskMeta<'_>) {
        let Some((Some(worker), start)) = POLLS.with_borrow_mut(Vec::pop) else { return };
        let bucket = self.0.configuration.bucket(start.elapsed());
        // A read-modify-write: the poll may have handed its worker to another thread.
        self.0.workers[worker].0[bucket].fetch_add(1, Ordering::Relaxed);
    }
}
