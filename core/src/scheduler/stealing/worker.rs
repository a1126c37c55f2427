//! A worker and its tick.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ptr};

use super::core::Core;
use super::handle::Handle;
use super::shared::{Config, Shared};
use crate::{
    frame::Frame,
    platform::Platform,
    scheduler::{Tick, counted::Shared as SharedRef, frame},
    sync::Ordering,
    task::{Outcome, Runnable},
};

/// The right to act as one worker of a stealing scheduler.
///
/// It may move between threads, but not while it is entered. Dropping it before
/// [`Tick::Stopped`] leaks the tasks that are bound to it: their futures may be in use.
pub struct Worker<P: Platform>(Box<Core<P>>);

/// Makes a scheduler with one worker for each unpark handle.
///
/// # Panics
/// If there is none, or more than 65,534.
pub fn new<P: Platform>(
    platform: P,
    unpark: impl IntoIterator<Item = P::Unpark>,
    config: Config,
) -> (Handle<P>, Vec<Worker<P>>) {
    let shared = SharedRef::new(Shared::new(platform, unpark, config));
    let workers = (0..shared.slots.len())
        .map(|index| Worker(Box::new(Core::new(shared.clone(), index))))
        .collect();
    (Handle(shared), workers)
}

impl<P: Platform> Worker<P> {
    /// Runs the closure with this thread as the worker's: what it wakes and spawns stays local.
    pub fn enter<R>(&mut self, scope: impl FnOnce(&Entered<'_, P>) -> R) -> R {
        let core: &Core<P> = &self.0;
        // Once it has stopped, its thread is a stranger.
        let local = if core.stopped.get() { ptr::null() } else { (&raw const *core).cast() };
        frame::enter::<P, _>(core.shared.address(), local, |frame| scope(&Entered { core, frame }))
    }

    /// This worker's index.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// A handle to this worker's scheduler.
    pub fn handle(&self) -> Handle<P> {
        Handle(self.0.shared.clone())
    }
}

impl<P: Platform> fmt::Debug for Worker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("stealing::Worker").field("owned", &self.0.owned).finish_non_exhaustive()
    }
}

/// A worker on the thread that has entered it.
pub struct Entered<'a, P: Platform> {
    pub(super) core: &'a Core<P>,
    pub(super) frame: &'a Frame,
}

impl<P: Platform> Entered<'_, P> {
    /// Runs tasks until there is none to be found anywhere, or the driver is due.
    pub fn tick(&self) -> Tick {
        let core = self.core;
        core.wake_up();
        if core.shared.closing.load(Ordering::Acquire) {
            return self.tick_closing();
        }
        self.maintain();
        for _ in 0..core.shared.config.event_interval.max(1) {
            let Some(task) = core.next().or_else(|| self.search()) else {
                return if core.sleep() { Tick::Idle } else { Tick::Ran };
            };
            core.end_search();
            core.found.set(true);
            self.run(task);
        }
        Tick::Ran
    }

    /// Whether a task is in this worker's own queues. Loads only; for a backend that ran code of the
    /// user's after [`Tick::Idle`].
    pub fn has_work(&self) -> bool {
        let slot = self.core.slot();
        !slot.own.lifo.is_empty()
            || !slot.ring.is_empty()
            || !slot.overflow.is_empty()
            || !slot.inbox.is_empty()
    }

    /// What has to happen now and then, however busy the worker is.
    fn maintain(&self) {
        let core = self.core;
        let slot = core.slot();
        core.owned.collect(&slot.owned);
        core.accept(core.index);
        core.ticks.set(core.ticks.get().wrapping_add(1));
        core.visit_neighbour();
        if !slot.ring.is_empty() || !slot.overflow.is_empty() {
            core.share();
        }
    }

    /// Looks for work elsewhere.
    fn search(&self) -> Option<Runnable> {
        let core = self.core;
        if !core.searching.get() {
            if !core.shared.idle.start_search() {
                return None;
            }
            core.searching.set(true);
        }
        core.steal()
    }

    fn run(&self, task: Runnable) {
        if task.owner().is_none() && !self.core.bind(&task) {
            return self.cancel(task);
        }
        self.core.slot().own.counters.polls.add(1);
        self.frame.start_task(task.id().0);
        let outcome = task.run();
        self.frame.end_task();
        match outcome {
            Outcome::Idle => {}
            Outcome::Again(task) => self.core.push(task),
            Outcome::Done(done) => self.core.finish(done),
        }
    }

    pub(super) fn cancel(&self, task: Runnable) {
        self.core.slot().own.counters.polls.add(1);
        self.frame.start_task(task.id().0);
        let done = task.cancel();
        self.frame.end_task();
        self.core.finish(done);
    }
}

impl<P: Platform> fmt::Debug for Entered<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("stealing::Entered")
            .field("index", &self.core.index)
            .field("owned", &self.core.owned)
            .finish_non_exhaustive()
    }
}
