//! Tasks that belong together.

use std::{
    fmt,
    future::poll_fn,
    io,
    panic::{RefUnwindSafe, UnwindSafe, resume_unwind},
    task::{Context, Poll, ready},
};

use jenny_core::task::{AbortHandle, Id, JoinError, JoinHandle};

use super::LocalSet;
use crate::{coop, join_list::JoinList, runtime::Handle, task};

/// Tasks with the same type of output, joined in the order in which they finish.
///
/// Dropping the set aborts its tasks. Whether it holds ten tasks or a million, taking the next result
/// costs the same.
///
/// # Examples
/// ```
/// use jenny::task::JoinSet;
///
/// # #[jenny::main]
/// # async fn main() {
/// let mut squares = JoinSet::new();
/// for i in 1..=3 {
///     squares.spawn(async move { i * i });
/// }
/// let mut sum = 0;
/// while let Some(square) = squares.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 1 + 4 + 9);
/// # }
/// ```
#[must_use = "dropping the set aborts its tasks"]
pub struct JoinSet<T> {
    tasks: JoinList<T>,
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { tasks: JoinList::new() }
    }

    /// The number of tasks whose results have not been taken.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether the result of every task has been taken.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl<T: 'static> JoinSet<T> {
    /// Gives a task a name before it is spawned into the set.
    ///
    /// # Examples
    /// ```
    /// # #[jenny::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let mut looms = jenny::task::JoinSet::new();
    /// looms.build_task().name("weaver").spawn(async { 42 })?;
    /// assert_eq!(looms.join_all().await, [42]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder { set: self, builder: task::Builder::new() }
    }

    /// Spawns a task on the current runtime. See [`task::spawn`].
    ///
    /// # Panics
    /// If there is no current runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(task::spawn(future))
    }

    /// Spawns a task on this runtime.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(runtime.spawn(future))
    }

    /// Spawns a task that stays on this thread. See [`task::spawn_local`].
    ///
    /// # Panics
    /// Outside of every [`LocalSet`] and [`LocalRuntime`](crate::runtime::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(task::spawn_local(future))
    }

    /// Spawns a task on this set of local tasks.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, future: F, set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(set.spawn_local(future))
    }

    /// Runs a closure that blocks on the current runtime's pool. See [`task::spawn_blocking`].
    ///
    /// # Panics
    /// If there is no current runtime, or if the pool has no thread and the system gives none.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(task::spawn_blocking(work))
    }

    /// Runs a closure that blocks on this runtime's pool.
    ///
    /// # Panics
    /// If the pool has no thread and the system gives none.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, work: F, runtime: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(runtime.spawn_blocking(work))
    }

    fn insert(&mut self, task: JoinHandle<T>) -> AbortHandle {
        let abort = task.abort_handle();
        self.tasks.insert(task);
        abort
    }

    /// Waits for a task to finish and takes its result; `None` if the set is empty.
    ///
    /// Cancel safe: a future that is dropped has taken nothing.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|context| self.poll_join_next(context)).await
    }

    /// As [`join_next`](Self::join_next), with the task's id. (A [`JoinError`] has it anyway.)
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|context| self.poll_join_next_with_id(context)).await
    }

    /// Takes the result of a task that has finished; `None` if there is none, or none yet.
    ///
    /// Takes nothing from the budget of the calling task.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.tasks.try_next().map(result)
    }

    /// As [`try_join_next`](Self::try_join_next), with the task's id.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.tasks.try_next().map(result_with_id)
    }

    /// Polls for the result of the next task that finishes; ready with `None` if the set is empty.
    ///
    /// While it is pending, the waker of the last poll is woken when a task finishes. It may be
    /// pending although a task has finished, when the calling task's [budget](task::coop) is used up;
    /// the waker is woken then, too.
    pub fn poll_join_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_next(context).map(|task| task.map(result))
    }

    /// As [`poll_join_next`](Self::poll_join_next), with the task's id.
    pub fn poll_join_next_with_id(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        self.poll_next(context).map(|task| task.map(result_with_id))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<JoinHandle<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let unit = ready!(coop::poll_proceed(context));
        let task = ready!(self.tasks.poll_next(context));
        unit.made_progress();
        Poll::Ready(task)
    }

    /// Waits for all tasks and gives their outputs, in the order in which they finished.
    ///
    /// # Panics
    /// With the panic of the first task that panicked, or if one was cancelled. The others are then
    /// aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(output) => outputs.push(output),
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(error) => panic!("not every task of the set has an output: {error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks and waits until they have ended. What became of each is dropped.
    ///
    /// Cancel safe, in that all tasks are aborted by the first poll.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Aborts all tasks. They stay in the set, where their results say what became of them.
    pub fn abort_all(&mut self) {
        self.tasks.abort_all();
    }

    /// Takes all tasks out of the set, and lets them go on by themselves.
    pub fn detach_all(&mut self) {
        self.tasks.detach_all();
    }
}

const FINISHED: &str = "only a finished task is taken out of the list";

fn result<T>(mut task: JoinHandle<T>) -> Result<T, JoinError> {
    task.try_join().expect(FINISHED)
}

fn result_with_id<T>(task: JoinHandle<T>) -> Result<(Id, T), JoinError> {
    let id = task.id();
    result(task).map(|output| (id, output))
}

// As handles are: a result is taken out whole, or not at all.
impl<T> UnwindSafe for JoinSet<T> {}
impl<T> RefUnwindSafe for JoinSet<T> {}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Spawns each future on the current runtime.
///
/// # Panics
/// If there is no current runtime.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        set.extend(futures);
        set
    }
}

/// Spawns each future on the current runtime.
///
/// # Panics
/// If there is no current runtime.
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

/// Says what a task is called before it is spawned into a [`JoinSet`]. Made by
/// [`JoinSet::build_task`].
#[derive(Debug)]
#[must_use = "a builder does nothing until something is spawned with it"]
pub struct Builder<'a, T> {
    set: &'a mut JoinSet<T>,
    builder: task::Builder<'a>,
}

impl<'a, T: 'static> Builder<'a, T> {
    /// Gives the task a name.
    pub fn name(self, name: &'a str) -> Self {
        Self { builder: self.builder.name(name), ..self }
    }

    /// As [`JoinSet::spawn`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn`].
    ///
    /// # Panics
    /// If there is no current runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn(future)?))
    }

    /// As [`JoinSet::spawn_on`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_on`].
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, runtime: &Handle) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn_on(future, runtime)?))
    }

    /// As [`JoinSet::spawn_local`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_local`].
    ///
    /// # Panics
    /// Outside of every [`LocalSet`] and [`LocalRuntime`](crate::runtime::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self.set.insert(self.builder.spawn_local(future)?))
    }

    /// As [`JoinSet::spawn_local_on`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_local_on`].
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self.set.insert(self.builder.spawn_local_on(future, set)?))
    }

    /// As [`JoinSet::spawn_blocking`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_blocking`].
    ///
    /// # Panics
    /// If there is no current runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(self, work: F) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn_blocking(work)?))
    }

    /// As [`JoinSet::spawn_blocking_on`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_blocking_on`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, work: F, runtime: &Handle) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn_blocking_on(work, runtime)?))
    }
}
