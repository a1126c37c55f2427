//! Runtimes: where tasks run.
//!
//! A [`Runtime`] is a scheduler, the threads or the one thread that work for it, a blocking pool and
//! the drivers. A [`LocalRuntime`] is one that stays on its thread. [`Builder`] makes them,
//! [`Handle`] reaches them from any thread. For most programs `#[jenny::main]` does both.
//!
//! | | multi-thread | current-thread | local |
//! |---|---|---|---|
//! | tasks run | on worker threads, all the time | on the thread in [`Runtime::block_on`], while it is | on the thread that built it, in [`LocalRuntime::block_on`] |
//! | scheduler | several workers that steal | one queue | one queue |
//! | futures | `Send` | `Send` | any; from other threads, `Send` |
//! | the runtime itself | `Send + Sync` | `Send + Sync` | neither |
//!
//! On the first two, futures that are not `Send` need a [`LocalSet`](crate::task::LocalSet).
//!
//! # Shutdown
//! Dropping a runtime cancels its tasks: each future is dropped at the point where it waits, and its
//! `JoinHandle` resolves to cancelled. A task that is being polled is cancelled when that poll
//! returns. Blocking jobs that run, or could because not all of the
//! [`max_blocking_threads`](Builder::max_blocking_threads) are busy, are waited for; those that would
//! have to wait for others are cancelled.
//! [`Runtime::shutdown_timeout`] and [`Runtime::shutdown_background`] wait less.

use std::{
    fmt,
    future::Future,
    panic::{RefUnwindSafe, UnwindSafe},
    time::{Duration, Instant},
};

use jenny_core::task::JoinHandle;

use crate::{
    blocking::TrySpawnError,
    context::{self, Running},
};

mod builder;
mod current_thread;
pub mod dump;
mod handle;
mod hooks;
mod local;
mod metrics;
#[cfg(feature = "rt-multi-thread")]
mod multi_thread;
mod policy;
mod stop;
mod task_hooks;
mod timing;

pub use self::builder::Builder;
#[doc(no_inline)]
pub use self::dump::{BlockingJob, Dump, SilentLocalSet, SilentWorker, Task, Tasks, Trace};
pub use self::handle::{EnterGuard, Handle, RuntimeFlavor, TryCurrentError};
pub use self::local::{LocalOptions, LocalRuntime};
pub use self::metrics::RuntimeMetrics;
pub use self::policy::{RngSeed, UnhandledPanic};
pub use crate::context::Id;
pub use crate::stats::{
    HistogramConfiguration, HistogramScale, InvalidHistogramConfiguration, LogHistogram,
    LogHistogramBuilder,
};
pub use jenny_core::task::TaskMeta;
pub use jenny_core::task::TaskState;

use self::current_thread::CurrentThread;
#[cfg(feature = "rt-multi-thread")]
use self::multi_thread::MultiThread;

/// A scheduler with its threads, its drivers and its blocking pool.
///
/// Dropping it shuts it down; see the [module](self). A task of its own that does so, inside of
/// `block_in_place`, does not wait for the others.
///
/// # Examples
/// ```
/// let runtime = jenny::runtime::Runtime::new()?;
/// let answer = runtime.block_on(async {
///     jenny::task::spawn(async { 42 }).await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Runtime {
    kind: Kind,
    handle: Handle,
    shut_down: bool,
}

enum Kind {
    CurrentThread(CurrentThread),
    #[cfg(feature = "rt-multi-thread")]
    MultiThread(MultiThread),
}

// As for its `Handle`; and whoever runs the tasks gives that back when `block_on` unwinds.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Runtime {
    fn of(kind: Kind, handle: Handle) -> Self {
        Self { kind, handle, shut_down: false }
    }

    /// A multi-thread runtime with everything enabled.
    ///
    /// # Errors
    /// See [`Builder::build`].
    #[cfg(feature = "rt-multi-thread")]
    pub fn new() -> std::io::Result<Self> {
        Builder::new_multi_thread().enable_all().build()
    }

    /// A handle, for other threads.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task. On a current-thread runtime it runs when somebody calls
    /// [`block_on`](Self::block_on). See [`task::spawn`](crate::task::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a closure that blocks. See [`task::spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(work)
    }

    /// Runs a closure that blocks, if not too many wait already. See
    /// [`task::try_spawn_blocking`](crate::task::try_spawn_blocking).
    ///
    /// # Errors
    /// [`TrySpawnError`] says why and holds the closure.
    #[track_caller]
    pub fn try_spawn_blocking<F, R>(&self, work: F) -> Result<JoinHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.try_spawn_blocking(work)
    }

    /// Runs a future on this thread until it is ready.
    ///
    /// On a current-thread runtime this is where tasks run. If several threads call it, one runs the
    /// tasks, and another goes on with that when the first is done. On a multi-thread runtime tasks
    /// run on its workers, and here only if the
    /// [builder says so](Builder::block_on_runs_tasks).
    ///
    /// # Panics
    /// If this thread is running a runtime already; and with the future's own panic.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.kind {
            Kind::CurrentThread(kind) => {
                let _running = context::start_running(Running::CurrentThread);
                let _current = context::set_current(&self.handle.ambient);
                kind.block_on(future, &self.handle.ambient.stats)
            }
            #[cfg(feature = "rt-multi-thread")]
            Kind::MultiThread(kind) if kind.lends_seats() => {
                let _running = context::start_running(Running::Root);
                let _current = context::set_current(&self.handle.ambient);
                kind.block_on(future)
            }
            #[cfg(feature = "rt-multi-thread")]
            Kind::MultiThread(_) => self.handle.block_on(future),
        }
    }

    /// Makes this runtime the current one of this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// What the runtime is doing, in numbers.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts down, and waits for tasks in a poll and for blocking jobs no longer than this. What
    /// goes on after that goes on, on its thread.
    ///
    /// # Panics
    /// Inside a runtime, unless the time is zero: it shuts down without waiting then, and panics, as a
    /// drop there does.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        if timeout.is_zero() || !context::is_running() {
            self.shutdown(Some(timeout));
        }
    }

    /// Shuts down without waiting for anything. May be called inside a runtime.
    pub fn shutdown_background(mut self) {
        self.shutdown(Some(Duration::ZERO));
    }

    fn shutdown(&mut self, timeout: Option<Duration>) {
        if std::mem::replace(&mut self.shut_down, true) {
            return;
        }
        let start = Instant::now();
        // A task of its own drops it inside of `block_in_place`: all would wait for that task.
        #[cfg(feature = "rt-multi-thread")]
        let timeout = match context::worker::worker() {
            Some(worker) if worker.runtime() == self.handle.ambient.id => Some(Duration::ZERO),
            _ => timeout,
        };
        match &mut self.kind {
            Kind::CurrentThread(kind) => {
                // What the drops of futures spawn or ask for is this runtime's.
                let _current = context::set_current(&self.handle.ambient);
                kind.shutdown();
            }
            #[cfg(feature = "rt-multi-thread")]
            Kind::MultiThread(kind) => kind.shutdown(timeout),
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
        self.handle.ambient.blocking.shutdown(left);
        #[cfg(feature = "rt-multi-thread")]
        if let Kind::MultiThread(kind) = &mut self.kind {
            kind.finish(left);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.shut_down {
            return;
        }
        if !context::is_running() {
            return self.shutdown(None);
        }
        self.shutdown(Some(Duration::ZERO));
        if !std::thread::panicking() {
            let remedy = match self.handle.ambient.owner {
                // It cannot leave its thread.
                Some(_) => "drop it outside",
                None => "drop it in `spawn_blocking`",
            };
            panic!(
                "a runtime was dropped inside a runtime, where it must not wait for its threads: \
                 {remedy}, or call `shutdown_background`"
            );
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("flavor", &self.handle.runtime_flavor())
            .field("id", &self.handle.id())
            .finish_non_exhaustive()
    }
}

/// Whether an I/O error only says that the runtime of the resource is shutting down.
///
/// Callable from anywhere. False for all other errors, and for those of tasks that a shutdown has
/// cancelled.
///
/// # Examples
/// ```
/// use jenny::{net::TcpListener, runtime::{Runtime, is_rt_shutdown_err}};
///
/// let (runtime, other) = (Runtime::new()?, Runtime::new()?);
/// let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
/// drop(runtime);
/// let error = other.block_on(listener.accept()).unwrap_err();
/// assert!(is_rt_shutdown_err(&error));
/// # Ok::<_, std::io::Error>(())
/// ```
#[cfg(feature = "net")]
pub fn is_rt_shutdown_err(error: &std::io::Error) -> bool {
    crate::io::is_shutting_down(error)
}

/// The worker that this thread is for the current runtime, if it is one: the index that
/// [`RuntimeMetrics`] counts by.
///
/// On a current-thread runtime, whoever runs its tasks is worker 0. The thread in `block_on` of a
/// multi-thread runtime is none, unless it [runs tasks](Builder::block_on_runs_tasks) just then, nor
/// are the threads of the blocking pool, and a task that blocks in
/// [`block_in_place`](crate::task::block_in_place) may have lost its worker to another thread. It may
/// be another one after each `await`.
///
/// Callable from anywhere; outside of a runtime there is no worker.
///
/// # Examples
/// ```
/// # use jenny::runtime::worker_index;
/// # #[jenny::main]
/// # async fn main() {
/// assert_eq!(worker_index(), None);
/// assert!(jenny::spawn(async { worker_index() }).await.unwrap().is_some());
/// # }
/// ```
pub fn worker_index() -> Option<usize> {
    context::try_with(|ambient| match &ambient.scheduler {
        context::Scheduler::CurrentThread(scheduler) => scheduler.is_entered().then_some(0),
        #[cfg(feature = "rt-multi-thread")]
        context::Scheduler::MultiThread(scheduler) => scheduler.entered_worker(),
    })
    .ok()
    .flatten()
}
