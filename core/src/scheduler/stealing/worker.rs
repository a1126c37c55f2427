//! A worker and its tick.

use alloc::vec::Vec;
use core::{fmt, ptr, ptr::NonNull, time::Duration};

use super::core::Core;
use super::handle::Handle;
use super::holder::Holder;
use super::shared::{Config, Shared};
use crate::{
    frame::{Frame, enter},
    platform::{Platform, Unpark},
    scheduler::{
        Looks, Tick,
        counted::Shared as SharedRef,
        dump::{self, Desk, Listed, Seen},
        metrics::Arrival,
    },
    sync::{Ordering, own},
    task::{Held, Outcome, Runnable, Snapshot, Tracer},
};

/// The right to act as one worker of a stealing scheduler.
///
/// It may move between threads; while it is entered, only by
/// [`Handle::detached`](super::Handle::detached). Dropping it before [`Tick::Stopped`] leaks the
/// tasks that are bound to it: their futures may be in use.
pub struct Worker<P: Platform> {
    shared: SharedRef<Shared<P>>,
    core: Holder<Core<P>>,
}

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
        .map(|index| Worker {
            core: Holder::new(Core::new(shared.clone(), index)),
            shared: shared.clone(),
        })
        .collect();
    (Handle(shared), workers)
}

impl<P: Platform> Worker<P> {
    /// A worker of a core that nobody else owns.
    pub(super) fn of(shared: SharedRef<Shared<P>>, core: NonNull<Core<P>>) -> Self {
        Self { shared, core: Holder::of(core) }
    }

    /// Gives the core away.
    pub(super) fn into_core(self) -> Option<NonNull<Core<P>>> {
        self.core.take()
    }

    /// Runs the closure with this thread as the worker's: what it wakes and spawns stays local.
    pub fn enter<R>(&mut self, scope: impl FnOnce(&Entered<'_, P>) -> R) -> R {
        let slot = self.core.get().map(Core::slot);
        let _marks = slot.map(|slot| (own(&slot.ring), own(&slot.own)));
        let local = match self.core.get() {
            Some(core) => {
                core.holder.set(&raw const self.core);
                // Once it has stopped, its thread is a stranger.
                if core.stopped.get() { ptr::null() } else { (&raw const *core).cast() }
            }
            None => ptr::null(),
        };
        enter::<P, _>(self.shared.address(), local, |frame| {
            scope(&Entered { shared: &self.shared, holder: &self.core, frame })
        })
    }

    /// This worker's index; `None` if it was handed off while it was entered.
    pub fn index(&self) -> Option<usize> {
        Some(self.core.get()?.index)
    }

    /// A handle to this worker's scheduler.
    pub fn handle(&self) -> Handle<P> {
        Handle(self.shared.clone())
    }
}

impl<P: Platform> fmt::Debug for Worker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owned = self.core.get().map(|core| &core.owned);
        f.debug_struct("stealing::Worker").field("owned", &owned).finish_non_exhaustive()
    }
}

/// A worker on the thread that has entered it.
pub struct Entered<'a, P: Platform> {
    shared: &'a SharedRef<Shared<P>>,
    holder: &'a Holder<Core<P>>,
    pub(super) frame: &'a Frame,
}

impl<P: Platform> Entered<'_, P> {
    /// The core, until it is handed off.
    #[inline]
    pub(super) fn core(&self) -> Option<&Core<P>> {
        self.holder.get()
    }

    /// Runs tasks until there is none to be found anywhere, or the driver is due.
    pub fn tick(&self) -> Tick {
        self.tick_until(|| false)
    }

    /// As [`tick`](Self::tick), but ends with `Ran` when this worker's own tasks have run, if it had
    /// any: for a backend whose driver is likely to have more for it. Not to be used for ever, since
    /// what others are stuck with is found by a search.
    pub fn tick_own(&self) -> Tick {
        self.tick_with(true, || false)
    }

    /// As [`tick`](Self::tick), but ends with `Ran` after the task in which `is_due` has become true:
    /// for a thread that has more to do than tasks.
    #[inline]
    pub fn tick_until(&self, is_due: impl Fn() -> bool) -> Tick {
        self.tick_with(false, is_due)
    }

    #[inline(always)]
    fn tick_with(&self, ends_with_own: bool, is_due: impl Fn() -> bool) -> Tick {
        // The tick borrows the core, also where it was called inside of `detachable`.
        self.frame.set_detachable(false);
        let Some(mut core) = self.core() else { return Tick::HandedOff };
        core.wake_up();
        if core.shared.dumps.is_asking(&core.dump) {
            dump::serve(self);
            // Borrowed anew: a traced poll may have handed the core off.
            let Some(again) = self.core() else { return Tick::HandedOff };
            core = again;
        }
        if core.shared.closing.load(Ordering::Acquire) {
            return self.tick_closing(core);
        }
        maintain(core);
        let tasks = core.shared.config.event_interval.max(1);
        let mut looks = Looks::new(tasks, core.shared.config.inbox_interval);
        self.frame.start_tick(tasks);
        while let Some(left) = self.frame.count_task() {
            // Borrowed anew for each task: the one before may have handed the core off.
            let Some(core) = self.core() else { return Tick::HandedOff };
            let task = match core.next() {
                Some(own) => own,
                None if ends_with_own && left + 1 < tasks => break,
                None => match search(core) {
                    Some(found) => found,
                    None if core.memory.shrink(&core.shared.stock) => {
                        looks.restart(left);
                        continue;
                    }
                    None => return if core.sleep() { Tick::Idle } else { Tick::Ran },
                },
            };
            core.end_search();
            if looks.is_due(left) {
                core.accept(core.index);
            }
            self.run(task);
            if is_due() {
                break;
            }
        }
        if self.holder.get().is_some() { Tick::Ran } else { Tick::HandedOff }
    }

    /// This worker's index; `None` once it has been handed off.
    pub fn index(&self) -> Option<usize> {
        Some(self.core()?.index)
    }

    /// How many tasks this worker has polled or cancelled so far; 0 once it has been handed off. It
    /// wraps.
    pub fn polls(&self) -> usize {
        self.core().map_or(0, |core| core.slot().own.counters.polls.get())
    }

    /// Ends the sleep that began with [`Tick::Idle`], as the next tick would.
    pub fn wake_up(&self) {
        if let Some(core) = self.core() {
            core.wake_up();
        }
    }

    /// Ends the sleep, and the search of a worker that was woken, before code that is no tick and may
    /// take its time. Others would rely on the search meanwhile.
    pub fn resume(&self) {
        if let Some(core) = self.core() {
            core.wake_up();
            core.end_search();
        }
    }

    /// Runs code that wakes tasks and does little else, such as a driver's: a thief is called at the
    /// end of it, if there is work for two, and earlier only where it wakes hundreds. One that is
    /// called earlier finds less to share, and whoever calls it is kept from waking the others for
    /// longer than that takes. Not to be nested: the end of the inner one would be that of both.
    ///
    /// A waker may be a stranger's and take its time, so the worker has [resumed](Self::resume) before
    /// the first is called. That passes on a search for which it was woken: to be called where there
    /// is somebody to wake.
    pub fn gather<R>(&self, wake: impl FnOnce() -> R) -> R {
        struct End<'a, 'b, P: Platform>(&'a Entered<'b, P>);

        impl<P: Platform> Drop for End<'_, '_, P> {
            fn drop(&mut self) {
                if let Some(core) = self.0.core() {
                    core.share_gathered();
                }
            }
        }

        self.resume();
        if let Some(core) = self.core() {
            core.gathers.set(true);
        }
        let _end = End(self);
        wake()
    }

    /// Goes to sleep as a tick does that finds nothing to run, but runs nothing. False if there is
    /// something to do: the worker is to be ticked soon.
    ///
    /// If true, the promise of [`Tick::Idle`] holds.
    pub fn rest(&self) -> bool {
        let Some(core) = self.core() else { return false };
        core.appetite.rested();
        !self.has_work() && !core.memory.shrink(&core.shared.stock) && core.sleep()
    }

    /// After [`Tick::Idle`]: how long the worker may sleep before it looks again what the others have,
    /// `None` for ever. It has found that their tasks are so short that it is better to leave them
    /// alone for now. Never if the platform has no [clock](Platform::nanos).
    pub fn rests_for(&self) -> Option<Duration> {
        self.core()?.appetite.rest()
    }

    /// Whether this worker, when it finds nothing to do, keeps for the next burst all the memory of
    /// finished tasks that it may keep [at work](crate::platform::Keeps). Off at first. A backend that
    /// lets it linger says otherwise, and ticks once more, when the worker [hoards](Self::hoards) what
    /// it has [not needed](Self::needed_hoard) for a while.
    pub fn linger(&self, for_now: bool) {
        if let Some(core) = self.core() {
            core.memory.linger(for_now);
        }
    }

    /// Whether this worker keeps more than it may in a long sleep, or the scheduler does for spawns
    /// from outside.
    pub fn hoards(&self) -> bool {
        self.core().is_some_and(|core| core.memory.hoards(&core.shared.stock))
    }

    /// Whether what is too much was in use since the last call: of the worker's all of it.
    pub fn needed_hoard(&self) -> bool {
        self.core().is_some_and(|core| core.memory.needed_hoard(&core.shared.stock))
    }

    /// Runs code during which the worker may be [taken out](super::Handle::detached) of this scope, as
    /// it may during the poll of a task. To be called between two ticks.
    pub fn detachable<R>(&self, run: impl FnOnce() -> R) -> R {
        struct Forbid<'a>(&'a Frame);

        impl Drop for Forbid<'_> {
            fn drop(&mut self) {
                self.0.set_detachable(false);
            }
        }

        self.frame.set_detachable(true);
        let _forbid = Forbid(self.frame);
        run()
    }

    /// Whether a task is in this worker's own queues. Loads only; for a backend that ran code of the
    /// user's after [`Tick::Idle`].
    pub fn has_work(&self) -> bool {
        self.core().is_some_and(|core| {
            let slot = core.slot();
            !slot.own.lifo.is_empty()
                || !slot.ring.is_empty()
                || !slot.overflow.is_empty()
                || !slot.inbox.is_empty()
        })
    }

    /// Polls a task. Inside the poll the core may be handed off.
    #[inline]
    fn run(&self, task: Runnable) {
        self.run_by(task, Runnable::run);
    }

    #[inline(always)]
    fn run_by(&self, task: Runnable, run: impl FnOnce(Runnable) -> Outcome) {
        if let Some(core) = self.core() {
            if task.owner().is_none() && !core.bind(&task) {
                return self.cancel(core, task);
            }
            core.slot().own.counters.polls.add(1);
            core.slot().own.running.start(task.id());
        }
        self.frame.start_task(task.id().0);
        self.frame.start_poll(task.cell());
        self.frame.set_detachable(true);
        let outcome = run(task);
        self.frame.end_poll();
        self.frame.set_detachable(false);
        self.frame.end_task();
        if let Some(core) = self.core() {
            core.slot().own.running.end();
            if self.frame.take_refusal() {
                core.slot().own.counters.forced_yields.add(1);
            }
            if core.holds_back.get() {
                core.share_rest();
            }
        }
        match (outcome, self.core()) {
            (Outcome::Idle, _) => {}
            (Outcome::Again(task), Some(core)) => {
                core.slot().own.counters.local_schedules.add(1);
                core.push_again(task);
            }
            (Outcome::Done(done), Some(core)) => core.finish(done),
            (Outcome::Left, Some(core)) => core.count_left(),
            // The poll outlived this thread's being a worker.
            (Outcome::Again(task), None) => self.shared.inject(task, Arrival::Woken),
            (Outcome::Done(done), None) => self.shared.finish_outside(done),
            // The joiner's waker has taken the worker away.
            (Outcome::Left, None) => self.shared.count_outside(),
        }
    }

    /// Drops a task's future. The core stays here: code that runs in the drop cannot take it.
    pub(super) fn cancel(&self, core: &Core<P>, task: Runnable) {
        core.slot().own.counters.polls.add(1);
        self.frame.start_task(task.id().0);
        let done = task.cancel();
        self.frame.end_task();
        core.finish(done);
    }
}

impl<P: Platform> Listed<P::Lock> for Entered<'_, P> {
    fn desk(&self) -> Option<(&Desk<P::Lock>, usize, &Seen)> {
        let core = self.core()?;
        Some((&core.shared.dumps, core.index, &core.dump))
    }

    fn list(&self) -> Vec<(Snapshot, Option<Held>)> {
        self.core().map_or_else(Vec::new, Core::list)
    }

    fn is_open(&self) -> bool {
        !self.shared.closing.load(Ordering::Relaxed)
    }

    fn run_traced(&self, task: Runnable, tracer: &dyn Tracer) {
        self.run_by(task, |task| task.run_traced(tracer));
    }

    fn unpark(&self) {
        if let Some(core) = self.core() {
            core.slot().unpark.unpark();
        }
    }
}

/// What has to happen now and then, however busy the worker is.
fn maintain<P: Platform>(core: &Core<P>) {
    let slot = core.slot();
    core.owned.collect(&slot.owned);
    core.accept(core.index);
    core.ticks.set(core.ticks.get().wrapping_add(1));
    core.visit_neighbour();
    if core.has_to_share() {
        core.share();
    }
}

/// Looks for work elsewhere.
fn search<P: Platform>(core: &Core<P>) -> Option<Runnable> {
    if core.dump.is_barred() {
        return None;
    }
    core.judge_theft();
    if !core.searching.get() {
        // Loads, where a search would write what all share. To be refused is to be told to sleep,
        // which looks again.
        if !core.shared.has_work() || !core.shared.idle.start_search() {
            return None;
        }
        core.searching.set(true);
    }
    if core.appetite.rests() { None } else { core.steal() }
}

impl<P: Platform> fmt::Debug for Entered<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("stealing::Entered")
            .field("index", &self.core().map(|core| core.index))
            .field("owned", &self.core().map(|core| &core.owned))
            .finish_non_exhaustive()
    }
}
