//! Blocking work as tasks: a closure becomes a task that a thread of the pool runs once.

use std::{
    future::Future,
    io,
    pin::Pin,
    ptr::NonNull,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use jenny_core::{
    platform::Platform,
    scheduler::{Current, budget},
    task::{self, JoinHandle, Outcome, OwnedRef, Place, Runnable, Schedule, Spawned},
};

use crate::platform::AnyRuntime;

mod error;
mod place;
pub(crate) mod pool;
mod running;

pub use self::error::TrySpawnError;
pub(crate) use self::place::RunningJob;

use self::{
    pool::{Config, Job, Mandatory, Metrics, Pool, SpawnError},
    running::Jobs,
};

/// What a thread does that takes over a worker.
pub(crate) type Seat = Box<dyn FnOnce() + Send>;

/// The blocking pool of a runtime.
pub(crate) struct Blocking {
    pool: Pool<BlockingJob>,
    jobs: Arc<Jobs>,
}

impl Blocking {
    pub(crate) fn new(mut config: Config) -> Self {
        let jobs = Arc::new(Jobs::new());
        config.wrap = {
            let (jobs, wrap) = (Arc::clone(&jobs), config.wrap);
            Arc::new(move |thread| jobs.with_place(|| wrap(thread)))
        };
        Self { pool: Pool::new(config), jobs }
    }

    /// The jobs that are running. Seats do not count.
    pub(crate) fn running(&self) -> Vec<RunningJob> {
        self.jobs.running()
    }

    /// Runs the closure on a thread of the pool. After the shutdown its handle resolves to cancelled.
    ///
    /// # Errors
    /// No thread is alive, and the system did not give one. The task is cancelled.
    pub(crate) fn spawn<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
        mandatory: Mandatory,
        spawned: Spawned<'_>,
    ) -> io::Result<JoinHandle<R>> {
        let (work, spawned) = instrument(work, spawned);
        let (job, join) = into_task(work, spawned);
        match self.pool.spawn(job, mandatory) {
            Ok(()) => Ok(join),
            Err(SpawnError::ShuttingDown(job)) => {
                job.cancel();
                Ok(join)
            }
            Err(SpawnError::NoThreads { job, source }) => {
                job.cancel();
                Err(source)
            }
            Err(SpawnError::Full(_)) => unreachable!("the queue is bounded for `try_spawn` only"),
        }
    }

    /// Runs the closure on a thread of the pool, if not too many wait already.
    ///
    /// # Errors
    /// See [`TrySpawnError`], which hands the closure back.
    pub(crate) fn try_spawn<F, R>(
        &self,
        work: F,
        spawned: Spawned<'_>,
    ) -> Result<JoinHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        // Before a thread is claimed or the pool locked: a subscriber's code runs in here.
        let (work, spawned) = instrument(work, spawned);
        let into_job = |work| into_task(work, spawned);
        self.pool.try_spawn(work, into_job, Mandatory::No).map_err(|error| match error {
            SpawnError::Full(work) => TrySpawnError::Full(uninstrument(work)),
            SpawnError::ShuttingDown(work) => TrySpawnError::ShutDown(uninstrument(work)),
            SpawnError::NoThreads { job, source } => {
                TrySpawnError::NoThreads(uninstrument(job), source)
            }
        })
    }

    /// Runs a worker's seat on a thread of its own at once, with the runtime current and the hooks of
    /// the pool's threads called. See [`Pool::run_now`].
    ///
    /// # Errors
    /// Hands the closure back when no thread is idle and the system gives none.
    #[allow(dead_code, reason = "a current-thread runtime hands no worker over")]
    pub(crate) fn run_now(&self, seat: Seat) -> Result<(), (io::Error, Seat)> {
        let (error, job) = match self.pool.run_now(BlockingJob::Seat(seat)) {
            Ok(()) => return Ok(()),
            Err(SpawnError::NoThreads { job, source }) => (source, job),
            Err(SpawnError::ShuttingDown(_) | SpawnError::Full(_)) => {
                unreachable!("neither keeps a thread from being started")
            }
        };
        match job {
            BlockingJob::Seat(seat) => Err((error, seat)),
            BlockingJob::Task(_) => unreachable!("it is handed back as it was"),
        }
    }

    /// How many closures are queued or running. Seats do not count. When the last of them has ended,
    /// after its handle was woken, the pool calls [`Config::on_quiet`].
    #[allow(dead_code, reason = "only a paused clock asks")]
    pub(crate) fn alive_jobs(&self) -> usize {
        self.pool.metrics().alive_jobs
    }

    /// See [`Pool::shutdown`].
    pub(crate) fn shutdown(&self, timeout: Option<Duration>) {
        self.pool.shutdown(timeout);
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.pool.metrics()
    }
}

#[cfg(feature = "tracing")]
type Traced<F> = crate::trace::Instrumented<F>;
#[cfg(not(feature = "tracing"))]
type Traced<F> = F;

/// Makes a future of a closure, inside a span if there are any. That runs code of a subscriber.
fn instrument<F>(closure: F, spawned: Spawned<'_>) -> (Traced<Work<F>>, Spawned<'_>) {
    let work = Work(Some(closure));
    #[cfg(feature = "tracing")]
    return crate::trace::instrument(work, crate::trace::Kind::Blocking, spawned);
    #[cfg(not(feature = "tracing"))]
    (work, spawned)
}

/// The closure, which has not been called. That runs code of a subscriber, too.
fn uninstrument<F>(work: Traced<Work<F>>) -> F {
    #[cfg(feature = "tracing")]
    let work = work.into_inner();
    work.0.expect("it has not been polled")
}

/// Makes a task of what a closure has become.
fn into_task<F, R>(work: Traced<Work<F>>, spawned: Spawned<'_>) -> (BlockingJob, JoinHandle<R>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let id = spawned.id_or(|| Current::<AnyRuntime>::new_task_id(&AnyRuntime::new()));
    // SAFETY: the scheduler has no state, so nothing has to be counted; the closure and its result
    // are `Send` and `'static`.
    let (task, join) = unsafe { task::new(work, NonNull::<Nowhere>::dangling(), id, spawned) };
    (BlockingJob::Task(task), join)
}

/// Something on its way to a thread of the pool.
enum BlockingJob {
    Task(Runnable),
    /// A worker, which goes on here while its own thread blocks.
    #[allow(dead_code, reason = "a current-thread runtime hands no worker over")]
    Seat(Seat),
}

impl Job for BlockingJob {
    fn run(self) {
        let task = match self {
            Self::Task(task) => task,
            Self::Seat(seat) => return seat(),
        };
        let poll = |task: Runnable| Current::<AnyRuntime>::enter_blocking(task.id(), || task.run());
        match running::run(task, poll) {
            Outcome::Left => {}
            Outcome::Done(done) => drop(done),
            // `Work` never waits.
            Outcome::Idle | Outcome::Again(_) => AnyRuntime::abort(),
        }
    }

    fn cancel(self) {
        match self {
            Self::Task(task) => drop(task.cancel()),
            Self::Seat(seat) => drop(seat),
        }
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

    unsafe fn disown(_: NonNull<Self>, _: &Runnable) -> bool {
        // There is no list, and the reference is whoever's who completes the task.
        true
    }

    unsafe fn retire(_: NonNull<Self>, done: OwnedRef) {
        drop(done);
    }

    fn is_local(_: NonNull<Self>) -> bool {
        false
    }

    unsafe fn release(_: NonNull<Self>, place: Place) {
        drop(place);
    }

    fn charge() -> bool {
        budget::proceed::<AnyRuntime>()
    }
}
