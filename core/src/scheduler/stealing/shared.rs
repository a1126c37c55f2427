//! What every thread may use of a stealing scheduler.

use alloc::boxed::Box;
use core::{fmt, future::Future, panic::Location, ptr::NonNull};

use super::core::Core;
use crate::{
    owned::OwnedTasks,
    platform::{Platform, Unpark},
    queue::{Chain, Inbox, Link, Overflow, Ring},
    scheduler::{
        WorkerMetrics, budget,
        counted::{Counted, Shared as SharedRef},
        frame,
        idle::Idle,
        metrics::Counters,
    },
    sync::{AtomicBool, AtomicPtr, AtomicUsize, CachePadded, Ordering, fence},
    task::{self, JoinHandle, OwnedRef, Runnable, Schedule},
};

/// How a scheduler behaves. `Default` is right for most.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many tasks run before the driver and the inbox get a turn. At least 1.
    pub event_interval: u32,
    /// Whether the task that was scheduled last runs next, on the worker that scheduled it.
    pub lifo_slot: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { event_interval: super::super::TICK, lifo_slot: true }
    }
}

/// What every thread may use.
pub(super) struct Shared<P: Platform> {
    pub(super) platform: P,
    pub(super) config: Config,
    pub(super) slots: Box<[Slot<P>]>,
    pub(super) idle: Idle,
    pub(super) closing: AtomicBool,
    /// Workers that have not finished step 4 of the shutdown.
    pub(super) unfinished: AtomicUsize,
}

/// One worker, as the others see it. What its owner writes all the time, what strangers write, and
/// what nobody writes lie on cache lines of their own.
pub(super) struct Slot<P: Platform> {
    pub(super) ring: Ring<Runnable>,
    pub(super) own: CachePadded<OwnSide>,
    pub(super) inbox: CachePadded<Inbox<Runnable>>,
    pub(super) owned: CachePadded<OwnedTasks>,
    pub(super) overflow: CachePadded<Overflow<Runnable, P::Lock>>,
    pub(super) unpark: P::Unpark,
}

/// What a worker writes with every task.
#[derive(Default)]
pub(super) struct OwnSide {
    pub(super) lifo: Lifo,
    pub(super) counters: Counters,
}

/// The slot for the task that runs next. Its owner puts in with a store if it is empty, and takes
/// out with a swap, so that somebody else could, too.
#[derive(Default)]
pub(super) struct Lifo(AtomicPtr<Link>);

impl Lifo {
    /// Puts a task in and returns the one that was there. Owner only.
    #[inline]
    pub(super) fn put(&self, task: Runnable) -> Option<Runnable> {
        let link = task.into_link().as_ptr();
        if self.0.load(Ordering::Relaxed).is_null() {
            // Ordering: Release gives the task to whoever swaps it out. A plain store is enough:
            // nobody but the owner fills the slot.
            self.0.store(link, Ordering::Release);
            return None;
        }
        // SAFETY: what was in the slot came from `into_link`, and the swap takes it once.
        NonNull::new(self.0.swap(link, Ordering::AcqRel))
            .map(|link| unsafe { Runnable::from_link(link) })
    }

    /// Takes the task out.
    #[inline]
    pub(super) fn take(&self) -> Option<Runnable> {
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // SAFETY: as in `put`. Ordering: Acquire, pairs with the store or swap that put it in.
        NonNull::new(self.0.swap(core::ptr::null_mut(), Ordering::Acquire))
            .map(|link| unsafe { Runnable::from_link(link) })
    }
}

impl Drop for Lifo {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<P: Platform> Shared<P> {
    pub(super) fn new(
        platform: P,
        unpark: impl IntoIterator<Item = P::Unpark>,
        config: Config,
    ) -> Self {
        let slots: Box<[_]> = unpark
            .into_iter()
            .map(|unpark| Slot {
                ring: Ring::new(),
                own: CachePadded::default(),
                inbox: CachePadded(Inbox::new()),
                owned: CachePadded::default(),
                overflow: CachePadded(Overflow::new()),
                unpark,
            })
            .collect();
        assert!(!slots.is_empty(), "a stealing scheduler needs at least one worker");
        assert!(slots.len() < usize::from(u16::MAX), "at most 65,534 workers");
        Self {
            platform,
            config,
            idle: Idle::new(slots.len()),
            closing: AtomicBool::new(false),
            unfinished: AtomicUsize::new(slots.len()),
            slots,
        }
    }

    /// Queues a task from outside: in the home inbox of the calling thread. From any thread, core or
    /// interrupt.
    pub(super) fn inject(&self, task: Runnable) {
        // Fibonacci hashing: the high bits of the product are well mixed, whatever the input.
        let hash = self.platform.affinity().wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize);
        let home = (hash >> (usize::BITS / 2)) % self.slots.len();
        match self.slots[home].inbox.push(task) {
            Ok(()) => self.notify(home),
            // Only a spawner gets here (scheduler/README.md), and the future is its own.
            Err(task) => drop(task),
        }
    }

    /// Wakes a sleeper for work that has just been published, `first` if it sleeps.
    pub(super) fn notify(&self, first: usize) {
        if let Some(woken) = self.idle.notify(first) {
            self.slots[woken.0].unpark.unpark();
        }
    }

    /// Brings a completed task home. From any thread but its owner's.
    pub(super) fn give_back(&self, owner: u16, done: OwnedRef) {
        let slot = &self.slots[usize::from(owner)];
        if slot.owned.give_back(done) {
            slot.unpark.unpark();
        }
    }

    /// Whether some queue has something in it, for a worker that is about to sleep.
    pub(super) fn has_work(&self) -> bool {
        self.slots.iter().any(|slot| {
            !slot.ring.is_empty() || !slot.overflow.is_empty() || !slot.inbox.is_empty()
        })
    }

    /// Step 1 of the shutdown.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        for slot in &self.slots {
            slot.owned.close();
        }
        // Ordering: pairs with the fence of `Idle::start_sleep`: a worker that is not unparked here
        // in its sleep sees the flag before it sleeps.
        fence(Ordering::SeqCst);
        for slot in &self.slots {
            slot.unpark.unpark();
        }
    }
}

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
        let spawned_at = Location::caller();
        if let Some(core) = Core::current(self.0.pointer()) {
            return core.spawn(future, spawned_at);
        }
        let id = task::id(self.0.platform.task_ids(1));
        // SAFETY: the count was taken; the future and its output are `Send` and `'static`.
        let (task, join) = unsafe { task::new(future, self.0.lend(), id, spawned_at) };
        self.0.inject(task);
        join
    }

    /// Whether this thread is a worker of this scheduler.
    pub fn is_entered(&self) -> bool {
        Core::<P>::current(self.0.pointer()).is_some()
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
        Some(self.0.slots.get(worker)?.own.counters.read())
    }

    /// How many tasks are in a worker's queues, at some moment of the call; `None` if there is no
    /// such worker. A full inbox counts as one.
    pub fn queued(&self, worker: usize) -> Option<usize> {
        let slot = self.0.slots.get(worker)?;
        Some(slot.ring.len() + slot.overflow.len() + usize::from(!slot.inbox.is_empty()))
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

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        match Core::current(this) {
            Some(core) => core.schedule(task),
            // SAFETY: the caller keeps the scheduler alive until this returns.
            None => unsafe { this.as_ref() }.value().inject(task),
        }
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

    unsafe fn release(this: NonNull<Self>) {
        match Core::current(this) {
            Some(core) => core.free(),
            // SAFETY: the count was the cell's.
            None => unsafe { Counted::release(this, 1) },
        }
    }

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
