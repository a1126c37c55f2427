//! What only the worker touches, and how it takes and gives tasks.

use alloc::vec::Vec;
use core::{cell::Cell, mem, num::NonZeroU64};

use super::shared::Shared;
use crate::{
    owned::LocalOwnedTasks,
    platform::Platform,
    queue::Batch,
    recycler::Recycler,
    scheduler::{
        IDS,
        counted::{Credit, Shared as SharedRef},
        dump::{self, Seen},
        frame,
    },
    sync::{Ordering, UnsafeCell, fence},
    task::{self, Held, OwnedRef, Place, Runnable, Snapshot},
};

/// What only the worker touches.
pub(super) struct Core<P: Platform> {
    pub(super) shared: SharedRef<Shared<P>>,
    queue: UnsafeCell<Batch<Runnable>>,
    pub(super) owned: LocalOwnedTasks,
    pub(super) credit: Credit,
    pub(super) recycler: Recycler,
    next_id: Cell<(u64, u32)>,
    asleep: Cell<bool>,
    pub(super) stopped: Cell<bool>,
    pub(super) dump: Seen,
    /// How many tasks had been polled when the worker last went to sleep.
    polls_at_sleep: Cell<usize>,
    pub(super) interval: u32,
    pub(super) inbox_interval: u32,
}

// SAFETY: the parts of the core are cells (`!Sync`) of what may move between threads: Runnables,
// counts, numbers. Tasks whose futures may not move are the business of `Handle::spawn_local`.
unsafe impl<P: Platform> Send for Core<P> {}

impl<P: Platform> Core<P> {
    pub(super) fn new(
        shared: SharedRef<Shared<P>>,
        event_interval: u32,
        inbox_interval: u32,
    ) -> Self {
        Self {
            shared,
            queue: UnsafeCell::new(Batch::new()),
            owned: LocalOwnedTasks::new(0),
            credit: Credit::default(),
            recycler: Recycler::new(P::KEEPS),
            next_id: Cell::new((0, 0)),
            asleep: Cell::new(false),
            stopped: Cell::new(false),
            dump: Seen::default(),
            // Nobody has woken it yet, so its first sleep follows no empty wake.
            polls_at_sleep: Cell::new(usize::MAX),
            interval: event_interval.max(1),
            inbox_interval,
        }
    }

    /// Runs the closure on the queue. It runs no user code, so it is not entered twice.
    fn with_queue<R>(&self, f: impl FnOnce(&mut Batch<Runnable>) -> R) -> R {
        self.queue.with_mut(|queue| {
            // SAFETY: the core is `!Sync`, and the closures of this file do not come back here.
            let queue = unsafe { &mut *queue };
            let result = f(queue);
            self.shared.own.queued.set(queue.len());
            result
        })
    }

    /// Whether a task is ready to run.
    pub(super) fn has_work(&self) -> bool {
        !self.with_queue(|queue| queue.is_empty()) || !self.shared.inbox.is_empty()
    }

    /// Gives up what is queued, without dropping it: this may be the wrong thread for that.
    pub(super) fn leak_queue(&self) {
        mem::forget(self.with_queue(mem::take));
    }

    /// Takes a task into the owned list; false if it is closed.
    pub(super) fn bind(&self, task: &Runnable) -> bool {
        self.owned.bind(task).is_ok()
    }

    /// Takes a task that is about to complete in this thread's poll out of the list, if it is in this one.
    ///
    /// # Safety
    /// As for [`LocalOwnedTasks::leave`].
    #[inline]
    pub(super) unsafe fn disown(&self, task: &Runnable) -> bool {
        // SAFETY: passed on from the caller.
        unsafe { frame::disown::<P>(&self.owned, task) }
    }

    /// Counts a task that has left the list and ended.
    #[inline]
    pub(super) fn count_left(&self) {
        self.shared.own.counters.completions.add(1);
    }

    /// A task has ended here: takes it out of the list that it is in, if it is in one.
    #[inline]
    pub(super) fn finish(&self, done: OwnedRef) {
        self.shared.own.counters.completions.add(1);
        if done.owner().is_some() {
            self.owned.remove(done);
        }
    }

    /// A cell has ended on this thread.
    #[inline]
    pub(super) fn free(&self, place: Place) {
        drop(place.recycle(&self.recycler));
        self.credit.give_back(&self.shared);
    }

    #[inline]
    pub(super) fn push(&self, task: Runnable) {
        self.shared.own.counters.local_schedules.add(1);
        self.with_queue(|queue| queue.push_back(task));
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        self.with_queue(Batch::pop_front)
    }

    #[inline]
    pub(super) fn take_inbox(&self) {
        if !self.shared.inbox.is_empty() {
            self.drain_inbox();
        }
    }

    #[cold]
    fn drain_inbox(&self) {
        let mut batch = self.shared.inbox.drain().into_batch();
        self.shared.own.counters.inbox_takes.add(batch.len());
        self.with_queue(|queue| queue.append(&mut batch));
    }

    /// Lists the live tasks for a dump, those included that nobody has polled yet.
    pub(super) fn list(&self) -> Vec<(Snapshot, Option<Held>)> {
        self.take_inbox();
        for _ in 0..self.with_queue(|queue| queue.len()) {
            let Some(task) = self.pop() else { break };
            // Refused where the scheduler is closed: the task is about to be cancelled.
            if task.owner().is_none() {
                self.bind(&task);
            }
            self.with_queue(|queue| queue.push_back(task));
        }
        let running: Vec<_> = self.shared.own.running.get().into_iter().collect();
        dump::list(&self.owned, &running)
    }

    /// Registers as asleep; false if there is something to do after all.
    pub(super) fn sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::Relaxed);
        self.asleep.set(true);
        // Ordering: pairs with the fence in `Shared::unpark_sleeper`.
        fence(Ordering::SeqCst);
        let closing = self.shared.closing.load(Ordering::Relaxed) && !self.owned.is_closed();
        if closing || !self.shared.inbox.is_empty() {
            return false;
        }
        let counters = &self.shared.own.counters;
        counters.parks.add(1);
        let polls = counters.polls.get();
        if self.polls_at_sleep.replace(polls) == polls {
            counters.empty_wakes.add(1);
        }
        true
    }

    pub(super) fn wake_up(&self) {
        if self.asleep.replace(false) {
            self.shared.asleep.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn id(&self) -> task::Id {
        let (next, left) = self.next_id.get();
        let (next, left) =
            if left > 0 { (next, left) } else { (self.shared.platform.task_ids(IDS).get(), IDS) };
        self.next_id.set((next + 1, left - 1));
        task::Id(NonZeroU64::new(next).expect("the platform hands out ids from 1 up"))
    }
}
