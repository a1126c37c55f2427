//! Tasks: spawn them, wait for them, abort them.

#[cfg(feature = "rt-multi-thread")]
mod block_in_place;
mod builder;
pub mod join_set;
mod local_set;
mod task_local;
mod yield_now;

pub use jenny_core::task::{AbortHandle, Id, JoinError, JoinHandle};

#[cfg(feature = "rt-multi-thread")]
pub use self::block_in_place::block_in_place;
pub use self::builder::Builder;
#[doc(inline)]
pub use self::join_set::JoinSet;
pub use self::local_set::{LocalEnterGuard, LocalSet, spawn_local};
pub use self::task_local::{AccessError, LocalKey};
pub use self::yield_now::yield_now;
pub use crate::blocking::TrySpawnError;
pub use crate::coop::{Unconstrained, consume_budget, unconstrained};

/// Futures of this module.
pub mod futures {
    pub use super::task_local::TaskLocalFuture;
}

/// The cooperative budget. See [`consume_budget`].
pub mod coop {
    pub use crate::coop::{
        Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
        poll_proceed, unconstrained,
    };
}

use jenny_core::{scheduler::Current, task::Spawned};

use crate::{context, platform::AnyRuntime};

/// Spawns a task on the current runtime.
///
/// It starts to run whether or not its handle is awaited, and goes on if the handle is dropped. When
/// the runtime shuts down, the task is dropped where it waits.
///
/// # Panics
/// If there is no current runtime.
///
/// # Examples
/// ```
/// # #[jenny::main]
/// # async fn main() {
/// let sum = jenny::task::spawn(async { (1..=4).sum::<u32>() });
/// assert_eq!(sum.await.unwrap(), 10);
/// # }
/// ```
#[inline]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let spawned = Spawned::here();
    context::with_current(|current| current.spawn_as(future, spawned))
}

/// Runs a closure that blocks on a thread of the current runtime's blocking pool.
///
/// A closure that has started cannot be aborted; one that has not is dropped by an abort. The
/// runtime's shutdown drops those that wait because all
/// [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads) are busy.
///
/// # Panics
/// If there is no current runtime, or if the pool has no thread and the system gives none.
///
/// # Examples
/// ```
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let names = jenny::task::spawn_blocking(|| std::fs::read_dir(".").map(Iterator::count));
/// assert!(names.await?? > 0);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    context::current().spawn_blocking(work)
}

/// As [`spawn_blocking`], but does not let the queue grow without bound.
///
/// A closure is taken if a thread is idle or may be started, or if fewer than
/// [`max_blocking_queue`](crate::runtime::Builder::max_blocking_queue) closures are waiting. Otherwise
/// it comes back, and the caller can do something about it: answer that the server is busy, wait, or
/// drop it. Callable from wherever [`spawn_blocking`] is; neither waits.
///
/// # Errors
/// [`TrySpawnError`] says why and holds the closure. In contrast to [`spawn_blocking`], a runtime that
/// is shut down and a system without threads are errors, too.
///
/// # Panics
/// If there is no current runtime.
///
/// # Examples
/// ```
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// use jenny::task::{TrySpawnError, try_spawn_blocking};
///
/// match try_spawn_blocking(|| std::fs::metadata(".").is_ok()) {
///     Ok(job) => assert!(job.await.unwrap()),
///     Err(TrySpawnError::Full(_closure)) => println!("busy, come back later"),
///     Err(error) => panic!("{error}"),
/// }
/// # }
/// ```
#[track_caller]
pub fn try_spawn_blocking<F, R>(work: F) -> Result<JoinHandle<R>, TrySpawnError<F>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    context::current().try_spawn_blocking(work)
}

/// The id of the task that runs on this thread.
///
/// # Panics
/// If there is none: in the future of a `block_on`, and outside a runtime.
#[track_caller]
pub fn id() -> Id {
    try_id().expect("there is no task here: a `block_on` future is none, spawn one")
}

/// The id of the task that runs on this thread, if there is one.
pub fn try_id() -> Option<Id> {
    Current::<AnyRuntime>::task_id()
}
