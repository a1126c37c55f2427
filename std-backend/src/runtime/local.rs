//! A current-thread runtime that never leaves its thread.

use std::{
    fmt,
    future::Future,
    io,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    rc::Rc,
    time::Duration,
};

use jenny_core::task::{JoinHandle, Spawned};

use super::{Builder, EnterGuard, Handle, Runtime, RuntimeMetrics};
use crate::{blocking::TrySpawnError, context::travels_boxed};

/// Settings that only a [`LocalRuntime`] has. There are none yet; make them by `default()`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {}

/// A runtime whose tasks need not be `Send`: all of them run on the thread that built it.
///
/// It is what [`Builder::new_current_thread`] describes, with the I/O driver, a blocking pool and a
/// [`Handle`] for other threads. In exchange for staying where it is, it takes any future:
/// [`spawn_local`](Self::spawn_local) here, [`task::spawn_local`](crate::task::spawn_local) inside
/// it, without a [`LocalSet`](crate::task::LocalSet). From other threads, its handle spawns futures
/// that are `Send`.
///
/// Dropping it cancels its tasks, on this thread. As for a [`Runtime`], that panics inside a runtime.
///
/// # Examples
/// ```
/// use jenny::runtime::LocalRuntime;
/// use std::{cell::Cell, rc::Rc};
///
/// let runtime = LocalRuntime::new()?;
/// let spun = Rc::new(Cell::new(0));
/// let yarn = Rc::clone(&spun);
/// let spinner = runtime.spawn_local(async move { yarn.set(42) });
/// runtime.block_on(spinner)?;
/// assert_eq!(spun.get(), 42);
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// It stays on its thread:
/// ```compile_fail
/// fn assert_send<T: Send>(_: T) {}
/// assert_send(jenny::runtime::LocalRuntime::new().unwrap());
/// ```
pub struct LocalRuntime {
    runtime: Runtime,
    _stays_here: PhantomData<Rc<()>>,
}

// As for the `Runtime` in it, which alone is shared with others.
impl UnwindSafe for LocalRuntime {}
impl RefUnwindSafe for LocalRuntime {}

impl LocalRuntime {
    pub(super) fn of(runtime: Runtime) -> Self {
        Self { runtime, _stays_here: PhantomData }
    }

    /// A runtime with everything enabled.
    ///
    /// # Errors
    /// See [`Builder::build_local`].
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
    }

    /// A handle, for other threads: it spawns futures that are `Send`, and its
    /// [`block_on`](Handle::block_on) waits while this thread is in [`block_on`](Self::block_on).
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Spawns a task, which runs when this thread calls [`block_on`](Self::block_on). See
    /// [`task::spawn_local`](crate::task::spawn_local).
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let scheduler = self.handle().ambient.local_scheduler();
        let scheduler = scheduler.expect("a local runtime is on the thread that built it");
        // SAFETY: this thread built the runtime, which is not `Send` and is shut down by its drop.
        unsafe { scheduler.spawn(future, Spawned::here()) }
    }

    /// Runs a closure that blocks. See [`task::spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.runtime.spawn_blocking(work)
    }

    /// Runs a closure that blocks, unless too many wait already. See
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
        self.runtime.try_spawn_blocking(work)
    }

    /// Runs a future, and the runtime's tasks, until the future is ready.
    ///
    /// # Panics
    /// If this thread is running a runtime already; and with the future's own panic.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if travels_boxed::<F>() {
            self.runtime.block_on(Box::pin(future))
        } else {
            self.runtime.block_on(future)
        }
    }

    /// Makes this runtime the current one of this thread until the guard is dropped. Local tasks
    /// can then be spawned outside of [`block_on`](Self::block_on), too.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// What the runtime is doing, in numbers.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.runtime.metrics()
    }

    /// Shuts down, and waits for blocking jobs that have started no longer than this. The tasks are
    /// cancelled first, on this thread, however long their futures take to be dropped.
    ///
    /// # Panics
    /// As [`Runtime::shutdown_timeout`].
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.runtime.shutdown_timeout(timeout);
    }

    /// Cancels the tasks, on this thread, and waits for nothing else. May be called inside a
    /// runtime.
    pub fn shutdown_background(self) {
        self.runtime.shutdown_background();
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").field("id", &self.handle().id()).finish_non_exhaustive()
    }
}
