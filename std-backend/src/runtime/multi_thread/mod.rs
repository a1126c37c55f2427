//! Worker threads around the stealing scheduler.
//!
//! A **seat** is what makes a thread a worker: the core's worker and the parker that belongs to it.
//! `seat.rs` has its loop. A seat may change its thread in the middle of a poll
//! (`hand_off.rs`); so threads and seats are counted apart. While its thread sleeps it may be lent to
//! one in `block_on` (`guest.rs`).

use std::{
    cell::Cell,
    io, iter, mem, ptr,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
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
    park::{Berth, Parker, SharedDriver},
    primitives::{contain, run_thread, unmodelled::Arc},
};

mod guest;
mod hand_off;
mod monitor;
mod seat;
#[cfg(all(test, feature = "net", feature = "time", not(jenny_loom)))]
mod tests;

/// Overrides the number of workers that a runtime has by default.
const WORKERS_VARIABLE: &str = "JENNY_WORKER_THREADS";

type Worker = stealing::Worker<RuntimePlatform>;

/// The threads of a multi-thread runtime.
pub(super) struct MultiThread {
    threads: Vec<thread::JoinHandle<()>>,
    team: Arc<Team>,
}

/// What the builder has made for the workers.
pub(super) struct Equipment {
    pub(super) workers: Vec<Worker>,
    pub(super) parkers: Vec<Parker<RuntimeDriver>>,
    /// If seats are lent: what the threads of the workers sleep in meanwhile.
    pub(super) beds: Vec<Parker<RuntimeDriver>>,
    pub(super) driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
}

/// What the workers of a runtime share.
struct Team {
    scheduler: stealing::Handle<RuntimePlatform>,
    ambient: Arc<Ambient>,
    driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
    /// One for each seat, if they are lent.
    berths: Box<[Berth<Seat, RuntimeDriver>]>,
    hooks: Hooks,
    /// Of a worker alone nobody could take over what it neglects.
    monitor: Option<Monitor>,
    /// Seats that may still park.
    seats: AtomicUsize,
    /// The threads that were started with the runtime, but for the monitor's.
    threads: Roll,
    monitors: Roll,
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
        let Equipment { workers, parkers, beds, driver } = equipment;
        let berths = parkers.iter().zip(&beds).map(|(parker, _)| Berth::new(parker)).collect();
        let team = Arc::new(Team {
            scheduler,
            ambient: Arc::clone(ambient),
            driver,
            berths,
            hooks: config.hooks.clone(),
            monitor: Monitor::new(workers.len())?,
            seats: AtomicUsize::new(workers.len()),
            threads: Roll::default(),
            monitors: Roll::default(),
        });
        let seats: Vec<_> = workers
            .into_iter()
            .zip(parkers)
            .zip(beds.into_iter().map(Some).chain(iter::repeat_with(|| None)))
            .map(|((worker, parker), bed)| Vacant(Some(Seat::new(worker, parker, bed, &team))))
            .collect();
        let threads = Vec::with_capacity(seats.len());
        let mut runtime = Self { threads, team };
        // Also if making a name panics.
        let mut given_up = GivenUp(Some(Arc::clone(&runtime.team)));
        runtime.start_threads(seats, config)?;
        given_up.0 = None;
        Ok(runtime)
    }

    fn start_threads(&mut self, seats: Vec<Vacant>, config: &ThreadConfig) -> io::Result<()> {
        // Before the threads, whose hooks may bring something.
        if self.team.monitor.is_some() {
            // Weak: the scheduler is a part of the team.
            let team = Arc::downgrade(&self.team);
            let start = move || team.upgrade().is_none_or(|team| Team::start_monitor(&team));
            // A future that runs tasks is one of two.
            let things = if self.team.berths.is_empty() { 2 } else { 1 };
            self.team.scheduler.platform().company().expect(things, start);
        }
        for seat in seats {
            let hooks = config.hooks.clone();
            let work =
                move || seat.take().run_between(|| hooks.thread_start(), || hooks.thread_stop());
            let attendance = Attendance::new(&self.team, |team| &team.threads);
            self.threads.push(config.builder().spawn(move || attendance.during(work))?);
        }
        Ok(())
    }

    /// Cancels all tasks and waits for the threads, but not longer than `timeout`.
    pub(super) fn shutdown(&mut self, timeout: Option<Duration>) {
        self.team.scheduler.close();
        let threads = mem::take(&mut self.threads);
        if self.team.threads.wait(timeout) && timeout != Some(Duration::ZERO) {
            threads.into_iter().for_each(join);
        }
    }

    /// Waits for the monitor, if there is time and there are no workers left for it to look after. To
    /// be called when the blocking pool, which may have some, has been shut down.
    pub(super) fn finish(&mut self, timeout: Option<Duration>) {
        // Ordering: Relaxed; who sees zero only waits for less.
        let over = self.team.seats.load(Ordering::Relaxed) == 0 && timeout != Some(Duration::ZERO);
        if over && self.team.monitors.wait(timeout) {
            self.team.monitor.iter().filter_map(Monitor::take_thread).for_each(join);
        }
    }
}

impl Team {
    /// Starts the thread of the monitor, if there is one and that has not happened. False if the system
    /// gives none: then a stuck worker keeps what it has until somebody asks again.
    fn start_monitor(team: &Arc<Self>) -> bool {
        let Some(monitor) = &team.monitor else { return true };
        monitor.start(|| {
            let attendance = Attendance::new(team, |team| &team.monitors);
            let team = Arc::clone(team);
            let run = move || monitor::run(&team);
            let builder = thread::Builder::new().name("jenny-monitor".into());
            builder.spawn(move || attendance.during(run))
        })
    }
}

/// Joins a thread that has counted itself off, unless it is this one.
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

/// A seat for a thread that has not come yet.
struct Vacant(Option<Seat>);

impl Vacant {
    fn take(mut self) -> Seat {
        self.0.take().expect("taken once")
    }
}

impl Drop for Vacant {
    /// No thread will come: all workers have to stop, and this one does it here.
    fn drop(&mut self) {
        if let Some(seat) = self.0.take() {
            contain(|| seat.stop());
        }
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
            self.0.monitor.iter().for_each(Monitor::end);
        }
    }
}

/// Counts threads until they have ended.
#[derive(Default)]
struct Roll {
    threads: Mutex<usize>,
    changed: Condvar,
}

thread_local! {
    /// The roll on which this thread is. Without a destructor, so that it can be read in those of
    /// others.
    static ROLL: Cell<*const Roll> = const { Cell::new(ptr::null()) };
}

impl Roll {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no thread is left but this one; false if the time is up first.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let this_one = usize::from(ptr::eq(ROLL.get(), self));
        let mut threads = self.lock();
        while *threads > this_one {
            threads = match deadline {
                None => self.changed.wait(threads).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let time = deadline.saturating_duration_since(Instant::now());
                    if time.is_zero() {
                        return false;
                    }
                    let waited = self.changed.wait_timeout(threads, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

/// Counts a thread on a roll of its team until it is dropped.
struct Attendance {
    team: Arc<Team>,
    roll: fn(&Team) -> &Roll,
}

impl Attendance {
    fn new(team: &Arc<Team>, roll: fn(&Team) -> &Roll) -> Self {
        *roll(team).lock() += 1;
        Self { team: Arc::clone(team), roll }
    }

    /// Runs a thread, and counts it off when the destructors of its thread-local variables, too, are
    /// done.
    fn during(self, work: impl FnOnce()) {
        ROLL.set((self.roll)(&self.team));
        run_thread(work, move || {
            ROLL.set(ptr::null());
            drop(self);
        });
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let roll = (self.roll)(&self.team);
        *roll.lock() -= 1;
        roll.changed.notify_all();
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
