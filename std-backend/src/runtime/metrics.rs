//! A runtime in numbers.

use jenny_core::scheduler::WorkerMetrics;

use super::Handle;
use crate::context::Scheduler;

/// Counters and gauges of one runtime. Made by [`Handle::metrics`].
///
/// Every number is read from where its owner keeps it: two numbers need not be of the same moment.
/// Counters start at zero with the runtime and wrap around at `usize::MAX`.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    handle: Handle,
}

impl RuntimeMetrics {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// The number of workers; 1 for a current-thread runtime.
    pub fn num_workers(&self) -> usize {
        match &self.handle.ambient.scheduler {
            Scheduler::CurrentThread(_) => 1,
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.workers(),
        }
    }

    #[track_caller]
    fn worker(&self, worker: usize) -> WorkerMetrics {
        let metrics = match &self.handle.ambient.scheduler {
            Scheduler::CurrentThread(handle) => (worker == 0).then(|| handle.metrics()),
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.metrics(worker),
        };
        match metrics {
            Some(metrics) => metrics,
            None => panic!("there is no worker {worker}: the runtime has {}", self.num_workers()),
        }
    }

    /// Tasks that have been spawned and have not ended. Blocking jobs are not in it.
    pub fn num_alive_tasks(&self) -> usize {
        // The ends first: a task that is spawned in between is counted, none is missed.
        let ended = self.sum(|worker| worker.completions).wrapping_add(self.completed_outside());
        let alive = self.spawned().wrapping_sub(ended);
        // A task that is spawned from outside may end before its spawner has counted it.
        if alive > usize::MAX / 2 { 0 } else { alive }
    }

    fn completed_outside(&self) -> usize {
        match &self.handle.ambient.scheduler {
            Scheduler::CurrentThread(_) => 0,
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(handle) => handle.completed_outside(),
        }
    }

    fn spawned(&self) -> usize {
        self.sum(|worker| worker.spawns.wrapping_add(worker.remote_spawns))
    }

    /// A number of all workers together.
    fn sum(&self, number: impl Fn(WorkerMetrics) -> usize) -> usize {
        (0..self.num_workers()).fold(0, |sum, worker| sum.wrapping_add(number(self.worker(worker))))
    }

    /// How many tasks this worker has polled, with repetitions.
    ///
    /// # Panics
    /// As all methods that take a worker: if there is no such worker.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.worker(worker).polls as u64
    }

    /// How often this worker found nothing to do and went to sleep.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.worker(worker).parks as u64
    }

    /// How often this worker was woken and found nothing to do.
    #[track_caller]
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.worker(worker).empty_wakes as u64
    }

    /// How many tasks this worker took from others.
    #[track_caller]
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.worker(worker).steals as u64
    }

    /// How many tasks this worker scheduled on itself.
    #[track_caller]
    pub fn worker_local_schedule_count(&self, worker: usize) -> u64 {
        self.worker(worker).local_schedules as u64
    }

    /// How many tasks did not fit this worker's ring.
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.worker(worker).overflows as u64
    }

    /// How many tasks were spawned on this worker.
    #[track_caller]
    pub fn worker_spawn_count(&self, worker: usize) -> u64 {
        self.worker(worker).spawns as u64
    }

    /// Threads of the blocking pool.
    pub fn num_blocking_threads(&self) -> usize {
        self.handle.ambient.blocking.metrics().threads
    }

    /// Threads of the blocking pool that wait for a job.
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.handle.ambient.blocking.metrics().idle_threads
    }

    /// Blocking jobs that wait for a thread.
    pub fn blocking_queue_depth(&self) -> usize {
        self.handle.ambient.blocking.metrics().queue_depth
    }
}
