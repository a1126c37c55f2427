//! What a runtime's workers report that takes a clock or a thread to know.
//!
//! The core counts events (`jenny_core::scheduler::WorkerMetrics`); this adds how long, and on which
//! thread. Each worker writes to its own cache lines, through the [`Recorder`] of the thread that
//! has the worker, and anybody reads.

use std::{
    cell::Cell,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use jenny_core::scheduler::Current;
use parking_lot::Mutex;

use crate::{
    platform::AnyRuntime,
    primitives::{Mark, own, unmodelled::AtomicU64},
};

mod histogram;
mod poll_times;

pub use self::histogram::{
    HistogramConfiguration, HistogramScale, InvalidHistogramConfiguration, LogHistogram,
    LogHistogramBuilder,
};
pub(crate) use self::poll_times::{PollTimer, PollTimes};

/// What all workers of a runtime report.
pub(crate) struct Stats {
    epoch: Instant,
    workers: Box<[WorkerStats]>,
    /// Held by whoever dumps the runtime.
    pub(crate) dumping: Mutex<()>,
    poll_times: Option<Arc<PollTimes>>,
    /// Polls of `block_on` futures that the budget has ended, on whichever thread.
    root_yields: AtomicU64,
}

/// What one worker reports.
#[derive(Default)]
#[repr(align(128))]
struct WorkerStats {
    busy: BusyTime,
    /// Odd while the worker is parked.
    parks_and_unparks: AtomicU64,
    /// In nanoseconds.
    mean_poll_time: AtomicU64,
    thread: Mutex<Option<ThreadId>>,
}

impl Stats {
    /// With a histogram of poll times if there is a configuration for it, which the
    /// [`PollTimer`](Self::poll_timer) then has to fill.
    pub(crate) fn new(workers: usize, poll_times: Option<HistogramConfiguration>) -> Self {
        Self {
            epoch: Instant::now(),
            workers: (0..workers).map(|_| WorkerStats::default()).collect(),
            dumping: Mutex::new(()),
            poll_times: poll_times
                .map(|configuration| Arc::new(PollTimes::new(configuration, workers))),
            root_yields: AtomicU64::new(0),
        }
    }

    /// Polls the future of a `block_on`, and counts the poll if the budget has ended it.
    pub(crate) fn poll_root<F: Future>(
        &self,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let (polled, refused) = Current::<AnyRuntime>::poll_root(future, context);
        if refused {
            self.root_yields.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    /// How many polls of `block_on` futures had to end because the budget was used up.
    pub(crate) fn root_yields(&self) -> u64 {
        self.root_yields.load(Ordering::Relaxed)
    }

    pub(crate) fn poll_times(&self) -> Option<&PollTimes> {
        self.poll_times.as_deref()
    }

    pub(crate) fn poll_timer(&self) -> Option<PollTimer> {
        self.poll_times.clone().map(PollTimer)
    }

    /// Nanoseconds since the runtime was made.
    fn now(&self) -> u64 {
        // Wraps after 584 years.
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Starts to record what a worker does, which the calling thread has just been given.
    ///
    /// `polls` is how many polls the worker has made before.
    pub(crate) fn record(&self, worker: usize, polls: usize) -> Recorder<'_> {
        let this = &self.workers[worker];
        let mut thread = this.thread.lock();
        *thread = Some(thread::current().id());
        // Under the lock: not before the moment at which the thread before this one ceased to record.
        let now = self.now();
        this.busy.resume(now);
        drop(thread);
        let recorder = Recorder {
            stats: self,
            worker: this,
            since: now,
            polls,
            parked: now,
            outer: SEAT.replace(Some(worker)),
            _own: own(this),
            _this_thread: PhantomData,
        };
        // A worker may change its thread in its sleep.
        if this.parks_and_unparks.load(Ordering::Relaxed) % 2 == 1 {
            recorder.turn_parity();
        }
        recorder
    }

    /// How long a worker has been awake.
    pub(crate) fn busy_duration(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.workers[worker].busy.read(self.now()))
    }

    pub(crate) fn parks_and_unparks(&self, worker: usize) -> u64 {
        self.workers[worker].parks_and_unparks.load(Ordering::Relaxed)
    }

    pub(crate) fn mean_poll_time(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.workers[worker].mean_poll_time.load(Ordering::Relaxed))
    }

    /// The thread that has the worker, or had it last.
    pub(crate) fn thread(&self, worker: usize) -> Option<ThreadId> {
        *self.workers[worker].thread.lock()
    }
}

thread_local! {
    /// The worker that this thread records: the innermost, if runtimes are nested.
    static SEAT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Records what a worker does, on the thread that has it. Once another thread has the worker, and
/// its recorder, this one is only to be dropped.
pub(crate) struct Recorder<'a> {
    stats: &'a Stats,
    worker: &'a WorkerStats,
    /// When, and after how many polls, the mean was last brought up to date.
    since: u64,
    polls: usize,
    parked: u64,
    outer: Option<usize>,
    _own: Mark,
    _this_thread: PhantomData<*mut ()>,
}

impl Recorder<'_> {
    /// The worker has ticked, and goes on. One look at the clock for all the polls of the tick.
    pub(crate) fn ran(&mut self, polls: usize) {
        self.average(self.stats.now(), polls);
    }

    /// When it was last called, in nanoseconds.
    #[cfg(feature = "rt-multi-thread")]
    pub(crate) fn last_look(&self) -> u64 {
        self.since
    }

    /// The worker goes to sleep.
    pub(crate) fn park(&mut self, polls: usize) {
        let now = self.stats.now();
        self.average(now, polls);
        self.parked = now;
        self.worker.busy.pause(now);
        self.turn_parity();
    }

    /// The worker has slept: for how long.
    pub(crate) fn unpark(&mut self) -> Duration {
        self.since = self.stats.now();
        self.worker.busy.resume(self.since);
        self.turn_parity();
        Duration::from_nanos(self.since.saturating_sub(self.parked))
    }

    fn turn_parity(&self) {
        let count = &self.worker.parks_and_unparks;
        // Not a read-modify-write: this is the one writer.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Takes the time since the last call into the mean, as so many polls of equal length.
    fn average(&mut self, now: u64, polls: usize) {
        /// What is left of the old mean after one poll.
        const MEMORY: f64 = 0.9;

        let count = polls.wrapping_sub(self.polls);
        if count == 0 {
            return;
        }
        let sample = now.saturating_sub(self.since) as f64 / count as f64;
        let mean = self.worker.mean_poll_time.load(Ordering::Relaxed) as f64;
        let memory = MEMORY.powi(i32::try_from(count).unwrap_or(i32::MAX));
        let mean = if self.polls == 0 { sample } else { sample + (mean - sample) * memory };
        self.worker.mean_poll_time.store(mean as u64, Ordering::Relaxed);
        (self.since, self.polls) = (now, polls);
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        let thread = self.worker.thread.lock();
        // Otherwise the worker was handed to another thread, which has begun to record it.
        if *thread == Some(thread::current().id()) {
            self.worker.busy.pause(self.stats.now());
        }
        SEAT.set(self.outer);
    }
}

/// How long something was busy, in one word, so that a reader sees a time that only grows.
///
/// While it is idle, the total; while it is busy, the moment at which it would have begun had it
/// never been idle. The lowest bit tells them apart.
#[derive(Default)]
struct BusyTime(AtomicU64);

impl BusyTime {
    fn resume(&self, now: u64) {
        self.0.store((now - self.read(now)) << 1 | 1, Ordering::Relaxed);
    }

    fn pause(&self, now: u64) {
        self.0.store(self.read(now) << 1, Ordering::Relaxed);
    }

    fn read(&self, now: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        if word & 1 == 0 { word >> 1 } else { now.saturating_sub(word >> 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_grows_only_while_it_is_busy() {
        let busy = BusyTime::default();
        assert_eq!(busy.read(5), 0);
        busy.resume(10);
        assert_eq!((busy.read(10), busy.read(17)), (0, 7));
        // Busy already, as after a worker that was handed to another thread.
        busy.resume(20);
        assert_eq!(busy.read(25), 15);
        busy.pause(30);
        busy.pause(35);
        assert_eq!(busy.read(1000), 20);
        busy.resume(1000);
        assert_eq!(busy.read(1001), 21);
    }

    #[test]
    fn the_mean_follows_the_polls() {
        let stats = Stats::new(1, None);
        let mut recorder = stats.record(0, 0);
        recorder.since = 0;
        recorder.average(1_000, 10);
        assert_eq!(stats.mean_poll_time(0), Duration::from_nanos(100), "the first sample is it");
        recorder.average(1_000, 10);
        assert_eq!(stats.mean_poll_time(0), Duration::from_nanos(100), "no poll, no sample");
        recorder.average(1_200, 11);
        assert_eq!(stats.mean_poll_time(0), Duration::from_nanos(110), "one poll weighs a tenth");
        recorder.average(1_200 + 61 * 1_000, 72);
        let mean = stats.mean_poll_time(0).as_nanos();
        assert!((990..1_000).contains(&mean), "{mean}: a full tick weighs nearly everything");
    }

    #[test]
    fn the_innermost_recorder_of_a_thread_is_its_seat() {
        let (outer, inner) = (Stats::new(1, None), Stats::new(8, None));
        assert_eq!(outer.thread(0), None);
        let recorder = outer.record(0, 0);
        assert_eq!(outer.thread(0), Some(thread::current().id()));
        let nested = inner.record(7, 0);
        assert_eq!(SEAT.get(), Some(7));
        drop(nested);
        assert_eq!(SEAT.get(), Some(0));
        drop(recorder);
        assert_eq!(SEAT.get(), None);
    }
}
