//! The way to a runtime from any thread.

use std::{
    fmt,
    future::Future,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::pin,
    task::{Context, Poll},
};

use jenny_core::task::JoinHandle;

use super::RuntimeMetrics;
use crate::{
    blocking::TrySpawnError,
    context::{self, Ambient, Id, Running, Scheduler},
    park::block_on_waker,
    primitives::unmodelled::Arc,
    stats::Stats,
};

/// A handle to a runtime. Cheap to clone, and usable from any thread.
///
/// It does not keep the runtime running: after the shutdown, what is spawned through it is cancelled.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) ambient: Arc<Ambient>,
}

/// Keeps a runtime current on this thread. Made by [`Handle::enter`] and
/// [`Runtime::enter`](super::Runtime::enter).
///
/// # Panics
/// Dropping it while a younger guard of the same thread is alive panics.
#[must_use = "the runtime is current until this is dropped"]
pub struct EnterGuard<'a> {
    _guard: context::CurrentGuard,
    _handle: std::marker::PhantomData<&'a Handle>,
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

/// There is no current runtime.
pub struct TryCurrentError(context::NoContext);

impl TryCurrentError {
    /// Whether no runtime has been entered on this thread.
    pub fn is_missing_context(&self) -> bool {
        self.0 == context::NoContext::NotEntered
    }

    /// Whether the thread is ending and its runtime cannot be asked for any more.
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.0 == context::NoContext::ThreadEnds
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryCurrentError").field(&self.0).finish()
    }
}

impl std::error::Error for TryCurrentError {}

/// The kind of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// All tasks run inside `block_on`, on the calling thread.
    CurrentThread,
    /// Tasks run on worker threads.
    MultiThread,
}

// The panics of tasks are caught, and no lock is held where code of others runs.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl Handle {
    /// The current runtime: that of the running task, `block_on` or [`enter`](Self::enter) guard.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn current() -> Self {
        Self { ambient: context::current() }
    }

    /// The current runtime.
    ///
    /// # Errors
    /// If there is none.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::try_with(|ambient| Self { ambient: Arc::clone(ambient) }).map_err(TryCurrentError)
    }

    /// Makes this runtime the current one of this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _guard: context::set_current(&self.ambient),
            _handle: std::marker::PhantomData,
        }
    }

    pub(crate) fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// Spawns a task. See [`task::spawn`](crate::task::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.ambient.spawn(future)
    }

    /// Runs a closure that blocks. See [`task::spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.ambient.spawn_blocking(work)
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
        self.ambient.try_spawn_blocking(work)
    }

    /// Runs a future on this thread until it is ready, with this runtime as the current one.
    ///
    /// On a current-thread runtime this does not run tasks, and does not turn the driver: somebody
    /// else has to be in [`Runtime::block_on`](super::Runtime::block_on).
    ///
    /// # Panics
    /// If this thread is running a runtime already; and with the future's own panic.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _running = context::start_running(Running::Root);
        let _current = context::set_current(&self.ambient);
        park_on(future, &self.ambient.stats)
    }

    /// The kind of this runtime.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.ambient.scheduler {
            Scheduler::CurrentThread(_) => RuntimeFlavor::CurrentThread,
            #[cfg(feature = "rt-multi-thread")]
            Scheduler::MultiThread(_) => RuntimeFlavor::MultiThread,
        }
    }

    /// The identity of this runtime.
    pub fn id(&self) -> Id {
        self.ambient.id
    }

    /// The name that the builder was given.
    pub fn name(&self) -> Option<&str> {
        self.ambient.name.as_deref()
    }

    /// What the runtime is doing, in numbers.
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(self.clone())
    }
}

/// Polls a future on this thread, which sleeps in between.
fn park_on<F: Future>(future: F, stats: &Stats) -> F::Output {
    let mut future = pin!(future);
    let (mut parker, waker) = block_on_waker();
    let mut context = Context::from_waker(&waker);
    loop {
        let polled = stats.poll_root(future.as_mut(), &mut context);
        if let Poll::Ready(output) = polled {
            return output;
        }
        parker.park();
    }
}
