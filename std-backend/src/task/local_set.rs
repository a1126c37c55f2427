//! Tasks that stay on their thread, on any runtime.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use jenny_core::task::{JoinHandle, Spawned};

use crate::{
    context::{
        self, RunningGuard, Whereabouts,
        local::{self, LocalGuard, LocalScheduler, SetPlatform},
    },
    local_set::{Host, Set},
    platform::Std,
    runtime::{Id, Runtime, UnhandledPanic},
};

/// Spawns a task that stays on this thread, so that its future need not be `Send`.
///
/// It goes to the innermost [`LocalSet`] or [`LocalRuntime`](crate::runtime::LocalRuntime) that this
/// thread is in, and starts to run whether or not its handle is awaited. For all else see
/// [`spawn`](super::spawn).
///
/// # Panics
/// Outside of both.
///
/// # Examples
/// ```
/// # use std::rc::Rc;
/// # #[jenny::main(flavor = "local")]
/// # async fn main() {
/// let unsendable = Rc::new(6 * 7);
/// let task = jenny::task::spawn_local(async move { *unsendable });
/// assert_eq!(task.await.unwrap(), 42);
/// # }
/// ```
#[inline]
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    local::spawn(future, Spawned::here())
}

/// A set of tasks that all run on the thread which polls it, so that they need not be `Send`.
///
/// It runs on any runtime, inside `block_on` or inside a local task, and has no thread of its own:
/// its tasks run while somebody is in [`block_on`](Self::block_on) or awaits
/// [`run_until`](Self::run_until) or the set itself. A poll of the set polls a limited number of its
/// tasks before it lets its host go on. [`spawn`](super::spawn) inside it spawns on the runtime
/// around it.
///
/// Dropping a set cancels its tasks, on this thread. If another thread is just waking one of them,
/// the drop waits for that.
///
/// On a [`LocalRuntime`](crate::runtime::LocalRuntime), `spawn_local` needs no set.
///
/// # Examples
/// As a future, the set is ready when all its tasks are:
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// # #[jenny::main]
/// # async fn main() {
/// let set = jenny::task::LocalSet::new();
/// let total = Rc::new(Cell::new(0));
/// for step in 1..=4 {
///     let total = Rc::clone(&total);
///     set.spawn_local(async move { total.set(total.get() + step) });
/// }
/// set.await;
/// assert_eq!(total.get(), 10);
/// # }
/// ```
pub struct LocalSet {
    set: Set<SetPlatform>,
    id: Id,
    whereabouts: Whereabouts,
    _stays_here: PhantomData<Rc<()>>,
}

/// Keeps a [`LocalSet`] entered on its thread. Made by [`LocalSet::enter`].
#[must_use = "the set is entered until this is dropped"]
pub struct LocalEnterGuard {
    _guard: LocalGuard,
}

impl LocalSet {
    /// An empty set.
    pub fn new() -> Self {
        Self {
            set: Set::new(Std::new()),
            id: Id::next(),
            whereabouts: Whereabouts::default(),
            _stays_here: PhantomData,
        }
    }

    /// Makes [`spawn_local`] on this thread spawn on this set until the guard is dropped.
    ///
    /// Guards of several sets may be dropped in any order; the youngest that is left counts.
    pub fn enter(&self) -> LocalEnterGuard {
        // SAFETY: a set is not `Send`, and is shut down by its drop.
        LocalEnterGuard { _guard: unsafe { local::enter(self.scheduler()) } }
    }

    /// Spawns a task on this set. It runs when the set is polled. See [`spawn_local`].
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_as(future, Spawned::here())
    }

    pub(super) fn spawn_as<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // SAFETY: a set is not `Send`, and is shut down by its drop.
        unsafe { self.scheduler().spawn(future, spawned) }
    }

    /// Runs a future and the tasks of this set on a runtime, until the future is ready.
    ///
    /// Tasks that are left go on with the next poll of the set.
    ///
    /// # Panics
    /// As [`Runtime::block_on`].
    ///
    /// # Examples
    /// ```
    /// use jenny::{runtime::Runtime, task::{LocalSet, spawn_local}};
    ///
    /// let (runtime, set) = (Runtime::new()?, LocalSet::new());
    /// let answer = set.block_on(&runtime, async { spawn_local(async { 42 }).await.unwrap() });
    /// assert_eq!(answer, 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(self.run_until(future))
    }

    /// Runs a future and, while it waits, the tasks of this set, until the future is ready.
    ///
    /// The future is no task: it may borrow, and goes on when whatever awaits it is polled. Several
    /// may run on one set at once; each runs the tasks of all. Tasks that are left go on with the
    /// next poll of the set.
    ///
    /// Cancel safe if the future is.
    pub fn run_until<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        RunUntil { set: self, host: Host::new(), future }
    }

    /// Says what a panic of a task does beside ending the task; by default, nothing.
    ///
    /// With [`UnhandledPanic::ShutdownRuntime`] it ends the set: the other tasks are cancelled, and
    /// whoever waits in [`run_until`](Self::run_until) or for the set panics.
    ///
    /// # Panics
    /// If the set has tasks already.
    ///
    /// # Examples
    /// ```should_panic
    /// use jenny::{runtime::UnhandledPanic, task::{LocalSet, spawn_local}};
    ///
    /// # #[jenny::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut set = LocalSet::new();
    /// set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    /// set.run_until(async {
    ///     spawn_local(async { panic!("boom") });
    ///     std::future::pending::<()>().await;
    /// })
    /// .await;
    /// # }
    /// ```
    #[track_caller]
    pub fn unhandled_panic(&mut self, policy: UnhandledPanic) -> &mut Self {
        assert!(
            self.set.is_empty(),
            "the set has tasks already: call `unhandled_panic` before anything is spawned on it"
        );
        self.set.shut_down();
        // What is known there is the set that ends here.
        self.whereabouts = Whereabouts::default();
        self.set = match policy {
            UnhandledPanic::Ignore => Set::new(Std::new()),
            UnhandledPanic::ShutdownRuntime => Set::ending_on_panic(Std::new()),
        };
        self
    }

    /// The identity of this set: different from that of any other set and of any runtime.
    pub fn id(&self) -> Id {
        self.id
    }

    fn scheduler(&self) -> LocalScheduler {
        LocalScheduler::Set(self.set.handle().clone())
    }

    /// Enters the set for a poll.
    fn start_poll(&self) -> (LocalGuard, RunningGuard) {
        self.whereabouts.are_here(self.id, &self.set);
        self.enter_scope()
    }

    fn enter_scope(&self) -> (LocalGuard, RunningGuard) {
        // SAFETY: a set is not `Send`, and is shut down by its drop.
        let guard = unsafe { local::enter_scope(self.scheduler()) };
        (guard, context::run_bound_tasks())
    }

    /// Draws the consequences of a poll.
    ///
    /// # Panics
    /// If a task has panicked, and that is to end the set and whoever polls it.
    fn end_poll(&self) {
        if self.set.was_cut_short() {
            local::driver_is_due();
        }
        if self.set.has_panicked() {
            self.set.shut_down();
            panic!(
                "a task of this `LocalSet` has panicked, which ends the set: it was told so by \
                 `unhandled_panic`"
            );
        }
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let _entered = self.start_poll();
        let polled = self.set.poll(context);
        self.end_poll();
        polled
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        // What the drops of futures spawn is this set's, and is cancelled.
        let _entered = self.enter_scope();
        self.set.shut_down();
    }
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    struct RunUntil<'a, F> {
        set: &'a LocalSet,
        host: Host<'a, SetPlatform>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.set.start_poll();
        let polled = this.set.set.poll_beside(this.host, this.future, context);
        if polled.is_pending() {
            this.set.end_poll();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::pin,
        task::Waker,
    };

    use super::*;

    #[test]
    fn it_is_known_whether_somebody_polls_a_set() {
        let mut set = LocalSet::new();
        let audience = set.set.audience();
        let task = set.spawn_local(pending::<()>());
        let context = &mut Context::from_waker(Waker::noop());
        {
            let mut host = pin!(set.run_until(pending::<()>()));
            assert!(!audience.is_there(), "it has not begun");
            assert!(host.as_mut().poll(context).is_pending());
            assert!(pin!(set.run_until(ready(()))).poll(context).is_ready());
            assert!(audience.is_there(), "another one has ended");
        }
        assert!(!audience.is_there());
        for _ in 0..2 {
            assert!(Pin::new(&mut set).poll(context).is_pending());
            assert!(audience.is_there());
        }
        task.abort();
        assert!(Pin::new(&mut set).poll(context).is_ready());
        assert!(!audience.is_there());
    }
}
