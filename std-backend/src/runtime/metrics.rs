//! A runtime in numbers.

use std::{ops::Range, thread::ThreadId, time::Duration};

use jenny_core::scheduler::WorkerMetrics;

use super::Handle;
use crate::{
    context::{Ambient, Scheduler},
    stats::PollTimes,
};

/// Counters and gauges of one runtime. Made by [`Handle::metrics`].
///
/// Every number is read from where its owner keeps it: two numbers need not be of the same moment.
/// Counters start at zero with the runtime; those of events wrap around at `usize::MAX`. They count
/// without shared writes on the way of a task that stays on its worker.
///
/// A current-thread runtime has one worker: whoever is in `block_on`.
///
/// # Panics
/// All methods that take a worker panic if there is no such worker.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    handle: Handle,
}

/// Tasks.
impl RuntimeMetrics {
    /// Tasks that have been spawned and have not ended. Blocking jobs are not in it.
    pub fn num_alive_tasks(&self) -> usize {
        // The ends first: a task that is spawned in between is counted, none is missed.
        let ended = self.sum(|worker| worker.completions).wrapping_add(self.completed_outside());
        let alive = self.spawned().wrapping_sub(ended);
        // A task that is spawned from outside may end before its spawner has counted it.
        if alive > usize::MAX / 2 { 0 } else { alive }
    }

    /// How many tasks were next on a worker that was stuck in a poll, and have been given to another.
    pub fn rescued_tasks_count(&self) -> u64 {
        match &self.ambient().scheduler {
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.rescues() as u64,
            _ => 0,
        }
    }

    /// Tasks that have been spawned. Blocking jobs are not in it.
    pub fn spawned_tasks_count(&self) -> u64 {
        self.spawned() as u64
    }

    /// Tasks that came from outside of the workers: spawned or woken on another thread.
    pub fn remote_schedule_count(&self) -> u64 {
        self.sum(|worker| worker.remote_spawns.wrapping_add(worker.remote_wakes)) as u64
    }

    /// Tasks that other threads have brought and that no worker has put into its own queues yet.
    ///
    /// There is no queue that all workers share: this is what is in all their inboxes together.
    pub fn global_queue_depth(&self) -> usize {
        match &self.ambient().scheduler {
            Scheduler::CurrentThread(handle) => handle.injected(),
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.injected(),
        }
    }

    /// The old name of [`num_alive_tasks`](Self::num_alive_tasks).
    #[deprecated(note = "renamed to `num_alive_tasks`")]
    pub fn active_tasks_count(&self) -> usize {
        self.num_alive_tasks()
    }

    /// The old name of [`global_queue_depth`](Self::global_queue_depth).
    #[deprecated(note = "renamed to `global_queue_depth`")]
    pub fn injection_queue_depth(&self) -> usize {
        self.global_queue_depth()
    }

    /// Polls of tasks, and of futures of `block_on`, that had to end because they had used up their
    /// [budget](crate::task::coop). Each poll counts once.
    pub fn budget_forced_yield_count(&self) -> u64 {
        let tasks = self.sum(|worker| worker.forced_yields) as u64;
        tasks.wrapping_add(self.ambient().stats.root_yields())
    }
}

/// Workers.
impl RuntimeMetrics {
    /// The number of workers.
    pub fn num_workers(&self) -> usize {
        match &self.ambient().scheduler {
            Scheduler::CurrentThread(_) => 1,
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.workers(),
        }
    }

    /// The thread that works for this worker, or did last; `None` before the first one has started.
    #[track_caller]
    pub fn worker_thread_id(&self, worker: usize) -> Option<ThreadId> {
        self.ambient().stats.thread(self.checked(worker))
    }

    /// How long this worker has been awake: running tasks, looking for some, or turning the driver.
    /// It grows while the worker is awake, and never shrinks.
    #[track_caller]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        self.ambient().stats.busy_duration(self.checked(worker))
    }

    /// How often this worker found nothing to do and went to sleep.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.worker_park_unpark_count(worker).div_ceil(2)
    }

    /// How often this worker went to sleep or awoke: odd while it sleeps, even while it is awake.
    #[track_caller]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.ambient().stats.parks_and_unparks(self.checked(worker))
    }

    /// How often this worker was woken and found nothing to do.
    #[track_caller]
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.worker(worker).empty_wakes as u64
    }

    /// How many tasks this worker has polled, with repetitions.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.worker(worker).polls as u64
    }

    /// How long a poll takes on this worker, lately: a moving average over the time that the worker
    /// is awake, in which a poll weighs a tenth. Turns of the driver are in it.
    #[track_caller]
    pub fn worker_mean_poll_time(&self, worker: usize) -> Duration {
        self.ambient().stats.mean_poll_time(self.checked(worker))
    }

    /// How many tasks were spawned on this worker's thread, by its tasks.
    #[track_caller]
    pub fn worker_spawn_count(&self, worker: usize) -> u64 {
        self.worker(worker).spawns as u64
    }

    /// How many tasks this worker scheduled on itself: spawned or woken on its thread, by others or by
    /// themselves.
    #[track_caller]
    pub fn worker_local_schedule_count(&self, worker: usize) -> u64 {
        self.worker(worker).local_schedules as u64
    }

    /// How many tasks wait in this worker's own queues. One that it is about to run next, out of the
    /// reach of thieves, may not be in it.
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        let worker = self.checked(worker);
        let queued = match &self.ambient().scheduler {
            Scheduler::CurrentThread(handle) => (worker == 0).then(|| handle.queued()),
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.queued(worker),
        };
        queued.expect("checked above")
    }

    /// How many tasks did not fit this worker's ring, and had to go where a lock is taken.
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.worker(worker).overflows as u64
    }

    /// How many tasks this worker took from others.
    #[track_caller]
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.worker(worker).steals as u64
    }

    /// How often this worker took tasks from another, any number at a time.
    #[track_caller]
    pub fn worker_steal_operations(&self, worker: usize) -> u64 {
        self.worker(worker).steal_operations as u64
    }
}

/// The histogram of poll times, of a runtime that was built with
/// [`enable_metrics_poll_time_histogram`](super::Builder::enable_metrics_poll_time_histogram).
impl RuntimeMetrics {
    /// Whether the runtime takes the time of polls.
    pub fn poll_time_histogram_enabled(&self) -> bool {
        self.ambient().stats.poll_times().is_some()
    }

    /// The number of buckets; zero if the time is not taken.
    pub fn poll_time_histogram_num_buckets(&self) -> usize {
        self.ambient().stats.poll_times().map_or(0, |times| times.configuration.buckets())
    }

    /// Which poll times a bucket counts. The last bucket ends at `u64::MAX` nanoseconds, and counts
    /// what is longer, too.
    ///
    /// # Panics
    /// If there is no such bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        self.poll_times(bucket).configuration.range(bucket)
    }

    /// How many polls of this worker a bucket has counted. None, if the builder was not asked for
    /// the histogram.
    ///
    /// # Panics
    /// If there is no such worker, or the histogram has no such bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        let worker = self.checked(worker);
        if !self.poll_time_histogram_enabled() {
            return 0;
        }
        self.poll_times(bucket).count(worker, bucket)
    }

    /// The old name of [`poll_time_histogram_enabled`](Self::poll_time_histogram_enabled).
    #[deprecated(note = "renamed to `poll_time_histogram_enabled`")]
    pub fn poll_count_histogram_enabled(&self) -> bool {
        self.poll_time_histogram_enabled()
    }

    /// The old name of
    /// [`poll_time_histogram_num_buckets`](Self::poll_time_histogram_num_buckets).
    #[deprecated(note = "renamed to `poll_time_histogram_num_buckets`")]
    pub fn poll_count_histogram_num_buckets(&self) -> usize {
        self.poll_time_histogram_num_buckets()
    }

    /// The old name of
    /// [`poll_time_histogram_bucket_range`](Self::poll_time_histogram_bucket_range).
    #[deprecated(note = "renamed to `poll_time_histogram_bucket_range`")]
    #[track_caller]
    pub fn poll_count_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        self.poll_time_histogram_bucket_range(bucket)
    }

    /// The old name of
    /// [`poll_time_histogram_bucket_count`](Self::poll_time_histogram_bucket_count).
    #[deprecated(note = "renamed to `poll_time_histogram_bucket_count`")]
    #[track_caller]
    pub fn poll_count_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.poll_time_histogram_bucket_count(worker, bucket)
    }

    #[track_caller]
    fn poll_times(&self, bucket: usize) -> &PollTimes {
        match self.ambient().stats.poll_times() {
            Some(times) if bucket < times.configuration.buckets() => times,
            Some(times) => panic!(
                "there is no bucket {bucket}: the histogram has {}",
                times.configuration.buckets()
            ),
            None => panic!(
                "the runtime does not take the time of polls: call \
                 `enable_metrics_poll_time_histogram` on its builder"
            ),
        }
    }
}

/// The blocking pool.
impl RuntimeMetrics {
    /// Threads of the blocking pool.
    pub fn num_blocking_threads(&self) -> usize {
        self.ambient().blocking.metrics().threads
    }

    /// Threads of the blocking pool that wait for a job.
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.ambient().blocking.metrics().idle_threads
    }

    /// Blocking jobs that wait for a thread.
    pub fn blocking_queue_depth(&self) -> usize {
        self.ambient().blocking.metrics().queue_depth
    }
}

/// The I/O driver. Zero if the runtime has none.
#[cfg(feature = "net")]
impl RuntimeMetrics {
    /// Resources that were registered with the driver: sockets, and what else the system reports on.
    pub fn io_driver_fd_registered_count(&self) -> u64 {
        self.driver().registrations
    }

    /// Resources that were deregistered.
    pub fn io_driver_fd_deregistered_count(&self) -> u64 {
        self.driver().deregistrations
    }

    /// Events that the system reported: that a resource is ready for something.
    pub fn io_driver_ready_count(&self) -> u64 {
        self.driver().events
    }

    fn driver(&self) -> crate::io::DriverMetrics {
        self.ambient().io.as_ref().map(crate::io::Handle::metrics).unwrap_or_default()
    }
}

impl RuntimeMetrics {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn ambient(&self) -> &Ambient {
        &self.handle.ambient
    }

    #[track_caller]
    fn checked(&self, worker: usize) -> usize {
        let workers = self.num_workers();
        assert!(worker < workers, "there is no worker {worker}: the runtime has {workers}");
        worker
    }

    #[track_caller]
    fn worker(&self, worker: usize) -> WorkerMetrics {
        let worker = self.checked(worker);
        let metrics = match &self.ambient().scheduler {
            Scheduler::CurrentThread(handle) => (worker == 0).then(|| handle.metrics()),
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.metrics(worker),
        };
        metrics.expect("checked above")
    }

    /// A number of all workers together.
    fn sum(&self, number: impl Fn(WorkerMetrics) -> usize) -> usize {
        (0..self.num_workers()).fold(0, |sum, worker| sum.wrapping_add(number(self.worker(worker))))
    }

    fn spawned(&self) -> usize {
        self.sum(|worker| worker.spawns.wrapping_add(worker.remote_spawns))
    }

    /// Tasks that ended on threads that had handed off their workers.
    fn completed_outside(&self) -> usize {
        match &self.ambient().scheduler {
            Scheduler::CurrentThread(_) => 0,
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.completed_outside(),
        }
    }
}
