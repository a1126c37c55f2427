//! Worker threads around the stealing scheduler.
//!
//! A **seat** is what makes a thread a worker: the core's worker and the parker that belongs to it.
//! `seat.rs` has its loop. A seat may change its thread in the middle of a poll
//! (`hand_off.rs`); so threads and seats are counted apart.

use std::{
    io, mem,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jenny_core::scheduler::stealing;

use self::{monitor::Monitor, seat::Seat};
use super::hooks::Hooks;
use crate::{
    context::{Ambient, RuntimeDriver, RuntimePlatform},
    park::{Parker, SharedDriver},
    primitives::{contain, unmodelled::Arc},
};

mod hand_off;
mod monitor;
mod seat;

/// Overrides the number of workers that a runtime has by default.
const WORKERS_VARIABLE: &str = "JENNY_WORKER_THREADS";

type Worker = stealing::Worker<RuntimePlatform>;

/// The threads of a multi-thread runtime.
pub(super) struct MultiThread {
    threads: Vec<thread::JoinHandle<()>>,
    monitor: Option<thread::JoinHandle<()>>,
    team: Arc<Team>,
}

/// What the builder has made for the workers.
pub(super) struct Equipment {
    pub(super) workers: Vec<Worker>,
    pub(super) parkers: Vec<Parker<RuntimeDriver>>,
    pub(super) driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
}

/// What the workers of a runtime share.
struct Team {
    scheduler: stealing::Handle<RuntimePlatform>,
    ambient: Arc<Ambient>,
    driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
    hooks: Hooks,
    monitor: Monitor,
    /// Seats that may still park.
    seats: AtomicUsize,
    /// The runtime's own threads that have not ended.
    threads: Mutex<usize>,
    thread_ended: Condvar,
}

impl MultiThread {
    /// Starts a thread for each worker.
    ///
    /// # Errors
    /// The system does not give a thread. Those that it gave are ended again.
    pub(super) fn start(
        ambient: &Arc<Ambient>,
        scheduler: stealing::Handle<RuntimePlatform>,
        equipment: Equipment,
        config: &ThreadConfig,
    ) -> io::Result<Self> {
        let Equipment { workers, parkers, driver } = equipment;
        let team = Arc::new(Team {
            scheduler,
            ambient: Arc::clone(ambient),
            driver,
            hooks: config.hooks.clone(),
            monitor: Monitor::new(workers.len()),
            seats: AtomicUsize::new(workers.len()),
            threads: Mutex::new(0),
            thread_ended: Condvar::new(),
        });
        let seats: Vec<_> = workers
            .into_iter()
            .zip(parkers)
            .map(|(worker, parker)| Seat::new(worker, parker, &team))
            .collect();
        let threads = Vec::with_capacity(seats.len());
        let mut runtime = Self { threads, monitor: None, team };
        // Also if making a name panics. The workers without a thread have nothing to cancel, and
        // dropping their seats counts them off.
        let mut given_up = GivenUp(Some(Arc::clone(&runtime.team)));
        runtime.start_threads(seats, config)?;
        given_up.0 = None;
        Ok(runtime)
    }

    fn start_threads(&mut self, seats: Vec<Seat>, config: &ThreadConfig) -> io::Result<()> {
        let alone = seats.len() == 1;
        for seat in seats {
            let attendance = Attendance::new(&self.team);
            self.threads.push(config.builder().spawn(move || {
                let hooks = attendance.0.hooks.clone();
                seat.run_between(|| hooks.thread_start(), || hooks.thread_stop());
                drop(attendance);
            })?);
        }
        // Of a worker alone nobody could take over what it neglects.
        if !alone {
            let (team, builder) = (Arc::clone(&self.team), thread::Builder::new());
            let run = move || monitor::run(&team);
            self.monitor = Some(builder.name("jenny-monitor".into()).spawn(run)?);
        }
        Ok(())
    }

    /// Cancels all tasks and waits for the threads, but not longer than `timeout`.
    pub(super) fn shutdown(&mut self, timeout: Option<Duration>) {
        self.team.scheduler.close();
        let threads = mem::take(&mut self.threads);
        // Those that have counted themselves off may still run destructors of thread-local variables.
        if self.team.wait_for_threads(timeout) && timeout != Some(Duration::ZERO) {
            threads.into_iter().for_each(join);
        }
    }

    /// Waits for the monitor, if there is time and there are no workers left for it to look after. To
    /// be called when the blocking pool, which may have some, has been shut down.
    pub(super) fn finish(&mut self, timeout: Option<Duration>) {
        // Ordering: Relaxed; who sees zero only waits for less.
        let over = self.team.seats.load(Ordering::Relaxed) == 0 && timeout != Some(Duration::ZERO);
        self.monitor.take().filter(|_| over).into_iter().for_each(join);
    }
}

/// Joins a thread that is about to end, unless it is this one.
fn join(thread: thread::JoinHandle<()>) {
    if thread.thread().id() != thread::current().id() {
        // A panic has been reported by its hook.
        drop(thread.join());
    }
}

/// Closes the scheduler of a runtime that could not be started.
struct GivenUp(Option<Arc<Team>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(team) = &self.0 {
            team.scheduler.close();
            team.ambient.blocking.shutdown(Some(Duration::ZERO));
        }
    }
}

impl Team {
    /// Waits until no thread is left; false if the time is up first.
    fn wait_for_threads(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while *threads > 0 {
            threads = match deadline {
                None => self.thread_ended.wait(threads).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let time = deadline.saturating_duration_since(Instant::now());
                    if time.is_zero() {
                        return false;
                    }
                    self.thread_ended
                        .wait_timeout(threads, time)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        true
    }
}

/// Counts a seat until it is dropped.
struct Occupied(Arc<Team>);

impl Drop for Occupied {
    fn drop(&mut self) {
        // Ordering: AcqRel; the last one comes after every park of the others.
        if self.0.seats.fetch_sub(1, Ordering::AcqRel) == 1 {
            contain(|| self.0.driver.shutdown());
            #[cfg(feature = "time")]
            self.0.ambient.time.close();
            // Until here: the timers of a worker that has stopped before the others are its business.
            self.0.monitor.end();
        }
    }
}

/// Counts a thread until it is dropped.
struct Attendance(Arc<Team>);

impl Attendance {
    fn new(team: &Arc<Team>) -> Self {
        *team.threads.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(Arc::clone(team))
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.thread_ended.notify_all();
    }
}

/// How worker threads are made.
pub(super) struct ThreadConfig {
    pub(super) name: std::sync::Arc<dyn Fn() -> String + Send + Sync>,
    pub(super) stack_size: Option<usize>,
    pub(super) hooks: Hooks,
}

impl ThreadConfig {
    fn builder(&self) -> thread::Builder {
        let builder = thread::Builder::new().name((self.name)());
        match self.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }
}

/// The number of workers where the builder was not told one.
///
/// # Errors
/// The variable does not hold a number of workers.
pub(super) fn default_workers() -> io::Result<usize> {
    static CORES: AtomicUsize = AtomicUsize::new(0);
    match std::env::var(WORKERS_VARIABLE) {
        Ok(text) => match text.parse() {
            Ok(count) if (1..usize::from(u16::MAX)).contains(&count) => Ok(count),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{WORKERS_VARIABLE} has to be a number from 1 to 65534, not {text:?}"),
            )),
        },
        Err(std::env::VarError::NotPresent) => {
            // Asking costs tens of microseconds where control groups are read.
            let known = CORES.load(Ordering::Relaxed);
            if known > 0 {
                return Ok(known);
            }
            let cores = thread::available_parallelism().map_or(1, usize::from);
            CORES.store(cores, Ordering::Relaxed);
            Ok(cores)
        }
        Err(error) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{WORKERS_VARIABLE} cannot be read: {error}"),
        )),
    }
}
