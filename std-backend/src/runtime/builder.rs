//! Choosing what a runtime is made of.

use std::{
    fmt, io,
    sync::Arc,
    thread::{self, ThreadId},
    time::Duration,
};

use jenny_core::scheduler::local;
#[cfg(feature = "rt-multi-thread")]
use jenny_core::scheduler::stealing;

#[cfg(feature = "rt-multi-thread")]
use super::multi_thread::{Equipment, MultiThread, ThreadConfig, default_workers};
#[cfg(feature = "time")]
use super::timing::TimeSettings;
use super::{
    Handle, HistogramConfiguration, Kind, LocalOptions, LocalRuntime, RngSeed, Runtime,
    current_thread::CurrentThread, hooks::Hooks, task_hooks::TaskHooks, timing::LoopTimers,
};
use crate::{
    blocking::{Blocking, pool},
    context::{self, Ambient, Id, RuntimeDriver, RuntimePlatform, Scheduler},
    park::{Parker, SharedDriver, Unparker},
    primitives::unmodelled,
    stats::Stats,
};

mod metrics_options;
mod task_options;

/// Builds a [`Runtime`].
///
/// # Examples
/// ```
/// let runtime = jenny::runtime::Builder::new_multi_thread()
///     .worker_threads(2)
///     .thread_name("spinner")
///     .enable_all()
///     .build()?;
/// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Builder {
    flavor: Flavor,
    worker_threads: Option<usize>,
    max_blocking_threads: usize,
    max_blocking_queue: usize,
    thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    thread_stack_size: Option<usize>,
    thread_keep_alive: Duration,
    hooks: Hooks,
    task_hooks: TaskHooks,
    shutdown_on_panic: bool,
    rng_seed: Option<RngSeed>,
    event_interval: Option<u32>,
    inbox_interval: Option<u32>,
    lifo_slot: bool,
    block_on_runs_tasks: bool,
    enable_io: bool,
    #[cfg(feature = "net")]
    max_io_events: Option<usize>,
    #[cfg(feature = "time")]
    time: TimeSettings,
    poll_times: bool,
    poll_time_buckets: HistogramConfiguration,
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavor {
    CurrentThread,
    #[cfg(feature = "rt-multi-thread")]
    MultiThread,
}

impl Builder {
    fn new(flavor: Flavor) -> Self {
        Self {
            flavor,
            worker_threads: None,
            max_blocking_threads: 512,
            max_blocking_queue: usize::MAX,
            thread_name: Arc::new(|| "jenny-worker".into()),
            thread_stack_size: None,
            thread_keep_alive: Duration::from_secs(10),
            hooks: Hooks::default(),
            task_hooks: TaskHooks::default(),
            shutdown_on_panic: false,
            rng_seed: None,
            event_interval: None,
            inbox_interval: None,
            lifo_slot: true,
            block_on_runs_tasks: false,
            enable_io: false,
            #[cfg(feature = "net")]
            max_io_events: None,
            #[cfg(feature = "time")]
            time: TimeSettings::default(),
            poll_times: false,
            poll_time_buckets: HistogramConfiguration::default(),
            name: None,
        }
    }

    /// A runtime whose tasks run inside `block_on`, on the calling thread.
    pub fn new_current_thread() -> Self {
        Self::new(Flavor::CurrentThread)
    }

    /// A runtime whose tasks run on worker threads that steal from each other.
    #[cfg(feature = "rt-multi-thread")]
    pub fn new_multi_thread() -> Self {
        Self::new(Flavor::MultiThread)
    }

    /// Enables all drivers that the crate's features provide.
    pub fn enable_all(&mut self) -> &mut Self {
        self.enable_io = cfg!(feature = "net");
        #[cfg(feature = "time")]
        self.enable_time();
        self
    }

    /// Enables the I/O driver: sockets and signals.
    #[cfg(feature = "net")]
    pub fn enable_io(&mut self) -> &mut Self {
        self.enable_io = true;
        self
    }

    /// How many I/O events a turn of the driver takes from the system at most. By default 1024, and 32
    /// with several workers, who take turns: none shall get what would do for two.
    ///
    /// # Panics
    /// If it is zero.
    #[cfg(feature = "net")]
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Self {
        assert!(events > 0, "the I/O driver has to take some events: pass 1 or more");
        self.max_io_events = Some(events);
        self
    }

    /// Enables timers: what is in [`time`](crate::time).
    #[cfg(feature = "time")]
    pub fn enable_time(&mut self) -> &mut Self {
        self.time.enable = true;
        self
    }

    /// Whether the clock is [paused](fn@crate::time::pause) from the beginning. For tests; needs a
    /// current-thread runtime.
    #[cfg(feature = "time")]
    pub fn start_paused(&mut self, paused: bool) -> &mut Self {
        self.time.start_paused = paused;
        self
    }

    /// The number of workers of a multi-thread runtime. By default `JENNY_WORKER_THREADS`, or else
    /// the number of cores that the process may use.
    ///
    /// # Panics
    /// If it is zero, or more than 65,534.
    #[track_caller]
    pub fn worker_threads(&mut self, threads: usize) -> &mut Self {
        assert!(threads > 0, "a multi-thread runtime needs at least one worker: pass 1 or more");
        assert!(threads < usize::from(u16::MAX), "a runtime has at most 65,534 workers");
        self.worker_threads = Some(threads);
        self
    }

    /// The most threads of the blocking pool, 512 by default. Workers do not count.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Self {
        assert!(threads > 0, "the blocking pool needs at least one thread: pass 1 or more");
        self.max_blocking_threads = threads;
        self
    }

    /// The most closures that [`try_spawn_blocking`](crate::task::try_spawn_blocking) lets wait because
    /// all threads of the blocking pool are busy; unbounded by default. With 0 it takes only what a
    /// thread can run at once.
    ///
    /// [`spawn_blocking`](crate::task::spawn_blocking) takes no notice: it could only wait, which would
    /// block a worker, or fail where Tokio's does not. What it has queued counts all the same.
    pub fn max_blocking_queue(&mut self, closures: usize) -> &mut Self {
        self.max_blocking_queue = closures;
        self
    }

    /// Names the runtime's threads, `jenny-worker` by default.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.thread_name = Arc::new(move || name.clone());
        self
    }

    /// Names the runtime's threads, each by a call of its own.
    pub fn thread_name_fn<F>(&mut self, name: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.thread_name = Arc::new(name);
        self
    }

    /// The stack of the runtime's threads in bytes; by default that of [`std::thread`].
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.thread_stack_size = Some(bytes);
        self
    }

    /// How long a thread of the blocking pool waits for work before it ends, 10 s by default.
    pub fn thread_keep_alive(&mut self, keep_alive: Duration) -> &mut Self {
        self.thread_keep_alive = keep_alive;
        self
    }

    /// Called first on every thread of the runtime.
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.start = Some(Arc::new(hook));
        self
    }

    /// Called last on every thread of the runtime.
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.stop = Some(Arc::new(hook));
        self
    }

    /// Called by a worker that is about to sleep.
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.park = Some(Arc::new(hook));
        self
    }

    /// Called by a worker that has slept.
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.unpark = Some(Arc::new(hook));
        self
    }

    /// How many tasks a worker runs, if there are so many, before it looks at I/O and its inbox; 61
    /// by default.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn event_interval(&mut self, tasks: u32) -> &mut Self {
        assert!(tasks > 0, "the event interval counts tasks: pass 1 or more");
        self.event_interval = Some(tasks);
        self
    }

    /// How many tasks a worker runs at most before it looks for tasks from other threads.
    ///
    /// There is no queue that the workers share: each has an inbox, for what is spawned or woken on
    /// threads that are not the runtime's. A worker looks into its own with every
    /// [event interval](Self::event_interval), and when it has nothing else to do; a smaller number
    /// here makes it look in between, too. A larger one changes nothing.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, tasks: u32) -> &mut Self {
        assert!(tasks > 0, "the global queue interval counts tasks: pass 1 or more");
        self.inbox_interval = Some(tasks);
        self
    }

    /// Queues a task that another one wakes behind those that wait already, instead of running it
    /// next.
    pub fn disable_lifo_slot(&mut self) -> &mut Self {
        self.lifo_slot = false;
        self
    }

    /// Whether a thread in [`Runtime::block_on`] of a multi-thread runtime runs tasks, too, while the
    /// future that it waits for is not ready; false by default. Other runtimes take no notice, nor
    /// does [`Handle::block_on`].
    ///
    /// The thread then does the work of a worker that sleeps, without waking it. A future that
    /// spawns a task and awaits it needs no other thread: what takes microseconds where two threads
    /// wake each other takes less than one. When there is no task left to run, the thread sleeps
    /// until its future is woken, and the worker is as it was. Where there is work for longer the
    /// worker goes on with it.
    ///
    /// The price: the future and the tasks of that worker share a thread. A task that blocks it, or
    /// computes for long, keeps the future from being polled, although that is ready to go on. A task
    /// that blocks until the future has done something waits for ever. By default, and in Tokio, it
    /// would not. The other way round, too: while the future blocks the thread, tasks that it has
    /// spawned wait until another worker takes them; with one worker there is no other. Whatever blocks
    /// belongs into [`spawn_blocking`](crate::task::spawn_blocking). In
    /// [`block_in_place`](crate::task::block_in_place), too, it keeps no other task waiting, but a task
    /// that runs here keeps the future waiting. Tasks also find themselves on threads that the runtime
    /// has not made: with another stack, name and thread-local values, and without the hooks of this
    /// builder.
    ///
    /// # Examples
    /// ```
    /// # use jenny::runtime::Builder;
    /// let runtime = Builder::new_multi_thread().block_on_runs_tasks(true).build()?;
    /// let answer = runtime.block_on(async {
    ///     // Runs on this thread, if a worker was asleep.
    ///     jenny::spawn(async { 6 * 7 }).await
    /// });
    /// assert_eq!(answer?, 42);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "rt-multi-thread")]
    pub fn block_on_runs_tasks(&mut self, runs_tasks: bool) -> &mut Self {
        self.block_on_runs_tasks = runs_tasks;
        self
    }

    /// Names the runtime, for its [`Handle`] and whoever looks at it.
    ///
    /// # Panics
    /// If the name is blank.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(!name.trim().is_empty(), "a blank name names nothing: pass one that can be read");
        self.name = Some(name);
        self
    }

    /// Builds the runtime.
    ///
    /// # Errors
    /// The system has no thread or no file descriptor left.
    ///
    /// # Panics
    /// If the clock of a runtime with several threads should start paused.
    #[track_caller]
    pub fn build(&mut self) -> io::Result<Runtime> {
        #[cfg(feature = "time")]
        self.time.check(self.has_one_thread());
        match self.flavor {
            Flavor::CurrentThread => Ok(self.build_current_thread(self.driver(1)?, None)),
            #[cfg(feature = "rt-multi-thread")]
            Flavor::MultiThread => self.build_multi_thread(),
        }
    }

    /// Builds a runtime that stays on this thread, and takes futures that are not `Send`.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    ///
    /// # Panics
    /// If the builder is not one of [`new_current_thread`](Self::new_current_thread).
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "the options may come to hold something")]
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        let LocalOptions {} = options;
        assert!(
            self.flavor == Flavor::CurrentThread,
            "a `LocalRuntime` has no worker threads: build it with `Builder::new_current_thread`"
        );
        let runtime = self.build_current_thread(self.driver(1)?, Some(thread::current().id()));
        Ok(LocalRuntime::of(runtime))
    }

    #[cfg(feature = "net")]
    fn driver(&self, workers: usize) -> io::Result<Drivers> {
        if !self.enable_io {
            return Ok(Drivers { shared: SharedDriver::without_driver(), io: None });
        }
        let driver = crate::io::IoDriver::new(workers, self.max_io_events)?;
        let io = Some(driver.handle());
        Ok(Drivers { shared: SharedDriver::new(driver), io })
    }

    #[cfg(not(feature = "net"))]
    fn driver(&self, _workers: usize) -> io::Result<Drivers> {
        Ok(Drivers { shared: SharedDriver::without_driver() })
    }

    #[cfg(feature = "time")]
    fn has_one_thread(&self) -> bool {
        self.flavor == Flavor::CurrentThread
    }

    fn build_current_thread(&self, drivers: Drivers, owner: Option<ThreadId>) -> Runtime {
        let parker = Parker::new(crate::primitives::Arc::clone(&drivers.shared));
        let mut config = local::Config::default();
        if let Some(interval) = self.event_interval {
            config.event_interval = interval;
        }
        if let Some(interval) = self.inbox_interval {
            config.inbox_interval = interval;
        }
        let panicked = self.shutdown_on_panic.then(Arc::default);
        let stats = self.stats(1);
        let task_hooks = TaskHooks { panicked: panicked.clone(), ..self.task_hooks(&stats) };
        config.observer = task_hooks.observer();
        let (handle, worker) = local::new(self.platform(), parker.unparker(), config);
        let unparkers = vec![parker.unparker()];
        let ambient =
            self.ambient(Scheduler::CurrentThread(handle), owner, stats, &drivers, unparkers);
        let timers = LoopTimers::new(&ambient, 0);
        let (driver, hooks) = (drivers.shared, self.hooks.clone());
        let kind = CurrentThread::new(worker, parker, driver, hooks, panicked, timers);
        Runtime::of(Kind::CurrentThread(kind), Handle { ambient })
    }

    #[cfg(feature = "rt-multi-thread")]
    fn build_multi_thread(&self) -> io::Result<Runtime> {
        let count = match self.worker_threads {
            Some(count) => count,
            None => default_workers()?,
        };
        let drivers = self.driver(count)?;
        let driver = || crate::primitives::Arc::clone(&drivers.shared);
        let (parkers, beds): (Vec<_>, Vec<_>) = if self.block_on_runs_tasks {
            (0..count).map(|_| Parker::with_bed(driver())).unzip()
        } else {
            ((0..count).map(|_| Parker::new(driver())).collect(), Vec::new())
        };
        let mut config = stealing::Config { lifo_slot: self.lifo_slot, ..Default::default() };
        if let Some(interval) = self.event_interval {
            config.event_interval = interval;
        }
        if let Some(interval) = self.inbox_interval {
            config.inbox_interval = interval;
        }
        let stats = self.stats(count);
        config.observer = self.task_hooks(&stats).observer();
        let unparkers = parkers.iter().map(Parker::unparker);
        let (handle, workers) = stealing::new(self.platform(), unparkers, config);
        let unparkers = parkers.iter().map(Parker::unparker).collect();
        let ambient =
            self.ambient(Scheduler::MultiThread(handle.clone()), None, stats, &drivers, unparkers);
        let threads = ThreadConfig {
            name: Arc::clone(&self.thread_name),
            stack_size: self.thread_stack_size,
            hooks: self.hooks.clone(),
        };
        let equipment = Equipment { workers, parkers, beds, driver: drivers.shared };
        let kind = MultiThread::start(&ambient, handle, equipment, &threads)?;
        Ok(Runtime::of(Kind::MultiThread(kind), Handle { ambient }))
    }

    fn platform(&self) -> RuntimePlatform {
        match &self.rng_seed {
            Some(seed) => RuntimePlatform::seeded(seed.0),
            None => RuntimePlatform::new(),
        }
    }

    fn stats(&self, workers: usize) -> Stats {
        Stats::new(workers, self.poll_times.then(|| self.poll_time_buckets.clone()))
    }

    fn task_hooks(&self, stats: &Stats) -> TaskHooks {
        TaskHooks { timer: stats.poll_timer(), ..self.task_hooks.clone() }
    }

    fn ambient(
        &self,
        scheduler: Scheduler,
        owner: Option<ThreadId>,
        stats: Stats,
        _drivers: &Drivers,
        _unparkers: Vec<Unparker<RuntimeDriver>>,
    ) -> unmodelled::Arc<Ambient> {
        unmodelled::Arc::new_cyclic(|ambient| {
            #[cfg(feature = "time")]
            let time = self.time.timers(self.has_one_thread(), &scheduler, _unparkers);
            // Weak: the pool is a part of what its threads enter.
            let on_quiet = self.on_quiet(ambient);
            let id = Id::next();
            #[cfg(feature = "time")]
            let listed = context::Listed::new(id, ambient, &time);
            let ambient = ambient.clone();
            let blocking = Blocking::new(pool::Config {
                max_threads: self.max_blocking_threads,
                max_coming: pool::half_of_the_cores(),
                max_queue: self.max_blocking_queue,
                keep_alive: self.thread_keep_alive,
                thread_name: Arc::clone(&self.thread_name),
                stack_size: self.thread_stack_size,
                on_start: self.hooks.start.clone(),
                on_stop: self.hooks.stop.clone(),
                may_start: None,
                on_quiet,
                hold: {
                    let ambient = ambient.clone();
                    Arc::new(move || Box::new(ambient.upgrade()))
                },
                wrap: Arc::new(move |thread| {
                    let ambient = ambient.upgrade();
                    let _current = ambient.as_ref().map(context::set_current);
                    thread();
                }),
            });
            Ambient {
                id,
                name: self.name.clone(),
                scheduler,
                owner,
                stats,
                sets: unmodelled::Arc::default(),
                blocking,
                #[cfg(feature = "net")]
                io: _drivers.io.clone(),
                #[cfg(feature = "time")]
                time,
                #[cfg(feature = "time")]
                _listed: listed,
            }
        })
    }
}

impl Builder {
    /// What the pool calls when its last job has ended: a paused clock waits for that.
    #[cfg(feature = "time")]
    fn on_quiet(&self, ambient: &unmodelled::Weak<Ambient>) -> Option<pool::Hook> {
        let ambient = ambient.clone();
        let hook = move || {
            if let Some(ambient) = ambient.upgrade() {
                ambient.time.pool_is_quiet();
            }
        };
        self.has_one_thread().then(|| Arc::new(hook) as pool::Hook)
    }

    #[cfg(not(feature = "time"))]
    fn on_quiet(&self, _ambient: &unmodelled::Weak<Ambient>) -> Option<pool::Hook> {
        None
    }
}

/// What a runtime sleeps in.
struct Drivers {
    shared: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
    #[cfg(feature = "net")]
    io: Option<crate::io::Handle>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("flavor", &self.flavor)
            .field("worker_threads", &self.worker_threads)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("max_blocking_queue", &self.max_blocking_queue)
            .field("thread_stack_size", &self.thread_stack_size)
            .field("thread_keep_alive", &self.thread_keep_alive)
            .field("event_interval", &self.event_interval)
            .field("lifo_slot", &self.lifo_slot)
            .field("block_on_runs_tasks", &self.block_on_runs_tasks)
            .field("enable_io", &self.enable_io)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
