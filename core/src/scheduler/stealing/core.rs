//! What only a worker touches, and how it takes and gives tasks.

use alloc::vec::Vec;
use core::{cell::Cell, num::NonZeroU64, ptr, ptr::NonNull};

use super::{
    appetite::{Appetite, Theft},
    holder::Holder,
    memory::Memory,
    shared::{Shared, Slot},
};
use crate::{
    owned::LocalOwnedTasks,
    platform::{Platform, Unpark},
    queue::{Batch, Overflow, ring},
    rand::Rng,
    scheduler::{
        IDS,
        counted::{Counted, Credit, Shared as SharedRef},
        dump::{self, Seen},
        frame,
        idle::{Awake, News, Sleep},
    },
    sync::{CachePadded, Ordering, shrunk},
    task::{self, Held, OwnedRef, Place, Runnable, Snapshot},
};

/// How often in a row the LIFO slot goes before other tasks: enough for request and answer between
/// two tasks, too little for them to keep the worker to themselves.
const LIFO_IN_A_ROW: u8 = shrunk(3, 1);

/// How many spawns go by between two looks at the return list.
const SPAWNS_PER_COLLECT: u32 = 64;

/// A worker's own state. It is reached as `&Core` from inside any user code that the worker runs
/// (a poll may spawn, wake, complete), so everything that changes is a cell, and no borrow of a cell
/// is held across user code.
pub(super) struct Core<P: Platform> {
    pub(super) shared: SharedRef<Shared<P>>,
    // Invariant: that of `index`, among those of `shared`. Each task asks for it several times.
    slot: NonNull<Slot<P>>,
    /// Where this core is owned, while it is entered.
    pub(super) holder: Cell<*const Holder<Core<P>>>,
    pub(super) index: usize,
    pub(super) owned: LocalOwnedTasks,
    pub(super) asleep: Cell<Option<Sleep>>,
    pub(super) appetite: Appetite,
    pub(super) searching: Cell<bool>,
    pub(super) stopped: Cell<bool>,
    pub(super) dump: Seen,
    pub(super) ticks: Cell<u32>,
    /// Which other worker's inbox is looked into next.
    pub(super) neighbour: Cell<usize>,
    /// How many tasks had been polled when the worker last went to sleep.
    polls_at_sleep: Cell<usize>,
    /// Calls for help wait for the end of the poll.
    pub(super) holds_back: Cell<bool>,
    /// They wait until the code has ended that wakes task after task.
    pub(super) gathers: Cell<bool>,
    call: Cell<Call>,
    lifo_in_a_row: Cell<u8>,
    rng: Rng,
    credit: Credit,
    pub(super) memory: Memory,
    next_id: Cell<(u64, u32)>,
    spawns: Cell<u32>,
    /// Workers are made one after the other, and each writes its core with every task.
    _apart: CachePadded<()>,
}

/// The last time that a worker has called a thief.
#[derive(Clone, Copy)]
struct Call {
    thief: usize,
    /// In which poll.
    polls: usize,
    /// What has to be queued for the next call in the same poll, if the thief sleeps again.
    enough: usize,
}

// SAFETY: the core is `!Sync` and moves with its worker; it holds counts, numbers, a pointer to what
// every thread may use, and pointers to tasks, whose futures are all `Send`.
unsafe impl<P: Platform> Send for Core<P> {}

impl<P: Platform> Core<P> {
    pub(super) fn new(shared: SharedRef<Shared<P>>, index: usize) -> Self {
        Self {
            slot: NonNull::from(&shared.slots[index]),
            index,
            holder: Cell::new(ptr::null()),
            owned: LocalOwnedTasks::new(u16::try_from(index).expect("checked by Shared::new")),
            asleep: Cell::default(),
            appetite: Appetite::default(),
            searching: Cell::new(false),
            stopped: Cell::new(false),
            dump: Seen::default(),
            ticks: Cell::new(0),
            neighbour: Cell::new(index),
            // Nobody has woken it yet, so its first sleep follows no empty wake.
            polls_at_sleep: Cell::new(usize::MAX),
            holds_back: Cell::new(false),
            gathers: Cell::new(false),
            call: Cell::new(Call { thief: index, polls: 0, enough: 1 }),
            lifo_in_a_row: Cell::new(0),
            rng: Rng::new(shared.platform.seed()),
            credit: Credit::default(),
            memory: Memory::new(P::KEEPS),
            next_id: Cell::new((0, 0)),
            spawns: Cell::new(0),
            _apart: CachePadded(()),
            shared,
        }
    }

    #[inline]
    pub(super) fn slot(&self) -> &Slot<P> {
        // SAFETY: the slots stay where they are as long as the scheduler lives, and `shared` keeps it
        // alive.
        unsafe { self.slot.as_ref() }
    }

    // ---- giving ----

    /// A count on the scheduler for a task that is about to be spawned here: no shared cache line is
    /// written.
    #[inline]
    pub(super) fn lend(&self) -> NonNull<Counted<Shared<P>>> {
        self.credit.lend(&self.shared)
    }

    /// Takes in a task that was spawned here. The caller drops the task that comes back: the
    /// scheduler is closed, and the drop may run code that takes this core away.
    #[inline]
    pub(super) fn take_in(&self, task: Runnable) -> Option<Runnable> {
        self.spawns.set(self.spawns.get().wrapping_add(1));
        if self.spawns.get().is_multiple_of(SPAWNS_PER_COLLECT) {
            self.owned.collect(&self.slot().owned);
        }
        self.slot().own.counters.spawns.add(1);
        if self.bind(&task) {
            self.schedule(task);
            return None;
        }
        Some(task)
    }

    /// Takes a task into this worker's owned list; false if it is closed.
    #[inline]
    pub(super) fn bind(&self, task: &Runnable) -> bool {
        self.owned.bind(task).is_ok()
    }

    /// Queues a task that this thread has spawned or woken: it runs next.
    ///
    /// The first such task wakes nobody: this worker will run it sooner than a thief could. One that
    /// pushes it aside shows that there is work for two.
    #[inline]
    pub(super) fn schedule(&self, task: Runnable) {
        let own = &self.slot().own;
        own.counters.local_schedules.add(1);
        if !self.shared.config.lifo_slot {
            self.push(task);
            return;
        }
        // SAFETY: this worker is the slot's owner.
        if let Some(aside) = unsafe { own.lifo.put::<P>(task) } {
            self.push(aside);
        }
    }

    /// Queues a task behind the others.
    pub(super) fn push(&self, task: Runnable) {
        self.enqueue(task);
        self.share();
    }

    /// Queues a task that was woken while it ran behind the others. If there are none, the worker is
    /// free to run it and about to: a thief that was woken for it could only carry it elsewhere.
    #[inline]
    pub(super) fn push_again(&self, task: Runnable) {
        let alone = self.is_empty() && self.slot().own.lifo.is_empty();
        self.enqueue(task);
        if !alone {
            self.share();
        }
    }

    fn enqueue(&self, task: Runnable) {
        let slot = self.slot();
        // What is in the overflow came before, so nothing may pass it by way of the ring.
        let refused = if slot.overflow.is_empty() {
            // SAFETY: this is the ring's owner.
            unsafe { slot.ring.push(task) }.err()
        } else {
            Some(task)
        };
        if let Some(task) = refused {
            slot.own.counters.overflows.add(1);
            slot.overflow.push(task);
        }
    }

    /// Whether nothing waits behind the LIFO slot, as far as this worker has seen its inbox.
    #[inline]
    fn is_empty(&self) -> bool {
        let slot = self.slot();
        slot.ring.is_empty() && slot.overflow.is_empty()
    }

    /// Whether a thief would leave this worker something to do. To be asked between two polls.
    pub(super) fn has_to_share(&self) -> bool {
        let queued = self.queued();
        queued > 1 || (queued == 1 && !self.slot().own.lifo.is_empty())
    }

    /// How many tasks are within the reach of thieves.
    fn queued(&self) -> usize {
        self.slot().ring.len() + self.slot().overflow.len()
    }

    /// Wakes a sleeper if there is one and nobody searches. No fence: this worker will come to its
    /// own tasks anyway, so a stale answer only costs parallelism.
    #[inline]
    pub(super) fn share(&self) {
        // A driver that this worker turns in its sleep has woken tasks: it is awake, do not choose it.
        self.wake_up();
        // However many are still to be woken, a ring full is worth a call.
        let waits = || self.gathers.get() && self.queued() < ring::CAPACITY;
        if self.shared.idle.worth_waking() && !waits() {
            self.call_thief();
        }
    }

    /// Wakes a sleeper, unless it would go to sleep again at once.
    ///
    /// A thief that was called in this very poll and sleeps again has done all that there was in less
    /// time than it takes to wake it. The next one is called for twice as much, or when the poll is
    /// over. Otherwise a poll that spawns many short tasks is interrupted for each, if the system
    /// wakes the thief on this worker's processor, and the two take turns instead of sharing.
    #[cold]
    fn call_thief(&self) {
        let polls = self.slot().own.counters.polls.get();
        let last = self.call.get();
        let in_vain = last.polls == polls && self.shared.idle.is_asleep(last.thief);
        let enough = if in_vain { last.enough } else { 1 };
        if self.queued() < enough {
            self.holds_back.set(true);
        } else if let Some(thief) = self.shared.call(self.index, News::Queued) {
            self.call.set(Call { thief, polls, enough: 2 * enough });
        }
    }

    /// The poll is over for which calls were held back.
    #[cold]
    pub(super) fn share_rest(&self) {
        self.holds_back.set(false);
        self.share_anew();
    }

    /// Wakes a sleeper if there is work for two, whatever the last one has done.
    fn share_anew(&self) {
        if self.has_to_share() {
            // This worker does not sleep, so whoever is called next is not called in vain.
            self.call.set(Call { thief: self.index, ..self.call.get() });
            self.share();
        }
    }

    /// The code has ended that woke task after task.
    #[inline]
    pub(super) fn share_gathered(&self) {
        self.gathers.set(false);
        // What a thief has done in the last poll, or after the last time, says nothing about these.
        self.share_anew();
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
        self.slot().own.counters.completions.add(1);
    }

    /// Brings a completed task to the list that it is in.
    #[inline]
    pub(super) fn finish(&self, done: OwnedRef) {
        self.slot().own.counters.completions.add(1);
        let Some(owner) = done.owner() else {
            // It was never bound.
            return;
        };
        if usize::from(owner) == self.index {
            self.owned.remove(done);
        } else {
            self.shared.give_back(owner, done);
        }
    }

    /// A cell has ended on this thread.
    #[inline]
    pub(super) fn free(&self, place: Place) {
        self.memory.free(place, &self.shared.stock);
        self.credit.give_back(&self.shared);
    }

    // ---- taking ----

    /// The next task of this worker's own: LIFO slot, ring, overflow, inbox.
    #[inline]
    pub(super) fn next(&self) -> Option<Runnable> {
        // SAFETY: this worker is the slot's owner.
        if let Some(task) = unsafe { self.slot().own.lifo.take::<P>() } {
            let in_a_row = self.lifo_in_a_row.get();
            // It may keep the worker to itself as long as it is in nobody's way.
            if in_a_row < LIFO_IN_A_ROW || self.is_empty() {
                self.lifo_in_a_row.set(in_a_row.saturating_add(1));
                return Some(task);
            }
            self.push(task);
        }
        self.lifo_in_a_row.set(0);
        // SAFETY: this is the ring's owner.
        if let Some(task) = unsafe { self.slot().ring.pop() } {
            return Some(task);
        }
        self.next_beyond_ring()
    }

    /// What is in the LIFO slot and in the ring. For the shutdown.
    pub(super) fn next_without_inbox(&self) -> Option<Runnable> {
        let slot = self.slot();
        // SAFETY: this is the owner of the LIFO slot and of the ring.
        unsafe { slot.own.lifo.take::<P>().or_else(|| slot.ring.pop()) }
    }

    /// The oldest task in the overflow, once that has taken in the inbox.
    ///
    /// None also while a long backlog is being turned around: each visit does a bounded part of it,
    /// and a worker does not sleep while there is more.
    fn next_beyond_ring(&self) -> Option<Runnable> {
        let overflow = &self.slot().overflow;
        if overflow.is_empty() {
            self.accept(self.index);
        }
        // As long as something is in the overflow, all that is queued comes here. So it is left as soon as
        // its rest fits the ring.
        if overflow.len() <= ring::CAPACITY / 2 || overflow.had_traffic() {
            return self.take_over(overflow.take(self.room() + 1));
        }
        overflow.pop()
    }

    /// Takes the oldest tasks from another worker's overflow, half a ring's worth or maybe more, but no
    /// more than it has appetite for; returns the first.
    fn rob(&self, overflow: &Overflow<Runnable, P::OwnersLock>) -> Option<Runnable> {
        let (most, room) = (self.appetite.most(), self.room());
        self.take_over(if most < room {
            overflow.take(most)
        } else {
            overflow.take_share(room + 1)
        })
    }

    /// How many tasks are moved to the ring at once.
    fn room(&self) -> usize {
        // SAFETY: this is the ring's owner.
        unsafe { self.slot().ring.vacancies() }.min(ring::CAPACITY / 2)
    }

    /// Queues all of these but the first, in the ring as long as there is room.
    fn take_over(&self, mut batch: Batch<Runnable>) -> Option<Runnable> {
        let first = batch.pop_front();
        if !batch.is_empty() {
            let Slot { ring, overflow, .. } = self.slot();
            // SAFETY: this is the ring's owner.
            unsafe { ring.extend(ring::CAPACITY / 2, || batch.pop_front()) };
            if !batch.is_empty() {
                overflow.push_batch(batch);
            }
            self.share();
        }
        first
    }

    /// Moves what is in a worker's inbox to the own overflow, where it is in order.
    pub(super) fn accept(&self, from: usize) {
        let inbox = &self.shared.slots[from].inbox;
        if !inbox.is_empty() {
            self.slot().overflow.accept(|| inbox.drain());
        }
    }

    /// Looks into the inbox of one other worker, each time another: its owner may be stuck in a poll
    /// while nobody has the time to search.
    pub(super) fn visit_neighbour(&self) {
        if self.dump.is_barred() {
            return;
        }
        let next = self.neighbour.get() + 1;
        let next = if next == self.shared.slots.len() { 0 } else { next };
        self.neighbour.set(next);
        if next != self.index {
            self.accept(next);
        }
    }

    /// Takes from other workers, starting at a random one.
    pub(super) fn steal(&self) -> Option<Runnable> {
        let workers = self.shared.slots.len();
        let start = self.rng.below(workers as u32) as usize;
        let before = self.taken_over();
        let most = self.appetite.most();
        let since = P::nanos();
        for offset in 0..workers {
            let victim = (start + offset) % workers;
            if victim == self.index {
                continue;
            }
            // SAFETY: this is the owner of the ring that is filled.
            let stolen =
                unsafe { self.shared.slots[victim].ring.steal_into(&self.slot().ring, most) };
            let overflow = &self.shared.slots[victim].overflow;
            let stolen = stolen.or_else(|| self.rob(overflow)).or_else(|| {
                self.accept(victim);
                self.next_beyond_ring()
            });
            if stolen.is_some() {
                // Less than nothing where others have taken from the overflow, or the rest of a backlog
                // there, which counts as one, was the task that is returned.
                let kept = self.taken_over().wrapping_sub(before).cast_signed().max(0);
                let tasks = 1 + kept.cast_unsigned();
                self.slot().own.counters.steals.add(tasks);
                self.slot().own.counters.steal_operations.add(1);
                if let Some(since) = since {
                    let progress = self.progress(victim);
                    self.appetite.stole(Theft { since, tasks, victim, progress });
                }
                return stolen;
            }
        }
        // What this worker found in its own reach meanwhile.
        self.next()
    }

    /// A number that grows by one with each task that comes into this worker's ring or, while nothing
    /// leaves it, into its overflow. It wraps.
    fn taken_over(&self) -> usize {
        let Slot { ring, overflow, .. } = self.slot();
        ring.pushes().wrapping_add(overflow.len())
    }

    /// How much a worker has done so far, that is how often it has spawned, woken or polled.
    fn progress(&self, worker: usize) -> usize {
        let counters = &self.shared.slots[worker].own.counters;
        counters.polls.get().wrapping_add(counters.local_schedules.get())
    }

    /// There is nothing left of what was stolen last: was it worth it?
    #[inline]
    pub(super) fn judge_theft(&self) {
        self.appetite.judge(P::nanos, |victim| self.progress(victim), P::yield_now);
    }

    // ---- being asked ----

    /// Lists this worker's live tasks for a dump, those included that wait unbound in its queues.
    pub(super) fn list(&self) -> Vec<(Snapshot, Option<Held>)> {
        let slot = self.slot();
        let mut all = Batch::new();
        // SAFETY: this is the ring's owner.
        while let Some(task) = unsafe { slot.ring.pop() } {
            all.push_back(task);
        }
        all.append(&mut slot.overflow.drain_all());
        slot.overflow.accept(|| slot.inbox.drain());
        all.append(&mut slot.overflow.drain_all());
        let mut queued = Batch::new();
        for task in all {
            // Refused where the scheduler is closed: the task is about to be cancelled.
            if task.owner().is_none() {
                self.bind(&task);
            }
            queued.push_back(task);
        }
        if !queued.is_empty() {
            slot.overflow.push_batch(queued);
            self.share();
        }
        self.owned.collect(&slot.owned);
        let running: Vec<_> =
            self.shared.slots.iter().filter_map(|slot| slot.own.running.get()).collect();
        dump::list(&self.owned, &running)
    }

    // ---- sleeping and searching ----

    /// The other half of going to sleep.
    #[inline]
    pub(super) fn wake_up(&self) {
        let Some(sleep) = self.asleep.take() else { return };
        self.appetite.rested();
        if self.shared.idle.end_sleep(self.index, sleep) == Awake::Notified {
            self.searching.set(true);
        }
    }

    /// This worker has found a task.
    #[inline]
    pub(super) fn end_search(&self) {
        if self.searching.replace(false) {
            let shared = &self.shared;
            if let Some(woken) = shared.idle.end_search(self.index, || shared.news()) {
                shared.slots[woken.0].unpark.unpark();
            }
        }
    }

    /// Registers as asleep; false if there is something to do after all.
    pub(super) fn sleep(&self) -> bool {
        let shared = &self.shared;
        let sleep = if self.appetite.rests() { Sleep::Rest } else { Sleep::Idle };
        shared.idle.start_sleep(self.index, self.searching.replace(false), sleep);
        self.asleep.set(Some(sleep));
        let closing = shared.closing.load(Ordering::Relaxed);
        let wait = if closing {
            // In step 3 of the shutdown only inboxes matter: the queues of others are their business,
            // and whoever closes or returns a task unparks this worker whether it sleeps or not.
            !shared.has_news()
        } else {
            match sleep {
                Sleep::Idle => !shared.has_work(),
                // What is in the queue of another worker is that one's business, which is awake. There may
                // be something in the own, too: a backlog that takes more than one look.
                Sleep::Rest => !shared.has_news() && !self.slot().has_queued(),
            }
        };
        if wait {
            let counters = &self.slot().own.counters;
            counters.parks.add(1);
            let polls = counters.polls.get();
            if self.polls_at_sleep.replace(polls) == polls {
                counters.empty_wakes.add(1);
            }
            return true;
        }
        self.wake_up();
        if !self.searching.replace(true) {
            shared.idle.force_search();
        }
        false
    }

    /// An id for a task that is spawned here.
    pub(super) fn id(&self) -> task::Id {
        let (next, left) = self.next_id.get();
        let (next, left) =
            if left > 0 { (next, left) } else { (self.shared.platform.task_ids(IDS).get(), IDS) };
        self.next_id.set((next + 1, left - 1));
        task::Id(NonZeroU64::new(next).expect("the platform hands out ids from 1 up"))
    }
}

impl<P: Platform> Drop for Core<P> {
    fn drop(&mut self) {
        self.credit.settle(&self.shared);
    }
}
