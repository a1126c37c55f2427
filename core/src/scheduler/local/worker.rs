//! The tick: run, sleep, stop.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ptr};

use super::{
    core::Core,
    handle::Handle,
    shared::{Config, Shared},
};
use crate::{
    frame::{Frame, enter},
    platform::{Platform, Unpark},
    scheduler::{
        Looks, Tick,
        counted::Shared as SharedRef,
        dump::{self, Desk, Listed, Seen},
        frame,
    },
    sync::{Ordering, own},
    task::{Held, Outcome, Runnable, Snapshot, Tracer},
};

/// The right to run the tasks of a local scheduler.
///
/// Dropping it before [`Tick::Stopped`] leaks the tasks that are alive: their futures may be in use.
pub struct Worker<P: Platform>(Box<Core<P>>);

/// Makes a scheduler: the handle for everybody, the worker for one.
pub fn new<P: Platform>(platform: P, unpark: P::Unpark, config: Config) -> (Handle<P>, Worker<P>) {
    let shared = SharedRef::new(Shared::new(platform, unpark, config.observer));
    let core = Core::new(shared.clone(), config.event_interval, config.inbox_interval);
    (Handle(shared), Worker(Box::new(core)))
}

impl<P: Platform> Worker<P> {
    /// Runs the closure with this thread as the scheduler's: what it wakes and spawns stays local.
    ///
    /// May be nested: the state below is made of cells, which nobody borrows while user code runs.
    pub fn enter<R>(&self, scope: impl FnOnce(&Entered<'_, P>) -> R) -> R {
        let core: &Core<P> = &self.0;
        let address = core.shared.address();
        let _mark = own(&core.shared.own);
        // Once it has stopped, its thread is a stranger.
        let local = if core.stopped.get() { ptr::null() } else { (&raw const *core).cast() };
        enter::<P, _>(address, local, |frame| scope(&Entered { core, frame }))
    }

    /// A handle to this scheduler.
    pub fn handle(&self) -> Handle<P> {
        Handle(self.0.shared.clone())
    }

    /// How many tasks are alive.
    pub fn tasks(&self) -> usize {
        self.0.owned.len()
    }
}

impl<P: Platform> Drop for Worker<P> {
    fn drop(&mut self) {
        self.0.leak_queue();
        self.0.credit.settle(&self.0.shared);
    }
}

impl<P: Platform> fmt::Debug for Worker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("local::Worker").field("owned", &self.0.owned).finish_non_exhaustive()
    }
}

/// A worker on the thread that has entered it.
pub struct Entered<'a, P: Platform> {
    core: &'a Core<P>,
    frame: &'a Frame,
}

impl<P: Platform> Entered<'_, P> {
    /// Runs tasks until there is none, the driver is due, or [`Handle::end_tick`] was called.
    pub fn tick(&self) -> Tick {
        self.tick_beside(|| false)
    }

    /// As [`tick`](Self::tick), for a backend that has something of its own to run beside the tasks:
    /// if that is `due` when there is no task, the memory of finished ones is given back later.
    pub fn tick_beside(&self, due: impl Fn() -> bool) -> Tick {
        let core = self.core;
        core.wake_up();
        // First, for a traced poll may end the tick.
        self.frame.start_tick(core.interval);
        if core.shared.dumps.is_asking(&core.dump) {
            dump::serve(self);
        }
        if core.shared.closing.load(Ordering::Acquire) {
            return self.tick_closing();
        }
        core.take_inbox();
        let mut looks = Looks::new(core.interval, core.inbox_interval);
        while let Some(left) = self.frame.count_task() {
            let Some(task) = core.pop() else {
                if core.recycler.shrink() {
                    if due() {
                        break;
                    }
                } else if core.sleep() {
                    return Tick::Idle;
                } else {
                    core.wake_up();
                }
                core.take_inbox();
                looks.restart(left);
                continue;
            };
            self.run(task);
            if looks.is_due(left) {
                core.take_inbox();
            }
        }
        Tick::Ran
    }

    /// Runs code of whatever drives this worker, a task of an outer scheduler for example. What it
    /// wakes and spawns stays local; its task id and its budget are those of the scope outside.
    pub fn as_host<R>(&self, host: impl FnOnce() -> R) -> R {
        frame::as_outer(self.frame, host)
    }

    /// How many tasks this worker has polled or cancelled so far. It wraps.
    pub fn polls(&self) -> usize {
        self.core.shared.own.counters.polls.get()
    }

    /// Whether a task is ready to run. A load and a look; nothing is taken.
    pub fn has_work(&self) -> bool {
        self.core.has_work()
    }

    #[inline]
    fn run(&self, task: Runnable) {
        self.run_by(task, Runnable::run);
    }

    #[inline(always)]
    fn run_by(&self, task: Runnable, run: impl FnOnce(Runnable) -> Outcome) {
        if task.owner().is_none() && !self.core.bind(&task) {
            return self.core.finish(task.cancel());
        }
        let (own, id) = (&self.core.shared.own, task.id());
        own.counters.polls.add(1);
        own.running.start(id);
        self.frame.start_task(id.0);
        self.frame.start_poll(task.cell());
        let outcome = run(task);
        self.frame.end_poll();
        self.frame.end_task();
        own.running.end();
        if self.frame.take_refusal() {
            own.counters.forced_yields.add(1);
        }
        match outcome {
            Outcome::Idle => {}
            Outcome::Again(task) => self.core.push(task),
            Outcome::Done(done) => self.core.finish(done),
            Outcome::Left => self.core.count_left(),
        }
    }

    fn cancel(&self, task: Runnable) {
        self.core.shared.own.counters.polls.add(1);
        self.frame.start_task(task.id().0);
        let done = task.cancel();
        self.frame.end_task();
        self.core.finish(done);
    }

    /// Steps 2 to 5 of the shutdown, for one worker.
    fn tick_closing(&self) -> Tick {
        let core = self.core;
        if core.stopped.get() {
            return Tick::Stopped;
        }
        if !core.owned.is_closed() {
            core.owned.close(|done| core.finish(done));
        }
        loop {
            core.take_inbox();
            while let Some(task) = core.pop() {
                self.cancel(task);
            }
            if core.owned.is_empty() {
                break;
            }
            // A task's Runnable is in the hands of a waker that has not pushed it yet.
            if core.sleep() {
                return Tick::Idle;
            }
            core.wake_up();
        }
        // What the drops below wake or spawn finds no worker any more.
        self.frame.set_local(ptr::null());
        core.stopped.set(true);
        core.shared.dumps.leave(0, &core.dump);
        for task in core.shared.inbox.close().into_batch() {
            core.shared.own.counters.inbox_takes.add(1);
            core.finish(task.cancel());
        }
        Tick::Stopped
    }
}

impl<P: Platform> Listed<P::Lock> for Entered<'_, P> {
    fn desk(&self) -> Option<(&Desk<P::Lock>, usize, &Seen)> {
        Some((&self.core.shared.dumps, 0, &self.core.dump))
    }

    fn list(&self) -> Vec<(Snapshot, Option<Held>)> {
        self.core.list()
    }

    fn is_open(&self) -> bool {
        !self.core.shared.closing.load(Ordering::Relaxed)
    }

    fn run_traced(&self, task: Runnable, tracer: &dyn Tracer) {
        self.run_by(task, |task| task.run_traced(tracer));
    }

    fn unpark(&self) {
        self.core.shared.unpark.unpark();
    }
}

impl<P: Platform> fmt::Debug for Entered<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("local::Entered").field("owned", &self.core.owned).finish_non_exhaustive()
    }
}
