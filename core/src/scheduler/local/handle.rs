//! The way in: spawning from any thread, and what wakers and finished tasks call.

use alloc::{boxed::Box, vec::Vec};
use core::{
    fmt,
    future::Future,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};

use super::{core::Core, shared::Shared};
use crate::{
    frame::Frame,
    platform::{Platform, Unpark},
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

/// Spawns on a local scheduler, from any thread.
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
        // SAFETY: the future and its output are `Send` and `'static`.
        unsafe { self.spawn_unchecked(future, spawned) }
    }

    /// Spawns a task whose future stays on this thread. After the shutdown its handle resolves to
    /// cancelled.
    ///
    /// Inside [`Worker::enter`](super::Worker::enter) that is plain arithmetic; outside, the task goes
    /// through the inbox.
    ///
    /// # Safety
    /// The worker stays on the calling thread until it has stopped.
    #[track_caller]
    pub unsafe fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // SAFETY: passed on from the caller.
        unsafe { self.spawn_local_as(future, Spawned::here()) }
    }

    /// As [`spawn_local`](Self::spawn_local), with what is known about the task.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub unsafe fn spawn_local_as<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // SAFETY: this thread is the worker's, and the caller keeps the worker here. Who refuses the
        // task is the worker, or its closed inbox, which makes the spawner drop it: here.
        unsafe { self.spawn_unchecked(future, spawned) }
    }

    /// # Safety
    /// As for [`task::new`].
    #[inline]
    unsafe fn spawn_unchecked<F: Future>(
        &self,
        future: F,
        spawned: Spawned<'_>,
    ) -> JoinHandle<F::Output> {
        if let Some(core) = Core::current(self.0.pointer()) {
            let place = core.recycler.take(task::layout::<F, ()>());
            let (scheduler, id) = (core.credit.lend(&core.shared), spawned.id_or(|| core.id()));
            // SAFETY: the count was taken, and the place for such a cell; the rest is the caller's
            // promise.
            let (task, join) =
                unsafe { task::new_in::<F, _, Heap>(place, future, scheduler, Some(id), spawned) };
            core.shared.own.counters.spawns.add(1);
            if core.bind(&task) {
                core.push(task);
            } else {
                drop(task);
            }
            return join;
        }
        let id = spawned.id_or(|| task::Id(self.0.platform.task_ids(1)));
        // SAFETY: as above.
        let (task, join) = unsafe { task::new(future, self.0.lend(), id, spawned) };
        self.0.inject(task, Arrival::Spawned);
        join
    }

    /// Whether this thread is inside [`Worker::enter`](super::Worker::enter) of this scheduler.
    pub fn is_entered(&self) -> bool {
        Core::current(self.0.pointer()).is_some()
    }

    /// Lets the tick that this thread is in return, with [`Tick::Ran`](crate::scheduler::Tick::Ran),
    /// after the task that is running: for a backend that has something of its own to run beside the
    /// tasks. False on a thread that is not inside [`Worker::enter`](super::Worker::enter) of this
    /// scheduler.
    pub fn end_tick(&self) -> bool {
        // SAFETY: the frame is used here only.
        let frame = unsafe { frame::with_worker_of::<P>(self.0.address()) };
        frame.map(Frame::end_tick).is_some()
    }

    /// Begins the shutdown: the worker's ticks cancel every task and end with
    /// [`Tick::Stopped`](crate::scheduler::Tick::Stopped). From any thread.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.unpark_sleeper();
    }

    /// What the worker has done so far.
    pub fn metrics(&self) -> WorkerMetrics {
        self.0.own.counters.read(&self.0.inbox)
    }

    /// How many tasks are in the worker's queue, at some moment of the call.
    pub fn queued(&self) -> usize {
        self.0.own.queued.get()
    }

    /// How many tasks other threads have brought that the worker has not put into its queue yet.
    pub fn injected(&self) -> usize {
        let taken = self.0.own.counters.inbox_takes.get();
        let (spawned, woken) = self.0.inbox.arrivals();
        let waiting = spawned.wrapping_add(woken).wrapping_sub(taken);
        // The worker may have taken what its bringer has not counted yet.
        if waiting > usize::MAX / 2 { 0 } else { waiting }
    }

    /// Asks the worker for its live tasks; false if somebody has asked already. From any thread.
    #[must_use = "if it was true, the dump has to be ended"]
    pub fn start_dump(&self) -> bool {
        self.ask(None)
    }

    /// As [`start_dump`](Self::start_dump), and before the worker answers, it polls its idle tasks
    /// once more and tells the tracer where they wait. On a [`Platform`] that says so; on others
    /// there are no traces.
    #[must_use = "if it was true, the dump has to be ended"]
    pub fn start_traced_dump(&self, tracer: Box<dyn Tracer>) -> bool {
        self.ask(Some(tracer))
    }

    fn ask(&self, tracer: Option<Box<dyn Tracer>>) -> bool {
        let started = self.0.dumps.ask(tracer);
        if started {
            self.0.unpark.unpark();
        }
        started
    }

    /// Waits for the answer of the worker, which comes at its next tick.
    pub fn poll_dump(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.dumps.poll(context.waker())
    }

    /// Ends a dump that this caller has started: the answer, if it has come.
    pub fn end_dump(&self) -> Vec<WorkerDump> {
        self.0.dumps.end(core::iter::once(&self.0.own.running))
    }

    /// What is known without a dump: what the worker is polling. Asks nobody and waits for nothing.
    pub fn unasked(&self) -> Vec<WorkerDump> {
        dump::unasked(core::iter::once(&self.0.own.running))
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
        f.debug_struct("local::Handle").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

// SAFETY: `schedule` queues, or drops what only its spawner can have; a task of this scheduler is run
// by its worker only. The cells are counted by `Counted`.
unsafe impl<P: Platform> Schedule for Counted<Shared<P>> {
    type Platform = P;

    const TRACES: bool = P::TRACES;
    const YIELDS: bool = true;
    const CLONE_WAKER: Option<fn(&Waker) -> Waker> = Some(frame::Current::<P>::clone_waker);

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        match Core::current(this) {
            Some(core) => core.push(task),
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
            core.push(task);
        }
        true
    }

    #[inline]
    unsafe fn disown(this: NonNull<Self>, task: &Runnable) -> bool {
        // SAFETY: passed on from the caller.
        Core::current(this).is_some_and(|core| unsafe { core.disown(task) })
    }

    unsafe fn retire(this: NonNull<Self>, done: OwnedRef) {
        // A bound task is retired by its worker only, which has the core at hand; a Runnable that is
        // dropped elsewhere was never bound.
        match (done.owner(), Core::current(this)) {
            (_, Some(core)) => core.finish(done),
            (Some(_), None) => P::abort(),
            (None, None) => drop(done),
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
        unsafe { this.as_ref() }.value().observer.as_deref()
    }

    #[inline]
    fn charge() -> bool {
        budget::proceed::<P>()
    }
}

impl<P: Platform> Core<P> {
    /// The core of the scheduler, if this thread has entered its worker. The borrow must end before
    /// the thread can leave the scope.
    #[inline]
    pub(super) fn current<'a>(scheduler: NonNull<Counted<Shared<P>>>) -> Option<&'a Self> {
        let address = scheduler.as_ptr().cast_const().cast();
        // SAFETY: a frame with this address belongs to a worker of this scheduler, which keeps it
        // alive, and points to its core.
        unsafe { frame::local_of::<P>(address).cast::<Self>().as_ref() }
    }
}
