//! Worker threads around the stealing scheduler.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jenny_core::scheduler::{Tick, stealing};

use super::{hooks::Hooks, timing::LoopTimers};
use crate::{
    context::{self, Ambient, RuntimeDriver, RuntimePlatform},
    park::{Parker, SharedDriver},
    primitives::contain,
    stats::Stats,
};

/// Overrides the number of workers that a runtime has by default.
const WORKERS_VARIABLE: &str = "JENNY_WORKER_THREADS";

type Worker = stealing::Worker<RuntimePlatform>;

/// The threads of a multi-thread runtime.
pub(super) struct MultiThread {
    threads: Vec<thread::JoinHandle<()>>,
    scheduler: stealing::Handle<RuntimePlatform>,
    ending: Arc<Ending>,
}

/// What the threads need beside their workers.
pub(super) struct Seats {
    pub(super) workers: Vec<Worker>,
    pub(super) parkers: Vec<Parker<RuntimeDriver>>,
    pub(super) driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
}

/// Counts the threads that have not ended.
struct Ending {
    /// Workers that may still park.
    parking: AtomicUsize,
    threads: Mutex<usize>,
    none_left: Condvar,
}

impl MultiThread {
    /// Starts a thread for each worker.
    ///
    /// # Errors
    /// The system does not give a thread. Those that it gave are ended again.
    pub(super) fn start(
        ambient: &Arc<Ambient>,
        scheduler: stealing::Handle<RuntimePlatform>,
        seats: Seats,
        config: &ThreadConfig,
    ) -> io::Result<Self> {
        let count = seats.workers.len();
        let ending = Arc::new(Ending {
            parking: AtomicUsize::new(count),
            threads: Mutex::new(count),
            none_left: Condvar::new(),
        });
        let mut runtime = Self { threads: Vec::with_capacity(count), scheduler, ending };
        let seats: Vec<_> = seats
            .workers
            .into_iter()
            .zip(seats.parkers)
            .enumerate()
            .map(|(index, (worker, parker))| Seat {
                worker,
                parker,
                timers: LoopTimers::new(ambient, index),
                ambient: Arc::clone(ambient),
                hooks: config.hooks.clone(),
                leaving: Leaving {
                    driver: crate::primitives::Arc::clone(&seats.driver),
                    #[cfg(feature = "time")]
                    timers: ambient.time.clone(),
                    ending: Arc::clone(&runtime.ending),
                },
            })
            .collect();
        for seat in seats {
            match config.builder().spawn(move || seat.run()) {
                Ok(thread) => runtime.threads.push(thread),
                Err(error) => {
                    // Nothing has been spawned: the workers without a thread have nothing to cancel,
                    // and dropping their seats counts them off.
                    runtime.scheduler.close();
                    return Err(error);
                }
            }
        }
        Ok(runtime)
    }

    /// Cancels all tasks and waits for the threads, but not on one of them, and not longer than
    /// `timeout`.
    pub(super) fn shutdown(&mut self, timeout: Option<Duration>) {
        self.scheduler.close();
        if self.ending.wait(timeout) {
            for thread in self.threads.drain(..) {
                // Its last act was to count itself off. A panic has been reported by its hook.
                drop(thread.join());
            }
        } else {
            self.threads.clear();
        }
    }
}

impl Ending {
    /// False if the time is up first.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while *threads > 0 {
            threads = match deadline {
                None => self.none_left.wait(threads).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.none_left
                        .wait_timeout(threads, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        true
    }
}

/// A worker's thread.
struct Seat {
    worker: Worker,
    parker: Parker<RuntimeDriver>,
    timers: LoopTimers,
    ambient: Arc<Ambient>,
    hooks: Hooks,
    leaving: Leaving,
}

impl Seat {
    fn run(self) {
        let Self { mut worker, mut parker, timers, ambient, hooks, leaving } = self;
        {
            let _running = context::start_running();
            let _current = context::set_current(&ambient);
            hooks.thread_start();
            let mut stopped = false;
            while !stopped {
                // A panic that gets here is that of a waker which the driver called: go on.
                contain(|| {
                    work(&mut worker, &mut parker, &timers, &hooks, &ambient.stats);
                    stopped = true;
                });
            }
            hooks.thread_stop();
        }
        // What this worker holds is given back before anybody hears that it has ended.
        drop((worker, parker, timers, ambient));
        drop(leaving);
    }
}

/// Counts a thread off when it is dropped.
struct Leaving {
    driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
    #[cfg(feature = "time")]
    timers: context::RuntimeTimers,
    ending: Arc<Ending>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // Ordering: AcqRel; the last one comes after every park of the others.
        if self.ending.parking.fetch_sub(1, Ordering::AcqRel) == 1 {
            contain(|| self.driver.shutdown());
            #[cfg(feature = "time")]
            self.timers.close();
        }
        let mut threads = self.ending.threads.lock().unwrap_or_else(PoisonError::into_inner);
        *threads -= 1;
        if *threads == 0 {
            self.ending.none_left.notify_all();
        }
    }
}

/// Ticks until the worker has stopped.
fn work(
    worker: &mut Worker,
    parker: &mut Parker<RuntimeDriver>,
    timers: &LoopTimers,
    hooks: &Hooks,
    stats: &Stats,
) {
    let Some(index) = worker.index() else { return };
    // The driver is turned inside, too: what its events wake stays on this worker.
    worker.enter(|worker| {
        let mut recorder = stats.record(index, worker.polls());
        loop {
            timers.fire_due();
            match worker.tick() {
                Tick::Ran => {
                    recorder.ran(worker.polls());
                    parker.turn_now();
                }
                Tick::Idle => {
                    hooks.thread_park();
                    // The hook may have spawned, on this very worker.
                    if !worker.has_work() {
                        recorder.park(worker.polls());
                        timers.park(parker);
                        recorder.unpark();
                    }
                    hooks.thread_unpark();
                }
                Tick::Stopped | Tick::HandedOff => return,
            }
        }
    });
}

/// How worker threads are made.
pub(super) struct ThreadConfig {
    pub(super) name: Arc<dyn Fn() -> String + Send + Sync>,
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
