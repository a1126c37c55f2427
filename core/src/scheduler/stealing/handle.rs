//! The way in: spawning from any thread, and what wakers and finished tasks call.

use alloc::{boxed::Box, vec::Vec};
use core::{
    alloc::Layout,
    fmt,
    future::Future,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};

use super::core::Core;
use super::shared::{Shared, Slot};
use crate::{
    platform::Platform,
    scheduler::{
        WorkerDump, WorkerMetrics, budget,
        counted::{Counted, Shared as SharedRef},
        dump, frame,
        metrics::Arrival,
    },
    sync::{Fused, Ordering, fused},
    task::{
        self, Heap, JoinHandle, Observer, OwnedRef, Place, Runnable, Schedule, Spawned, Tracer,
    },
};

/// A place for a task's cell, a count on the scheduler, an id.
type Prepared<P> = (NonNull<u8>, NonNull<Counted<Shared<P>>>, task::Id);

/// Spawns on a stealing scheduler, from any thread.
pub struct Handle<P: Platform>(pub(super) SharedRef<Shared<P>>);

impl<P: Platform> Handle<P> {
    /// Spawns a task. From any thread; after the shutdown its handle resolves to cancelled.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_as(future, Spawned::here())
    }

    /// As [`spawn`](Self::spawn), with what is known about the task.
    #[inline]
    pub fn spawn_as<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let layout = task::layout::<F, ()>();
        let (place, scheduler, id) = match Core::current(self.0.pointer()) {
            Some(core) => (core.memory.place(layout), core.lend(), spawned.id_or(|| core.id())),
            None => self.prepare_outside(layout, spawned),
        };
        // SAFETY: the count was taken, and the place for such a cell; the future and its output are
        // `Send` and `'static`.
        let (task, join) =
            unsafe { task::new_in::<F, _, Heap>(place, future, scheduler, Some(id), spawned) };
        // Borrowed anew: an observer has been told of the task, and may have taken the core away.
        match Core::current(self.0.pointer()) {
            Some(core) => drop(core.take_in(task)),
            None => self.0.inject(task, Arrival::Spawned),
        }
        join
    }

    /// What a task needs that is spawned by a thread which is no worker. Once for all types of futures.
    #[inline(never)]
    fn prepare_outside(&self, layout: Layout, spawned: Spawned<'_>) -> Prepared<P> {
        let id = spawned.id_or(|| task::Id(self.0.platform.task_ids(1)));
        // SAFETY: by the contract of `Platform` it is null, or alive and this thread's alone.
        let place = self.0.stock.place(layout, unsafe { P::pocket().as_ref() });
        (place, self.0.lend(), id)
    }

    /// Whether this thread is a worker of this scheduler.
    pub fn is_entered(&self) -> bool {
        Core::<P>::current(self.0.pointer()).is_some()
    }

    /// Which worker of this scheduler this thread is, if it is one.
    pub fn entered_worker(&self) -> Option<usize> {
        Core::<P>::current(self.0.pointer()).map(|core| core.index)
    }

    /// Begins the shutdown: the workers' ticks cancel every task and end with
    /// [`Tick::Stopped`](crate::scheduler::Tick::Stopped). From any thread.
    pub fn close(&self) {
        self.0.close();
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.0.slots.len()
    }

    /// What a worker has done so far; `None` if there is no such worker.
    pub fn metrics(&self, worker: usize) -> Option<WorkerMetrics> {
        let slot = self.0.slots.get(worker)?;
        Some(slot.own.counters.read(&slot.inbox))
    }

    /// How many bound tasks completed on threads that had handed their workers off, which no worker
    /// counts.
    pub fn completed_outside(&self) -> usize {
        self.0.completed_outside.load(Ordering::Relaxed)
    }

    /// How many tasks are in a worker's own queues, at some moment of the call; `None` if there is no
    /// such worker. Thieves may take them. A task in the LIFO slot, out of their reach, is not in it.
    pub fn queued(&self, worker: usize) -> Option<usize> {
        let slot = self.0.slots.get(worker)?;
        Some(slot.ring.len() + slot.overflow.len())
    }

    /// How many tasks other threads have brought that no worker has put into its own queues yet.
    pub fn injected(&self) -> usize {
        let sum = |count: fn(&Slot<P>) -> usize| {
            self.0.slots.iter().fold(0_usize, |sum, slot| sum.wrapping_add(count(slot)))
        };
        // In this order, so that what is taken meanwhile is counted rather than subtracted twice.
        let taken =
            sum(|slot| slot.overflow.accepted().wrapping_add(slot.own.counters.inbox_takes.get()));
        let brought = sum(|slot| {
            let (spawned, woken) = slot.inbox.arrivals();
            spawned.wrapping_add(woken)
        });
        let waiting = brought.wrapping_sub(taken);
        // A worker may have taken what its bringer has not counted yet.
        if waiting > usize::MAX / 2 { 0 } else { waiting }
    }

    /// Asks all workers for their live tasks; false if somebody has asked already. From any thread.
    ///
    /// Workers that have answered take nothing from others until [`end_dump`](Self::end_dump), which
    /// has to follow soon.
    #[must_use = "if it was true, the dump has to be ended"]
    pub fn start_dump(&self) -> bool {
        self.ask(None)
    }

    /// As [`start_dump`](Self::start_dump), and before a worker answers, it polls its idle tasks
    /// once more and tells the tracer where they wait. On a [`Platform`] that says so; on others
    /// there are no traces.
    #[must_use = "if it was true, the dump has to be ended"]
    pub fn start_traced_dump(&self, tracer: Box<dyn Tracer>) -> bool {
        self.ask(Some(tracer))
    }

    fn ask(&self, tracer: Option<Box<dyn Tracer>>) -> bool {
        let started = self.0.dumps.ask(tracer);
        if started {
            self.0.unpark_all();
        }
        started
    }

    /// Waits for the answers of all workers. Those of workers that are stuck in a poll do not come.
    pub fn poll_dump(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.dumps.poll(context.waker())
    }

    /// Ends a dump that this caller has started: the answers so far, in the order of the workers.
    pub fn end_dump(&self) -> Vec<WorkerDump> {
        self.0.dumps.end(self.0.slots.iter().map(|slot| &slot.own.running))
    }

    /// What is known without a dump: what each worker is polling. Asks nobody and waits for nothing.
    pub fn unasked(&self) -> Vec<WorkerDump> {
        dump::unasked(self.0.slots.iter().map(|slot| &slot.own.running))
    }

    /// How many workers sleep, at some moment of the call.
    pub fn sleepers(&self) -> usize {
        self.0.idle.sleepers()
    }

    /// The platform that the scheduler was made with.
    pub fn platform(&self) -> &P {
        &self.0.platform
    }
}

impl<P: Platform> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Platform> fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("stealing::Handle")
            .field("workers", &self.workers())
            .field("sleepers", &self.sleepers())
            .finish_non_exhaustive()
    }
}

// SAFETY: `schedule` queues, or drops what only its spawner can have; all futures are `Send`. The
// cells are counted by `Counted`.
unsafe impl<P: Platform> Schedule for Counted<Shared<P>> {
    type Platform = P;

    const TRACES: bool = P::TRACES;
    const YIELDS: bool = true;
    const CLONE_WAKER: Option<fn(&Waker) -> Waker> = Some(frame::Current::<P>::clone_waker);

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        match Core::current(this) {
            Some(core) => core.schedule(task),
            // SAFETY: the caller keeps the scheduler alive until this returns.
            None => unsafe { this.as_ref() }.value().inject(task, Arrival::Woken),
        }
    }

    #[inline]
    unsafe fn wake_here(
        this: NonNull<Self>,
        wake: impl FnOnce(Fused<'_>) -> Option<Runnable>,
    ) -> bool {
        let Some(core) = Core::current(this) else { return false };
        if let Some(task) = fused(wake) {
            core.schedule(task);
        }
        true
    }

    #[inline]
    unsafe fn disown(this: NonNull<Self>, task: &Runnable) -> bool {
        // SAFETY: passed on from the caller.
        Core::current(this).is_some_and(|core| unsafe { core.disown(task) })
    }

    unsafe fn retire(this: NonNull<Self>, done: OwnedRef) {
        match Core::current(this) {
            Some(core) => core.finish(done),
            None => {
                if let Some(owner) = done.owner() {
                    // SAFETY: the caller keeps the scheduler alive until this returns.
                    unsafe { this.as_ref() }.value().give_back(owner, done);
                }
            }
        }
    }

    fn is_local(this: NonNull<Self>) -> bool {
        Core::current(this).is_some()
    }

    #[inline]
    unsafe fn release(this: NonNull<Self>, place: Place) {
        match Core::current(this) {
            Some(core) => core.free(place),
            None => {
                drop(place);
                // SAFETY: the count was the cell's.
                unsafe { Counted::release(this, 1) }
            }
        }
    }

    unsafe fn observer<'a>(this: NonNull<Self>) -> Option<&'a dyn Observer> {
        // SAFETY: passed on from the caller.
        unsafe { this.as_ref() }.value().config.observer.as_deref()
    }

    #[inline]
    fn charge() -> bool {
        budget::proceed::<P>()
    }
}

impl<P: Platform> Core<P> {
    /// The core that this thread has of the scheduler, if it is one of its workers. The borrow must
    /// end before the thread can leave the scope.
    #[inline]
    pub(super) fn current<'a>(scheduler: NonNull<Counted<Shared<P>>>) -> Option<&'a Self> {
        let address = scheduler.as_ptr().cast_const().cast();
        // SAFETY: a frame with this address belongs to a worker of this scheduler, which keeps it
        // alive, and points to the worker's core.
        unsafe { frame::local_of::<P>(address).cast::<Self>().as_ref() }
    }
}
