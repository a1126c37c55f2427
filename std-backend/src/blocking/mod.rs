//! Blocking work as tasks: a closure becomes a task that a thread of the pool runs once.

use std::{
    future::Future,
    io,
    panic::Location,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
    time::Duration,
};

use jenny_core::{
    platform::Platform,
    scheduler::{Current, budget},
    task::{self, JoinHandle, Outcome, OwnedRef, Runnable, Schedule},
};

use crate::platform::AnyRuntime;

pub(crate) mod pool;

use pool::{Config, Job, Mandatory, Metrics, Pool, SpawnError};

/// The blocking pool of a runtime.
pub(crate) struct Blocking(Pool<BlockingTask>);

impl Blocking {
    pub(crate) fn new(config: Config) -> Self {
        Self(Pool::new(config))
    }

    /// Runs the closure on a thread of the pool. After the shutdown its handle resolves to cancelled.
    ///
    /// # Errors
    /// No thread is alive, and the system did not give one. The task is cancelled.
    pub(crate) fn spawn<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
        mandatory: Mandatory,
        spawned_at: &'static Location<'static>,
    ) -> io::Result<JoinHandle<R>> {
        let id = Current::<AnyRuntime>::new_task_id(&AnyRuntime::new());
        let work = Work(Some(work));
        // SAFETY: the scheduler has no state, so nothing has to be counted; the closure and its
        // result are `Send` and `'static`.
        let (task, join) =
            unsafe { task::new(work, NonNull::<Nowhere>::dangling(), id, spawned_at) };
        match self.0.spawn(BlockingTask(task), mandatory) {
            Ok(()) => Ok(join),
            Err(SpawnError::ShuttingDown(task)) => {
                task.cancel();
                Ok(join)
            }
            Err(SpawnError::NoThreads { job, source }) => {
                job.cancel();
                Err(source)
            }
        }
    }

    /// See [`Pool::shutdown`].
    pub(crate) fn shutdown(&self, timeout: Option<Duration>) {
        self.0.shutdown(timeout);
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.0.metrics()
    }
}

/// A task of the pool, on its way to a thread.
struct BlockingTask(Runnable);

impl Job for BlockingTask {
    fn run(self) {
        let id = self.0.id();
        match Current::<AnyRuntime>::enter_blocking(id, || self.0.run()) {
            Outcome::Done(done) => drop(done),
            // `Work` never waits.
            Outcome::Idle | Outcome::Again(_) => AnyRuntime::abort(),
        }
    }

    fn cancel(self) {
        drop(self.0.cancel());
    }
}

/// A closure as a future that is ready at its first poll.
struct Work<F>(Option<F>);

// The closure is moved out before it is called, never pinned.
impl<F> Unpin for Work<F> {}

impl<F: FnOnce() -> R, R> Future for Work<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let work = self.0.take().expect("a blocking task is polled once");
        Poll::Ready(work())
    }
}

/// The scheduler of tasks that are scheduled once, by whoever spawns them.
struct Nowhere;

// SAFETY: a blocking task is never idle, so no wake and no abort makes a second Runnable, and
// `schedule` is not called. There is no state that could be freed.
unsafe impl Schedule for Nowhere {
    type Platform = AnyRuntime;

    unsafe fn schedule(_: NonNull<Self>, task: Runnable) {
        drop(task);
    }

    unsafe fn retire(_: NonNull<Self>, done: OwnedRef) {
        drop(done);
    }

    fn is_local(_: NonNull<Self>) -> bool {
        false
    }

    unsafe fn release(_: NonNull<Self>) {}

    fn charge() -> bool {
        budget::proceed::<AnyRuntime>()
    }
}
