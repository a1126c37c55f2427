//! What every thread may use of a stealing scheduler.

use super::lifo::Lifo;
use crate::{
    owned::OwnedTasks,
    platform::{Platform, Unpark},
    queue::{Overflow, Ring},
    scheduler::{
        dump::{Desk, Running},
        idle::{Idle, News},
        metrics::{Arrival, CountedInbox, Counters},
    },
    stock::Stock,
    sync::{AtomicBool, AtomicUsize, CachePadded, Ordering},
    task::{Observer, OwnedRef, Runnable},
};
use alloc::boxed::Box;

/// How a scheduler behaves. `Default` is right for most.
#[derive(Debug)]
pub struct Config {
    /// How many tasks run before the driver and the inbox get a turn. At least 1.
    pub event_interval: u32,
    /// How many tasks run at most between two looks at the inbox, within a tick, which always starts
    /// with one. At least 1.
    pub inbox_interval: u32,
    /// Whether the task that was scheduled last runs next, on the worker that scheduled it.
    pub lifo_slot: bool,
    /// Who is told of the life of every task.
    pub observer: Option<Box<dyn Observer>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            event_interval: super::super::TICK,
            inbox_interval: u32::MAX,
            lifo_slot: true,
            observer: None,
        }
    }
}

/// What every thread may use.
pub(super) struct Shared<P: Platform> {
    pub(super) platform: P,
    pub(super) config: Config,
    pub(super) slots: Box<[Slot<P>]>,
    pub(super) idle: Idle,
    pub(super) closing: AtomicBool,
    pub(super) dumps: Desk<P::Lock>,
    /// Workers that have not finished step 4 of the shutdown.
    pub(super) unfinished: AtomicUsize,
    /// Bound tasks that completed on threads that had handed their workers off.
    pub(super) completed_outside: AtomicUsize,
    /// Tasks that were taken from stuck workers.
    pub(super) rescues: AtomicUsize,
    /// Memory of finished tasks for those that are spawned from outside.
    pub(super) stock: CachePadded<Stock<P::Lock>>,
}

/// One worker, as the others see it. What its owner writes all the time, what strangers write, and
/// what nobody writes lie on cache lines of their own.
pub(super) struct Slot<P: Platform> {
    pub(super) ring: Ring<Runnable>,
    pub(super) own: CachePadded<OwnSide>,
    pub(super) inbox: CachePadded<CountedInbox>,
    pub(super) owned: CachePadded<OwnedTasks>,
    pub(super) overflow: CachePadded<Overflow<Runnable, P::OwnersLock>>,
    pub(super) unpark: P::Unpark,
}

/// What a worker writes with every task.
pub(super) struct OwnSide {
    pub(super) lifo: Lifo,
    pub(super) counters: Counters,
    pub(super) running: Running,
}

impl OwnSide {
    fn new<P: Platform>() -> Self {
        Self { lifo: Lifo::new::<P>(), counters: Counters::default(), running: Running::default() }
    }
}

impl<P: Platform> Slot<P> {
    /// Whether something is in the queues that only workers fill.
    pub(super) fn has_queued(&self) -> bool {
        !self.ring.is_empty() || !self.overflow.is_empty()
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
                own: CachePadded(OwnSide::new::<P>()),
                inbox: CachePadded::default(),
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
            dumps: Desk::new(slots.len()),
            unfinished: AtomicUsize::new(slots.len()),
            completed_outside: AtomicUsize::new(0),
            rescues: AtomicUsize::new(0),
            stock: CachePadded(Stock::new(P::KEEPS)),
            slots,
        }
    }

    /// Queues a task from outside: in the home inbox of the calling thread. From any thread, core or
    /// interrupt.
    pub(super) fn inject(&self, task: Runnable, arrival: Arrival) {
        // Fibonacci hashing: the high bits of the product are well mixed, whatever the input.
        let hash = self.platform.affinity().wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize);
        let home = (hash >> (usize::BITS / 2)) % self.slots.len();
        match self.slots[home].inbox.bring(task, arrival) {
            Ok(()) => self.notify(home, News::Outside),
            // Only a spawner gets here (scheduler/README.md), and the future is its own.
            Err(task) => drop(task),
        }
    }

    /// Wakes a sleeper for work that has just been published, `first` if it sleeps.
    pub(super) fn notify(&self, first: usize, news: News) {
        self.call(first, news);
    }

    /// As [`notify`](Self::notify), and tells whom.
    pub(super) fn call(&self, first: usize, news: News) -> Option<usize> {
        let woken = self.idle.notify(first, news)?.0;
        self.slots[woken].unpark.unpark();
        Some(woken)
    }

    /// Brings a completed task home. From any thread but its owner's.
    pub(super) fn give_back(&self, owner: u16, done: OwnedRef) {
        let slot = &self.slots[usize::from(owner)];
        if slot.owned.give_back(done) {
            slot.unpark.unpark();
        }
    }

    /// Unparks a sleeper, if there is one.
    pub(super) fn recruit(&self) {
        if let Some(sleeper) = self.idle.any_sleeper() {
            self.slots[sleeper].unpark.unpark();
        }
    }

    /// Takes care of a task that completed on a thread that had handed its worker off.
    #[cold]
    pub(super) fn finish_outside(&self, done: OwnedRef) {
        if let Some(owner) = done.owner() {
            self.count_outside();
            self.give_back(owner, done);
        }
    }

    /// Counts a task that was bound and has ended, where no worker does.
    pub(super) fn count_outside(&self) {
        // Ordering: Relaxed; the number stands for itself.
        self.completed_outside.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether some queue has something in it, for a worker that is about to sleep.
    pub(super) fn has_work(&self) -> bool {
        self.slots.iter().any(|slot| slot.has_queued() || !slot.inbox.is_empty())
    }

    /// Whether some inbox has something in it, for a worker that is about to rest.
    pub(super) fn has_news(&self) -> bool {
        self.slots.iter().any(|slot| !slot.inbox.is_empty())
    }

    /// What there is to be found, for a worker that was looking for it.
    pub(super) fn news(&self) -> Option<News> {
        if self.has_news() {
            return Some(News::Outside);
        }
        self.slots.iter().any(Slot::has_queued).then_some(News::Queued)
    }

    /// Step 1 of the shutdown.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        for slot in &self.slots {
            slot.owned.close();
        }
        // Each, awake or asleep: an unpark is sticky, and the tick after the park that it ends sees the
        // flag.
        self.unpark_all();
    }

    pub(super) fn unpark_all(&self) {
        for slot in &self.slots {
            slot.unpark.unpark();
        }
    }
}
