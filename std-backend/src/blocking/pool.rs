//! Threads for jobs that block: started when all others are busy, ended when they idle too long.
//!
//! The pool does not know what a [`Job`] is. Each job that [`Pool::spawn`] accepts is either run or
//! cancelled, exactly once; one that it does not accept is handed back.
//!
//! # Why no job is forgotten
//! All of [`State`] is behind one lock. The invariant that holds whenever the lock is free:
//!
//! > if a job is queued, some counted thread is going to look at the queue again.
//!
//! A thread looks at the queue again after each job, when it is woken, and before it stops counting
//! itself. [`Pool::spawn`] keeps the invariant in one of three ways: it claims an idle thread
//! (`idle` to `claimed`, so that two jobs never count on one thread), or it starts a thread, or it
//! finds that all threads are busy and leaves the job to whoever is done first. Where a thread is
//! needed and cannot be started, the job is queued only if another thread is counted.
//!
//! A claim is a number, not an address: whichever waiting thread wakes first takes it. So a signal
//! that meets a thread whose time is just up is not lost, and a spurious wake-up takes nothing that
//! is missed elsewhere.
//!
//! Nothing foreign runs under the lock: no job, no hook, no name.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    sync::atomic,
    time::{Duration, Instant},
};

use crate::primitives::{Arc, Condvar, Mutex, MutexGuard, Ordering, contain, thread};

/// What the pool's threads do.
pub trait Job: Send + 'static {
    /// Does the work. A panic is contained and otherwise ignored.
    fn run(self);

    /// Called instead of [`run`](Self::run) when the pool is shut down first.
    fn cancel(self);
}

/// Whether a job that is still queued at shutdown is run all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mandatory {
    /// It is run: somebody relies on its effect, as on a write to a file.
    Yes,
    /// It is cancelled.
    No,
}

/// Called on a thread of the pool.
pub type Hook = std::sync::Arc<dyn Fn() + Send + Sync>;

/// Calls its argument on a thread of the pool.
pub type Wrap = std::sync::Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// How threads are made, and how many. (`std::sync::Arc`, because loom's cannot hold a `dyn Fn`.)
#[derive(Clone)]
pub struct Config {
    /// The most threads at any time, at least one.
    pub max_threads: usize,
    /// How long a thread waits for a job before it ends; [`Duration::MAX`] for ever.
    pub keep_alive: Duration,
    /// Names a new thread.
    pub thread_name: std::sync::Arc<dyn Fn() -> String + Send + Sync>,
    /// In bytes; `None` for the system's choice.
    pub stack_size: Option<usize>,
    /// Called first on each new thread, inside `wrap`.
    pub on_start: Option<Hook>,
    /// Called last on each ending thread, inside `wrap`.
    pub on_stop: Option<Hook>,
    /// Called on a thread of the pool when a spawned job has ended and no other is queued or running.
    pub on_quiet: Option<Hook>,
    /// Calls its argument exactly once, in the surroundings that jobs expect, and does not panic. A
    /// strong reference to the pool's owner in here would be a cycle.
    pub wrap: Wrap,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("max_threads", &self.max_threads)
            .field("keep_alive", &self.keep_alive)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}

/// Why a job was not accepted. It is handed back, neither run nor cancelled.
pub enum SpawnError<J> {
    /// The pool is shut down.
    ShuttingDown(J),
    /// No thread is alive, and the system did not give one.
    NoThreads {
        /// The job.
        job: J,
        /// What the system said.
        source: io::Error,
    },
}

impl<J> fmt::Debug for SpawnError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShuttingDown(_) => f.write_str("ShuttingDown"),
            Self::NoThreads { source, .. } => f.debug_tuple("NoThreads").field(source).finish(),
        }
    }
}

/// Figures of one moment, each exact, not necessarily of the same moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metrics {
    /// Threads that take jobs.
    pub threads: usize,
    /// Those of them that wait for a job.
    pub idle_threads: usize,
    /// Jobs that wait for a thread.
    pub queue_depth: usize,
    /// Jobs that are queued or running, those of [`Pool::run_now`] excepted.
    pub alive_jobs: usize,
}

/// A pool of threads. See the head of this file.
pub struct Pool<J> {
    shared: Arc<Shared<J>>,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    /// Where idle threads wait: for a claim, or for the shutdown.
    work: Condvar,
    /// Where [`Pool::shutdown`] waits for threads to end.
    ended: Condvar,
    gauges: Gauges,
    config: Config,
}

struct State<J> {
    queue: VecDeque<(J, Mandatory)>,
    /// Jobs of [`Pool::run_now`]. For each there is a claim, or a thread that is just starting.
    urgent: VecDeque<J>,
    /// Threads that will look at the queue again, less one for each urgent job, which nobody can say
    /// how long it takes. Those that are past that, and in `on_stop`, are only in `handles`.
    counted: usize,
    /// Urgent jobs, queued or running.
    seated: usize,
    /// Of the counted threads, those that wait and are free to be claimed.
    idle: usize,
    /// Claims that no waiting thread has taken yet.
    claimed: usize,
    shutdown: bool,
    /// Every thread that has not ended, by its number.
    handles: BTreeMap<u64, thread::JoinHandle<()>>,
    next_number: u64,
    /// The thread that ended last. It has joined the one before, so joining it joins them all.
    last_ended: Option<thread::JoinHandle<()>>,
    /// Threads of the pool that are inside [`Pool::shutdown`].
    leaving: usize,
}

/// Copies of figures in [`State`], so that reading them takes no lock. They are written under the
/// lock and take part in no protocol, hence plain atomics also under a model checker.
#[derive(Default)]
struct Gauges {
    threads: atomic::AtomicUsize,
    idle: atomic::AtomicUsize,
    depth: atomic::AtomicUsize,
    alive: atomic::AtomicUsize,
}

impl<J: Job> Pool<J> {
    /// Starts no thread yet.
    ///
    /// # Panics
    /// If `config.max_threads` is zero.
    pub fn new(config: Config) -> Self {
        assert!(config.max_threads > 0, "a blocking pool needs at least one thread");
        let state = State {
            queue: VecDeque::new(),
            urgent: VecDeque::new(),
            counted: 0,
            seated: 0,
            idle: 0,
            claimed: 0,
            shutdown: false,
            handles: BTreeMap::new(),
            next_number: 0,
            last_ended: None,
            leaving: 0,
        };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            ended: Condvar::new(),
            gauges: Gauges::default(),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Queues a job and sees to it that a thread will take it. Callable from any thread, also from
    /// inside a job.
    ///
    /// # Errors
    /// Hands the job back when the pool is shut down, or has no thread and gets none. A thread that
    /// cannot be started is no error while another is alive: the job waits for that one.
    ///
    /// # Panics
    /// If a thread is needed and its name contains a zero byte. The job is dropped.
    pub fn spawn(&self, job: J, mandatory: Mandatory) -> Result<(), SpawnError<J>> {
        let shared = &self.shared;
        let needs_thread =
            |state: &State<J>| state.idle == 0 && state.counted < shared.config.max_threads;
        let (mut state, name) = shared.lock_with_name(needs_thread);
        if state.shutdown {
            return Err(SpawnError::ShuttingDown(job));
        }
        let claims = state.claim();
        if let Some(name) = name
            && !claims
            && needs_thread(&state)
        {
            match Shared::start_thread(shared, &mut state, name) {
                Ok(()) => state.counted += 1,
                Err(source) if state.counted == 0 => {
                    return Err(SpawnError::NoThreads { job, source });
                }
                Err(_) => {}
            }
        }
        state.queue.push_back((job, mandatory));
        shared.gauges.alive.fetch_add(1, Ordering::Relaxed);
        shared.publish(&state);
        drop(state);
        if claims {
            // After the lock is released, or the thread would wake only to wait for it.
            shared.work.notify_one();
        }
        Ok(())
    }

    /// Runs a job on a thread of its own at once: on an idle one, or on one that is started for it.
    /// It waits behind no other job, and takes no place of those that `max_threads` allows. An
    /// accepted job is run in any case, and [`shutdown`](Self::shutdown) waits for it as for a job
    /// that has started. Callable from any thread, also from inside a job.
    ///
    /// # Errors
    /// Hands the job back when the pool is shut down, or when no thread is idle and the system gives
    /// none.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    pub fn run_now(&self, job: J) -> Result<(), SpawnError<J>> {
        let shared = &self.shared;
        let (mut state, name) = shared.lock_with_name(|state| state.idle == 0);
        if state.shutdown {
            return Err(SpawnError::ShuttingDown(job));
        }
        let claims = state.claim();
        if claims {
            state.counted -= 1;
        } else if let Some(name) = name
            && let Err(source) = Shared::start_thread(shared, &mut state, name)
        {
            return Err(SpawnError::NoThreads { job, source });
        }
        state.urgent.push_back(job);
        state.seated += 1;
        shared.publish(&state);
        drop(state);
        if claims {
            shared.work.notify_one();
        }
        Ok(())
    }

    /// Accepts no more jobs, cancels those that are queued and not mandatory, and waits until all
    /// threads have ended, at most for `timeout`; `None` waits for ever, zero not at all. Running
    /// jobs and mandatory ones are completed, if need be after this has returned.
    ///
    /// The queued jobs are cancelled on the calling thread, so it has happened when this returns. A
    /// thread of this pool may call it, and does not wait for itself, nor for others in the same
    /// position. Calling it again waits again.
    pub fn shutdown(&self, timeout: Option<Duration>) {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        state.shutdown = true;
        let (kept, cancelled): (VecDeque<_>, VecDeque<_>) =
            state.queue.drain(..).partition(|(_, mandatory)| *mandatory == Mandatory::Yes);
        state.queue = kept;
        shared.publish(&state);
        drop(state);
        shared.work.notify_all();
        for (job, _) in cancelled {
            contain(|| job.cancel());
            shared.job_has_ended();
        }
        shared.wait_for_threads(timeout);
    }

    /// Reads the figures, without a lock.
    pub fn metrics(&self) -> Metrics {
        let Gauges { threads, idle, depth, alive } = &self.shared.gauges;
        Metrics {
            threads: threads.load(Ordering::Relaxed),
            idle_threads: idle.load(Ordering::Relaxed),
            queue_depth: depth.load(Ordering::Relaxed),
            // Ordering: Acquire pairs with the Release of `job_has_ended`.
            alive_jobs: alive.load(Ordering::Acquire),
        }
    }
}

impl<J> fmt::Debug for Pool<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<J> State<J> {
    /// Sees to it that one of the idle threads looks at the queue, once it is notified.
    fn claim(&mut self) -> bool {
        let claims = self.idle > 0;
        if claims {
            self.idle -= 1;
            self.claimed += 1;
        }
        claims
    }
}

impl<J: Job> Shared<J> {
    /// Takes the lock, with a name for a new thread if one was needed at first sight: the lock is
    /// open while the name is made. What is no longer needed is no harm.
    fn lock_with_name(
        &self,
        needs_thread: impl Fn(&State<J>) -> bool,
    ) -> (MutexGuard<'_, State<J>>, Option<String>) {
        let mut name = None;
        loop {
            let state = self.state.lock();
            if state.shutdown || name.is_some() || !needs_thread(&state) {
                return (state, name);
            }
            drop(state);
            name = Some((self.config.thread_name)());
        }
    }

    /// Starts a thread. The lock is held meanwhile: a thread counted in advance, and then not
    /// started, would be one that others have already relied upon.
    fn start_thread(shared: &Arc<Self>, state: &mut State<J>, name: String) -> io::Result<()> {
        let number = state.next_number;
        let mut builder = thread::Builder::new().name(name);
        if let Some(size) = shared.config.stack_size {
            builder = builder.stack_size(size);
        }
        let body = Arc::clone(shared);
        let handle = builder.spawn(move || body.thread(number))?;
        state.handles.insert(number, handle);
        state.next_number += 1;
        Ok(())
    }

    /// A thread's whole life.
    fn thread(&self, number: u64) {
        let Config { on_start, on_stop, wrap, .. } = &self.config;
        let hook = |hook: &Option<Hook>| hook.iter().for_each(|hook| contain(|| hook()));
        wrap(&mut || {
            hook(on_start);
            self.work();
            hook(on_stop);
        });

        let mut state = self.state.lock();
        let handle = state.handles.remove(&number);
        let before = std::mem::replace(&mut state.last_ended, handle);
        let shutdown = state.shutdown;
        drop(state);
        if shutdown {
            self.ended.notify_all();
        }
        if let Some(before) = before {
            join(before);
        }
    }

    /// Takes jobs until there have been none for too long, or the pool is shut down.
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.urgent.pop_front() {
                drop(state);
                contain(|| job.run());
                state = self.state.lock();
                state.seated -= 1;
                if state.counted == self.config.max_threads {
                    // Others have taken this thread's place meanwhile, and look at the queue.
                    break self.publish(&state);
                }
                state.counted += 1;
                self.publish(&state);
            } else if let Some((job, _)) = state.queue.pop_front() {
                self.publish(&state);
                drop(state);
                contain(|| job.run());
                self.job_has_ended();
                state = self.state.lock();
            } else if state.shutdown || self.wait_for_work(&mut state) == Wait::TimeUp {
                state.counted -= 1;
                break self.publish(&state);
            }
        }
    }

    fn job_has_ended(&self) {
        // Ordering: Release pairs with the Acquire of whoever reads that no job is alive.
        if self.gauges.alive.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(hook) = &self.config.on_quiet
        {
            contain(|| hook());
        }
    }

    fn wait_for_work(&self, state: &mut MutexGuard<'_, State<J>>) -> Wait {
        state.idle += 1;
        self.publish(state);
        let deadline = Deadline::after(self.config.keep_alive);
        loop {
            let time_is_up = deadline.wait(&self.work, state);
            if state.claimed > 0 {
                // Whoever made the claim has taken this thread, or its neighbour, out of `idle`.
                state.claimed -= 1;
                return Wait::LookAgain;
            }
            if state.shutdown || time_is_up {
                state.idle -= 1;
                return if state.shutdown { Wait::LookAgain } else { Wait::TimeUp };
            }
        }
    }

    /// Waits until all threads have ended that can, and joins them.
    fn wait_for_threads(&self, timeout: Option<Duration>) {
        let deadline = Deadline::after(timeout.unwrap_or(Duration::MAX));
        let this = thread::current().id();
        let mut state = self.state.lock();
        let inside = state.handles.values().any(|handle| handle.thread().id() == this);
        if inside {
            state.leaving += 1;
            // Others inside may have waited for nobody but this thread.
            self.ended.notify_all();
        }
        let others =
            |state: &State<J>| state.handles.len() - if inside { state.leaving } else { 0 };
        while others(&state) > 0 && !deadline.wait(&self.ended, &mut state) {}
        if inside {
            state.leaving -= 1;
        }
        let last_ended = state.last_ended.take();
        drop(state);
        if let Some(last_ended) = last_ended {
            join(last_ended);
        }
    }

    fn publish(&self, state: &State<J>) {
        self.gauges.threads.store(state.counted + state.seated, Ordering::Relaxed);
        self.gauges.idle.store(state.idle, Ordering::Relaxed);
        self.gauges.depth.store(state.queue.len(), Ordering::Relaxed);
    }
}

#[derive(Eq, PartialEq)]
enum Wait {
    LookAgain,
    TimeUp,
}

/// A moment to wait for, or never.
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    /// Waits for a signal, and says whether it was the time that ended the wait.
    fn wait<T>(&self, signal: &Condvar, guard: &mut MutexGuard<'_, T>) -> bool {
        let Some(deadline) = self.0 else {
            signal.wait(guard);
            return false;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        signal.wait_for(guard, left).timed_out()
    }
}

/// Joins a thread of the pool that has taken itself off the list, so this does not take long.
fn join(thread: thread::JoinHandle<()>) {
    // It has not panicked: jobs and hooks are contained.
    drop(thread.join());
}

#[cfg(all(test, not(jenny_loom)))]
mod tests;
