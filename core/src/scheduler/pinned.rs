//! A worker of the stealing scheduler that keeps some tasks to itself.
//!
//! Each core or thread has a scheduler of its own, `local`, beside the worker that it is of the common
//! one. Futures there need not be `Send`: they are polled and dropped here and nowhere else, and woken
//! from anywhere. The two take turns, a tick each, and sleep together; both have the same unpark.

use core::{cell::Cell, fmt, future::Future, marker::PhantomData, time::Duration};

use super::{Tick, local, stealing};
use crate::{platform::Platform, task::JoinHandle};

/// A worker with tasks of its own. It stays on the thread or core that makes it.
///
/// Dropping it before [`Tick::Stopped`] leaks the tasks that are alive: their futures may be in use.
pub struct Worker<P: Platform> {
    shared: stealing::Worker<P>,
    own: local::Worker<P>,
    /// The local scheduler was told to stop.
    closed: Cell<bool>,
    _stays: PhantomData<*const ()>,
}

impl<P: Platform> Worker<P> {
    /// Puts a scheduler of its own beside a worker. The unpark is for the same sleeper as the worker's.
    pub fn new(
        worker: stealing::Worker<P>,
        platform: P,
        unpark: P::Unpark,
        config: local::Config,
    ) -> Self {
        let (_, own) = local::new(platform, unpark, config);
        Self { shared: worker, own, closed: Cell::new(false), _stays: PhantomData }
    }

    /// The right to spawn tasks that stay here.
    pub fn spawner(&self) -> Spawner<P> {
        Spawner { handle: self.own.handle(), _stays: PhantomData }
    }

    /// A handle to the common scheduler.
    pub fn handle(&self) -> stealing::Handle<P> {
        self.shared.handle()
    }

    /// Runs the closure with this thread as the worker's.
    pub fn enter<R>(&mut self, scope: impl FnOnce(&Entered<'_, P>) -> R) -> R {
        let Self { shared, own, closed, .. } = self;
        shared.enter(|shared| scope(&Entered { shared, own, closed }))
    }
}

impl<P: Platform> fmt::Debug for Worker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared, own, .. } = self;
        f.debug_struct("pinned::Worker").field("shared", shared).field("own", own).finish()
    }
}

/// A worker on the thread that has entered it.
pub struct Entered<'a, P: Platform> {
    shared: &'a stealing::Entered<'a, P>,
    own: &'a local::Worker<P>,
    closed: &'a Cell<bool>,
}

impl<P: Platform> Entered<'_, P> {
    /// Runs tasks of both kinds until there is none, or the driver is due: what it returns is for the
    /// two of them. A shutdown of the common scheduler ends with that of the tasks that stay here.
    ///
    /// # Panics
    /// If the worker was [handed off](stealing::Handle::detached): tasks that may not move wait for
    /// this thread, so it must not block.
    pub fn tick(&self) -> Tick {
        // First, so that this scheduler is asleep already when tasks of the other one wake its tasks:
        // then each such wake is an unpark. Its frame is left again, or it would lie on top of theirs.
        let own = self.own.enter(|own| own.tick());
        let rests = matches!(own, Tick::Idle | Tick::Stopped);
        match self.shared.tick() {
            Tick::Idle if rests => Tick::Idle,
            Tick::Stopped if own == Tick::Stopped => Tick::Stopped,
            // Its last tasks are in the hands of wakers.
            Tick::Stopped if self.closed.get() && rests => Tick::Idle,
            Tick::Stopped => {
                if !self.closed.replace(true) {
                    self.own.handle().close();
                }
                Tick::Ran
            }
            Tick::HandedOff => panic!(
                "a worker with pinned tasks was handed off: run blocking code on a thread without"
            ),
            Tick::Ran | Tick::Idle => Tick::Ran,
        }
    }
}

impl<P: Platform> Entered<'_, P> {
    /// After [`Tick::Idle`]: how long the worker may sleep before it looks again what the others have,
    /// as [`stealing::Entered::rests_for`] says.
    pub fn rests_for(&self) -> Option<Duration> {
        self.shared.rests_for()
    }
}

impl<P: Platform> fmt::Debug for Entered<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared, own, .. } = self;
        f.debug_struct("pinned::Entered").field("shared", shared).field("own", own).finish()
    }
}

/// The right to spawn futures that are not `Send`, beside one [`Worker`]: it does not leave that
/// worker's thread or core.
pub struct Spawner<P: Platform> {
    handle: local::Handle<P>,
    _stays: PhantomData<*const ()>,
}

impl<P: Platform> Spawner<P> {
    /// Spawns a task that stays here. After the shutdown its handle resolves to cancelled.
    #[track_caller]
    pub fn spawn_local<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        // SAFETY: neither this spawner nor the worker that it came from is `Send`: the worker is on
        // this thread, or gone without having stopped, and then nobody will ever touch the task.
        unsafe { self.handle.spawn_local(future) }
    }

    /// The scheduler of the tasks that stay here: for others, who may spawn here what is `Send`.
    pub fn handle(&self) -> &local::Handle<P> {
        &self.handle
    }
}

impl<P: Platform> Clone for Spawner<P> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), _stays: PhantomData }
    }
}

impl<P: Platform> fmt::Debug for Spawner<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("pinned::Spawner").field("handle", &self.handle).finish()
    }
}
