//! The scheduler of one thread or one core.
//!
//! One FIFO of tasks that only the worker touches, and one inbox for wakes and spawns from
//! elsewhere. Futures need not be `Send`: whoever makes a `Runnable` elsewhere only puts it in the
//! inbox, and every task is run, cancelled and dropped by the worker.
//!
//! [`Worker`] is the right to do that. A backend may keep it on one thread for ever (`!Send` futures
//! need that), or hand it from one thread to the next if all futures are `Send`.

use alloc::{boxed::Box, vec::Vec};
use core::{
    cell::Cell,
    fmt,
    future::Future,
    num::NonZeroU64,
    ptr,
    ptr::NonNull,
    task::{Context, Poll},
};

use super::counted::{Counted, Credit, Shared as SharedRef};
use super::dump::{Desk, Running, Seen};
use super::frame;
use super::metrics::{Arrival, CountedInbox, Counter, Counters};
use super::{IDS, Round, TICK, Tick, WorkerDump, WorkerMetrics};
use crate::{
    frame::Frame,
    owned::LocalOwnedTasks,
    platform::{Platform, Unpark},
    queue::Batch,
    sync::{AtomicBool, Ordering, UnsafeCell, fence},
    task::{self, JoinHandle, Observer, Outcome, OwnedRef, Runnable, Schedule, Spawned},
};

/// What every thread may use of a local scheduler.
struct Shared<P: Platform> {
    platform: P,
    unpark: P::Unpark,
    inbox: CountedInbox,
    /// The worker is parked, or about to.
    asleep: AtomicBool,
    closing: AtomicBool,
    dumps: Desk<P::Lock>,
    running: Running,
    counters: Counters,
    /// The length of the queue, for others.
    queued: Counter,
    observer: Option<Box<dyn Observer>>,
}

/// Spawns on a local scheduler, from any thread.
pub struct Handle<P: Platform>(SharedRef<Shared<P>>);

/// The right to run the tasks of a local scheduler.
///
/// Dropping it before [`Tick::Stopped`] leaks the tasks that are alive: their futures may be in use.
pub struct Worker<P: Platform>(Box<Core<P>>);

/// What only the worker touches.
struct Core<P: Platform> {
    shared: SharedRef<Shared<P>>,
    queue: UnsafeCell<Batch<Runnable>>,
    owned: LocalOwnedTasks,
    credit: Credit,
    next_id: Cell<(u64, u32)>,
    asleep: Cell<bool>,
    stopped: Cell<bool>,
    dump: Seen,
    /// There has been work since the worker last went to sleep.
    found: Cell<bool>,
    interval: u32,
    inbox_interval: u32,
}

// SAFETY: the parts of the core are cells (`!Sync`) of what may move between threads: Runnables,
// counts, numbers. Tasks whose futures may not move are the business of `Handle::spawn_local`.
unsafe impl<P: Platform> Send for Core<P> {}

/// How a scheduler behaves. `Default` is right for most.
#[derive(Debug)]
pub struct Config {
    /// How many tasks run before the driver and the inbox get a turn. At least 1.
    pub event_interval: u32,
    /// How many tasks run at most between two looks at the inbox, within a tick, which always starts
    /// with one. At least 1.
    pub inbox_interval: u32,
    /// Who is told of the life of every task.
    pub observer: Option<Box<dyn Observer>>,
}

impl Default for Config {
    fn default() -> Self {
        Self { event_interval: TICK, inbox_interval: u32::MAX, observer: None }
    }
}

/// Makes a scheduler: the handle for everybody, the worker for one.
pub fn new<P: Platform>(platform: P, unpark: P::Unpark, config: Config) -> (Handle<P>, Worker<P>) {
    let shared = SharedRef::new(Shared {
        platform,
        unpark,
        inbox: CountedInbox::default(),
        asleep: AtomicBool::new(false),
        closing: AtomicBool::new(false),
        dumps: Desk::new(1),
        running: Running::default(),
        counters: Counters::default(),
        queued: Counter::default(),
        observer: config.observer,
    });
    let core = Core {
        shared: shared.clone(),
        queue: UnsafeCell::new(Batch::new()),
        owned: LocalOwnedTasks::new(0),
        credit: Credit::default(),
        next_id: Cell::new((0, 0)),
        asleep: Cell::new(false),
        stopped: Cell::new(false),
        dump: Seen::default(),
        // Nobody has woken it yet, so its first sleep follows no empty wake.
        found: Cell::new(true),
        interval: config.event_interval.max(1),
        inbox_interval: config.inbox_interval,
    };
    (Handle(shared), Worker(Box::new(core)))
}

impl<P: Platform> Shared<P> {
    /// Queues a task from outside. From any thread, core or interrupt.
    fn inject(&self, task: Runnable, arrival: Arrival) {
        match self.inbox.bring(task, arrival) {
            Ok(()) => self.unpark_sleeper(),
            // Only a spawner gets here (scheduler/README.md), and the future is its own.
            Err(task) => drop(task),
        }
    }

    fn unpark_sleeper(&self) {
        // Ordering: pairs with the fence in `Core::sleep`: either this load sees that the worker
        // sleeps, or the worker's second look sees what was published before.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.unpark.unpark();
        }
    }
}

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
    /// Inside [`Worker::enter`] that is plain arithmetic; outside, the task goes through the inbox.
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
    unsafe fn spawn_unchecked<F: Future>(
        &self,
        future: F,
        spawned: Spawned<'_>,
    ) -> JoinHandle<F::Output> {
        if let Some(core) = self.local() {
            let scheduler = core.credit.lend(&core.shared);
            // SAFETY: the count was taken; the rest is the caller's promise.
            let (task, join) =
                unsafe { task::new(future, scheduler, spawned.id_or(|| core.id()), spawned) };
            core.shared.counters.spawns.add(1);
            if core.bind(&task) {
                core.push(task);
            } else {
                drop(task);
            }
            return join;
        }
        let id = spawned.id_or(|| task::id(self.0.platform.task_ids(1)));
        // SAFETY: as above.
        let (task, join) = unsafe { task::new(future, self.0.lend(), id, spawned) };
        self.0.inject(task, Arrival::Spawned);
        join
    }

    /// The core, if this thread is inside [`Worker::enter`].
    fn local(&self) -> Option<&Core<P>> {
        // SAFETY: a frame of this scheduler points to the core that its thread has entered, which
        // stays in place as long as the frame.
        unsafe { frame::local_of::<P>(self.0.address()).cast::<Core<P>>().as_ref() }
    }

    /// Whether this thread is inside [`Worker::enter`] of this scheduler.
    pub fn is_entered(&self) -> bool {
        self.local().is_some()
    }

    /// Begins the shutdown: the worker's ticks cancel every task and end with [`Tick::Stopped`].
    /// From any thread.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.unpark_sleeper();
    }

    /// What the worker has done so far.
    pub fn metrics(&self) -> WorkerMetrics {
        self.0.counters.read(&self.0.inbox)
    }

    /// How many tasks are in the worker's queue, at some moment of the call.
    pub fn queued(&self) -> usize {
        self.0.queued.get()
    }

    /// How many tasks other threads have brought that the worker has not put into its queue yet.
    pub fn injected(&self) -> usize {
        let taken = self.0.counters.inbox_takes.get();
        let (spawned, woken) = self.0.inbox.arrivals();
        let waiting = spawned.wrapping_add(woken).wrapping_sub(taken);
        // The worker may have taken what its bringer has not counted yet.
        if waiting > usize::MAX / 2 { 0 } else { waiting }
    }

    /// Asks the worker for its live tasks; false if somebody has asked already. From any thread.
    #[must_use = "if it was true, the dump has to be ended"]
    pub fn start_dump(&self) -> bool {
        let started = self.0.dumps.ask();
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
        self.0.dumps.end(core::iter::once(&self.0.running))
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

impl<P: Platform> Worker<P> {
    /// Runs the closure with this thread as the scheduler's: what it wakes and spawns stays local.
    ///
    /// May be nested: the state below is made of cells, which nobody borrows while user code runs.
    pub fn enter<R>(&self, scope: impl FnOnce(&Entered<'_, P>) -> R) -> R {
        let core: &Core<P> = &self.0;
        let address = core.shared.address();
        // Once it has stopped, its thread is a stranger.
        let local = if core.stopped.get() { ptr::null() } else { (&raw const *core).cast() };
        frame::enter::<P, _>(address, local, |frame| scope(&Entered { core, frame }))
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
        // Leaked with the tasks, if there are any: cancelling them here may be the wrong thread.
        core::mem::forget(self.0.with_queue(core::mem::take));
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
    /// Runs tasks until there is none, or the driver is due.
    pub fn tick(&self) -> Tick {
        self.tick_until(|| false)
    }

    /// As [`tick`](Self::tick), and returns early, with [`Tick::Ran`], after a task that made `due`
    /// true: for a backend that has something of its own to run beside the tasks.
    pub fn tick_until(&self, due: impl Fn() -> bool) -> Tick {
        let core = self.core;
        core.wake_up();
        if core.shared.dumps.is_asking(&core.dump) {
            core.answer_dump();
        }
        if core.shared.closing.load(Ordering::Acquire) {
            return self.tick_closing();
        }
        core.take_inbox();
        let mut until_inbox = Round::new(core.inbox_interval);
        for _ in 0..core.interval {
            let Some(task) = core.pop() else {
                if core.sleep() {
                    return Tick::Idle;
                }
                core.wake_up();
                core.take_inbox();
                continue;
            };
            self.run(task);
            if due() {
                break;
            }
            if until_inbox.count() {
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
        self.core.shared.counters.polls.get()
    }

    /// Whether a task is ready to run. A load and a look; nothing is taken.
    pub fn has_work(&self) -> bool {
        !self.core.with_queue(|queue| queue.is_empty()) || !self.core.shared.inbox.is_empty()
    }

    fn run(&self, task: Runnable) {
        if task.owner().is_none() && !self.core.bind(&task) {
            return self.core.finish(task.cancel());
        }
        self.core.found.set(true);
        self.core.shared.counters.polls.add(1);
        self.core.shared.running.start(task.id());
        self.frame.start_task(task.id().0);
        let outcome = task.run();
        self.frame.end_task();
        self.core.shared.running.end();
        if self.frame.take_refusal() {
            self.core.shared.counters.forced_yields.add(1);
        }
        match outcome {
            Outcome::Idle => {}
            Outcome::Again(task) => self.core.push(task),
            Outcome::Done(done) => self.core.finish(done),
        }
    }

    fn cancel(&self, task: Runnable) {
        self.core.shared.counters.polls.add(1);
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
        core.shared.dumps.leave(0);
        for task in core.shared.inbox.close().into_batch() {
            core.shared.counters.inbox_takes.add(1);
            core.finish(task.cancel());
        }
        Tick::Stopped
    }
}

impl<P: Platform> fmt::Debug for Entered<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("local::Entered").field("owned", &self.core.owned).finish_non_exhaustive()
    }
}

impl<P: Platform> Core<P> {
    /// Runs the closure on the queue. It runs no user code, so it is not entered twice.
    fn with_queue<R>(&self, f: impl FnOnce(&mut Batch<Runnable>) -> R) -> R {
        self.queue.with_mut(|queue| {
            // SAFETY: the core is `!Sync`, and the closures of this file do not come back here.
            let queue = unsafe { &mut *queue };
            let result = f(queue);
            self.shared.queued.set(queue.len());
            result
        })
    }

    /// Takes a task into the owned list; false if it is closed.
    fn bind(&self, task: &Runnable) -> bool {
        self.owned.bind(task).is_ok()
    }

    /// A task has ended here: takes it out of the list that it is in, if it is in one.
    fn finish(&self, done: OwnedRef) {
        self.shared.counters.completions.add(1);
        if done.owner().is_some() {
            self.owned.remove(done);
        }
    }

    fn push(&self, task: Runnable) {
        self.shared.counters.local_schedules.add(1);
        self.with_queue(|queue| queue.push_back(task));
    }

    fn pop(&self) -> Option<Runnable> {
        self.with_queue(Batch::pop_front)
    }

    fn take_inbox(&self) {
        if !self.shared.inbox.is_empty() {
            let mut batch = self.shared.inbox.drain().into_batch();
            self.shared.counters.inbox_takes.add(batch.len());
            self.with_queue(|queue| queue.append(&mut batch));
        }
    }

    /// Lists the live tasks for a dump, those included that nobody has polled yet.
    #[cold]
    fn answer_dump(&self) {
        self.take_inbox();
        for _ in 0..self.with_queue(|queue| queue.len()) {
            let Some(task) = self.pop() else { break };
            // Refused where the scheduler is closed: the task is about to be cancelled.
            if task.owner().is_none() {
                self.bind(&task);
            }
            self.with_queue(|queue| queue.push_back(task));
        }
        let running: Vec<_> = self.shared.running.get().into_iter().collect();
        self.shared.dumps.answer(0, &self.dump, self.owned.list(&running));
    }

    /// Registers as asleep; false if there is something to do after all.
    fn sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::Relaxed);
        self.asleep.set(true);
        // Ordering: pairs with the fence in `Shared::unpark_sleeper`.
        fence(Ordering::SeqCst);
        let closing = self.shared.closing.load(Ordering::Relaxed) && !self.owned.is_closed();
        if closing || !self.shared.inbox.is_empty() {
            return false;
        }
        self.shared.counters.parks.add(1);
        if !self.found.replace(false) {
            self.shared.counters.empty_wakes.add(1);
        }
        true
    }

    fn wake_up(&self) {
        if self.asleep.replace(false) {
            self.shared.asleep.store(false, Ordering::Relaxed);
        }
    }

    fn id(&self) -> task::Id {
        let (next, left) = self.next_id.get();
        let (next, left) =
            if left > 0 { (next, left) } else { (self.shared.platform.task_ids(IDS).get(), IDS) };
        self.next_id.set((next + 1, left - 1));
        task::id(NonZeroU64::new(next).expect("the platform hands out ids from 1 up"))
    }
}

// SAFETY: `schedule` queues, or drops what only its spawner can have; a task of this scheduler is run
// by its worker only. The cells are counted by `Counted`.
unsafe impl<P: Platform> Schedule for Counted<Shared<P>> {
    type Platform = P;

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        match local(this) {
            Some(core) => {
                core.push(task);
            }
            // SAFETY: the caller keeps the scheduler alive until this returns.
            None => unsafe { this.as_ref() }.value().inject(task, Arrival::Woken),
        }
    }

    unsafe fn retire(this: NonNull<Self>, done: OwnedRef) {
        // A bound task is retired by its worker only, which has the core at hand; a Runnable that is
        // dropped elsewhere was never bound.
        match (done.owner(), local(this)) {
            (_, Some(core)) => core.finish(done),
            (Some(_), None) => P::abort(),
            (None, None) => drop(done),
        }
    }

    fn is_local(this: NonNull<Self>) -> bool {
        local(this).is_some()
    }

    unsafe fn release(this: NonNull<Self>) {
        match local(this) {
            Some(core) => core.credit.give_back(&core.shared),
            // SAFETY: the count was the cell's.
            None => unsafe { Counted::release(this, 1) },
        }
    }

    unsafe fn observer<'a>(this: NonNull<Self>) -> Option<&'a dyn Observer> {
        // SAFETY: passed on from the caller.
        unsafe { this.as_ref() }.value().observer.as_deref()
    }

    fn charge() -> bool {
        super::budget::proceed::<P>()
    }
}

/// The core of the scheduler at this address, if this thread has it. The borrow must end before the
/// thread can leave the scope.
#[inline]
fn local<'a, P: Platform>(this: NonNull<Counted<Shared<P>>>) -> Option<&'a Core<P>> {
    let address = this.as_ptr().cast_const().cast();
    // SAFETY: a frame with this address belongs to a worker of this scheduler, which keeps it alive,
    // and points to its core.
    unsafe { frame::local_of::<P>(address).cast::<Core<P>>().as_ref() }
}
