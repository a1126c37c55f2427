//! Tasks with a name.

use std::io;

use jenny_core::task::{JoinHandle, Spawned};

use super::LocalSet;
use crate::{
    context::{self, local},
    runtime::Handle,
};

/// Says what a task is called before it is spawned.
///
/// The name is for people: [hooks](crate::runtime::Builder::on_task_spawn) and dumps show it beside
/// the id and the place of the spawn. Tasks may have the same name.
///
/// # Examples
/// ```
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let task = jenny::task::Builder::new().name("weaver").spawn(async { 42 })?;
/// assert_eq!(task.await?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a builder does nothing until something is spawned with it"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// A task without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the task a name.
    pub fn name(&self, name: &'a str) -> Self {
        Self { name: Some(name) }
    }

    #[track_caller]
    fn spawned(self) -> Spawned<'a> {
        Spawned::here().named(self.name)
    }

    /// Spawns a task on the current runtime. See [`spawn`](super::spawn).
    ///
    /// # Errors
    /// None today; the type leaves room for a limit on tasks.
    ///
    /// # Panics
    /// If there is no current runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let spawned = self.spawned();
        Ok(context::with_current(|current| current.spawn_as(future, spawned)))
    }

    /// Spawns a task on this runtime.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, runtime: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(runtime.ambient().spawn_as(future, self.spawned()))
    }

    /// Spawns a task that stays on this thread. See [`spawn_local`](super::spawn_local).
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    /// Outside of every [`LocalSet`] and [`LocalRuntime`](crate::runtime::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(local::spawn(future, self.spawned()))
    }

    /// Spawns a task on this set.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(set.spawn_as(future, self.spawned()))
    }

    /// Runs a closure that blocks on the current runtime's pool. See
    /// [`spawn_blocking`](super::spawn_blocking).
    ///
    /// # Errors
    /// The pool has no thread, and the system gives none.
    ///
    /// # Panics
    /// If there is no current runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, work: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        context::current().spawn_blocking_as(work, self.spawned())
    }

    /// Runs a closure that blocks on this runtime's pool.
    ///
    /// # Errors
    /// As [`spawn_blocking`](Self::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, work: F, runtime: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        runtime.ambient().spawn_blocking_as(work, self.spawned())
    }
}
