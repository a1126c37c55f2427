//! The executor: a queue, the list of live tasks, and who runs them.

use core::{
    cell::Cell,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use super::attention::{Attention, BURIED, CLOSED, CLOSING, ROOT, STOPPED};
use super::board::{Board, Idle};
use super::counters::{Counters, Counts, NoCounters};
use super::graves::Graves;
use super::live::LiveTasks;
use super::platform::Bare;
use super::queue::Queue;
use super::root;
use super::thread_mode::Entered;
use crate::{
    link::{Chain, Link},
    queue::Inbox,
    sync::{AtomicBool, Fused, Ordering, const_unless_checked, fused},
    task::{
        self, JoinHandle, Member, Memory, Outcome, OwnedRef, Place, Runnable, Schedule, Spawned,
    },
};

/// Runs tasks on one core. It belongs into a static; `C` is how it counts.
///
/// Whoever is in [`run`](Self::run), [`block_on`](Self::block_on) or
/// [`on_interrupt`](Self::on_interrupt) runs the tasks; there is one at a time.
pub struct Executor<B, C = NoCounters> {
    board: B,
    /// What wakes and spawns bring, from anywhere.
    inbox: Inbox<Runnable>,
    pub(super) graves: Graves,
    pub(super) attention: Attention,
    shutdown: Order<B, C>,
    counters: C,
    local: Local,
}

/// What only the code that runs the tasks touches, once it has entered.
struct Local {
    /// Somebody runs the tasks. From anywhere.
    entered: AtomicBool,
    queue: Queue,
    live: LiveTasks,
}

/// What [`Executor::close`] has ordered. So a program that never closes has no code for it.
type Order<B, C> = critical_section::Mutex<Cell<Option<fn(&Executor<B, C>)>>>;

// SAFETY: everything but `local` is `Sync`. That is touched by whoever set `entered`, which is, and
// through a `Spawner`, which is `!Send` and exists only in the context of `run`: that one keeps
// `entered` until no task is left, and from then on spawners only find out that it is closed.
unsafe impl<B: Board, C: Counters> Sync for Executor<B, C> {}

/// The right to spawn futures that are not `Send`: it does not leave the context of
/// [`Executor::run`].
pub struct Spawner<B: 'static, C: 'static = NoCounters> {
    executor: &'static Executor<B, C>,
    _stays: PhantomData<*const ()>,
}

impl<B: Board, C: Counters> Executor<B, C> {
    const_unless_checked! {
        /// Makes an executor, for a static.
        pub fn new(board: B) -> Self {
            Self {
                board,
                inbox: Inbox::new(),
                graves: Graves::new(),
                attention: Attention::new(),
                shutdown: critical_section::Mutex::new(Cell::new(None)),
                counters: C::NEW,
                local: Local {
                    entered: AtomicBool::new(false),
                    queue: Queue::new(),
                    live: LiveTasks::new(),
                },
            }
        }
    }

    /// Runs tasks until the executor is [closed](Self::close) and all of them have been cancelled.
    /// Without a close it never returns.
    ///
    /// # Panics
    /// If this executor is running already, or another one in the same [thread
    /// mode](Board::thread_mode).
    #[track_caller]
    pub fn run(&'static self, start: impl FnOnce(Spawner<B, C>)) {
        let _entered = self.enter_thread_mode();
        start(Spawner { executor: self, _stays: PhantomData });
        if !self.has_stopped() {
            while self.step() {}
        }
        // Not if something above unwinds: then nobody else may run what is left here.
        self.leave();
    }

    /// Runs tasks until the future is ready, which need be neither `Send` nor `'static`. Tasks that
    /// are left stay, for the next call.
    ///
    /// # Panics
    /// If this executor is running already, or another one in the same [thread
    /// mode](Board::thread_mode): inside of a task, await the future instead.
    #[track_caller]
    pub fn block_on<F: Future>(&'static self, root: F) -> F::Output {
        struct Leave<'a, B: Board, C: Counters>(&'a Executor<B, C>);

        impl<B: Board, C: Counters> Drop for Leave<'_, B, C> {
            fn drop(&mut self) {
                self.0.leave();
            }
        }

        let _entered = self.enter_thread_mode();
        // Also when something unwinds: all tasks are `Send`.
        let _leave = Leave(self);
        let mut root = pin!(root);
        let waker = root::waker(self);
        let mut context = Context::from_waker(&waker);
        self.attention.raise(ROOT);
        loop {
            if self.attention.take(ROOT)
                && let Poll::Ready(output) = root.as_mut().poll(&mut context)
            {
                return output;
            }
            // With no task left there is only the future, its waker, and what the board drives.
            if self.has_stopped() || !self.step() {
                self.board.turn();
                self.idle();
            }
        }
    }

    /// Runs each task that is runnable once, and calls [`Board::pend`] if there is more to do: for
    /// an executor at the priority of an interrupt. Its board sets that interrupt pending, and its
    /// handler does nothing but this.
    ///
    /// # Panics
    /// If this executor is running already.
    ///
    /// # Safety
    /// One handler is the only caller, and nobody calls [`run`](Self::run) or
    /// [`block_on`](Self::block_on).
    pub unsafe fn on_interrupt(&'static self) {
        self.enter();
        self.board.turn();
        if self.has_stopped() {
            return self.leave();
        }
        if let Some(newest) = self.take() {
            self.append(newest);
        }
        for task in self.local.queue.round() {
            if let Some(again) = self.bound(task).and_then(|task| self.poll(task)) {
                self.local.queue.push(again);
            }
        }
        let more = !self.has_stopped()
            && (self.inbox.may_hold()
                || !self.local.queue.is_empty()
                || self.attention.has(ROOT | CLOSING | BURIED));
        self.leave();
        if more {
            self.board.pend();
        }
    }

    /// Begins the shutdown: every task is cancelled by whoever runs them. From anywhere.
    pub fn close(&self) {
        critical_section::with(|masked| self.shutdown.borrow(masked).set(Some(Self::shut_down)));
        self.attention.raise(CLOSING);
        self.board.pend();
    }

    /// What this executor has counted.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// The board that it was made with.
    pub fn board(&self) -> &B {
        &self.board
    }

    /// # Safety
    /// As for [`task::new_in`]; the future and its output are `Send` and `'static`.
    pub(super) unsafe fn spawn_in<F: Future, M: Memory<Self>>(
        &'static self,
        place: NonNull<u8>,
        future: F,
        spawned: Spawned<'_>,
    ) -> JoinHandle<F::Output> {
        // SAFETY: passed on from the caller; executors are static and count no cells.
        let (task, join) = unsafe {
            task::new_in::<F, Self, M>(place, future, NonNull::from(self), None, spawned)
        };
        self.send(task);
        join
    }

    /// As [`spawn_in`](Self::spawn_in), for a task that nobody joins.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn spawn_detached_in<F: Future, M: Memory<Self>>(
        &'static self,
        place: NonNull<u8>,
        future: F,
        spawned: Spawned<'_>,
    ) {
        let this = NonNull::from(self);
        // SAFETY: as above.
        self.send(unsafe { task::new_detached_in::<F, Self, M>(place, future, this, spawned) });
    }

    /// Queues a task that was made in whatever context. The future of one that is refused, because
    /// the executor has stopped, is still the caller's, and dropped here.
    #[inline(never)]
    fn send(&self, task: Runnable) {
        if fused(|fused| self.inbox.push_fused(task, fused)).is_ok_and(|was_empty| was_empty) {
            self.board.pend();
        }
    }

    /// Queues a task that was made in the context of [`run`](Self::run); drops its future there if
    /// the executor is being shut down.
    #[inline(never)]
    fn start(&self, task: Runnable) {
        if !self.attention.has(CLOSED)
            && let Some(task) = self.bound(task)
        {
            self.local.queue.push(task);
        }
    }

    pub(super) fn wake_root(&self) {
        self.attention.raise(ROOT);
        self.board.pend();
    }

    #[track_caller]
    fn enter(&self) {
        // Ordering: Acquire, for the Release of `leave`: who runs the tasks comes after who did.
        assert!(
            !self.local.entered.swap(true, Ordering::Acquire),
            "this executor is running already: await the future inside of a task, or spawn it, \
             instead of blocking on it"
        );
    }

    /// Enters the executor, and the thread mode that it runs in.
    #[track_caller]
    fn enter_thread_mode(&self) -> Entered<'_> {
        self.enter();
        let Some(entered) = self.board.thread_mode().enter() else {
            self.leave();
            panic!(
                "another executor runs below this call, and its tasks would stand still: await the \
                 future inside of a task, or spawn it on this executor and await its handle"
            );
        };
        entered
    }

    fn leave(&self) {
        self.graves.free(&self.attention);
        // Ordering: Release, for the Acquire of `enter`.
        self.local.entered.store(false, Ordering::Release);
    }

    /// Runs a task, or sleeps; then does what else there is. False if the executor has stopped, and
    /// not to be called again then.
    #[inline]
    fn step(&self) -> bool {
        self.board.turn();
        let Some(task) = self.next() else { return self.idle() };
        if let Some(mut task) = self.bound(task) {
            while let Some(again) = self.poll(task) {
                // It goes behind the others, if there are others.
                if !self.local.queue.is_empty() || !self.is_undisturbed() {
                    self.local.queue.push(again);
                    break;
                }
                self.board.turn();
                task = again;
            }
        }
        !self.has_stopped()
    }

    /// Makes sure that a task on the heap is in the list; cancels it if it comes too late.
    #[inline]
    fn bound(&self, task: Runnable) -> Option<Runnable> {
        if self.local.live.wants(&task) { self.bind(task) } else { Some(task) }
    }

    /// The first turn of a task on the heap.
    #[inline(never)]
    fn bind(&self, task: Runnable) -> Option<Runnable> {
        if self.attention.has(CLOSED) {
            drop(task.cancel());
            return None;
        }
        self.local.live.bind(&task);
        Some(task)
    }

    /// Polls a task; returns it if it was woken meanwhile.
    #[inline]
    fn poll(&self, task: Runnable) -> Option<Runnable> {
        let outcome = if C::TIMED {
            let start = self.board.cycles();
            let outcome = task.run();
            self.counters.polled(self.board.cycles().wrapping_sub(start));
            outcome
        } else {
            task.run()
        };
        match outcome {
            Outcome::Idle | Outcome::Left => None,
            Outcome::Again(task) => Some(task),
            Outcome::Done(done) => {
                // SAFETY: it is a task of this executor, which has run it.
                unsafe { self.local.live.retire(done) };
                None
            }
        }
    }

    /// A task was cancelled: takes it out of the list, if it is there.
    fn finish(&self, done: OwnedRef) {
        // SAFETY: it is a task of this executor, and the reference is dropped here.
        unsafe { self.local.live.unlink(&done) };
    }

    /// The task that has waited longest. Only while the inbox is open.
    #[inline]
    fn next(&self) -> Option<Runnable> {
        if let Some(newest) = self.take() {
            // SAFETY: the chain from the inbox is ours; so is its task, if it is alone.
            unsafe {
                if self.local.queue.is_empty() && newest.as_ref().next().is_null() {
                    self.counters.queued(1);
                    return Some(Runnable::from_link(newest));
                }
            }
            self.append(newest);
        }
        self.local.queue.pop()
    }

    /// Takes what is in the inbox, the newest first.
    #[inline]
    fn take(&self) -> Option<NonNull<Link>> {
        // SAFETY: who runs the tasks alone takes from it, and alone closes it, which is the end of
        // that.
        self.inbox.may_hold().then(|| unsafe { self.inbox.take_open() })
    }

    /// Queues what was taken from the inbox.
    fn append(&self, newest: NonNull<Link>) {
        // SAFETY: the chain from the inbox is the executor's.
        self.counters.queued(unsafe { self.local.queue.append(newest) });
    }

    /// Whether the executor has stopped, after doing what is to be done beside running tasks.
    #[inline]
    fn has_stopped(&self) -> bool {
        self.attention.any() && self.attend()
    }

    /// Does what is to be done beside running tasks. True if the executor has stopped.
    #[cold]
    fn attend(&self) -> bool {
        self.graves.free(&self.attention);
        if let Some(shut_down) = critical_section::with(|masked| self.shutdown.borrow(masked).get())
        {
            shut_down(self);
        }
        self.attention.has(STOPPED)
    }

    /// Cancels what there is, and stops if that was all. Otherwise a task's Runnable is in the
    /// hands of a waker that has not pushed it yet: when it comes, its task ends instead of being
    /// polled, and then this is called again.
    fn shut_down(&self) {
        if self.attention.take(CLOSING) {
            self.attention.raise(CLOSED);
        }
        if !self.attention.has(CLOSED) || self.attention.has(STOPPED) {
            return;
        }
        // A task that is idle ends here and now; another one is flagged for who would poll it.
        let cancel = |task: Member| {
            if let Some(task) = task.claim() {
                self.finish(task.cancel());
            }
        };
        // SAFETY: nothing is bound from here on; and tasks are unlinked here, by who runs them, and
        // not by what drops a future.
        unsafe { self.local.live.for_each(cancel) };
        self.placed().for_each(cancel);
        while let Some(task) = self.next() {
            self.finish(task.cancel());
        }
        if self.local.live.is_empty() && self.placed().next().is_none() {
            self.attention.raise(STOPPED);
            for task in self.inbox.close().into_batch() {
                self.finish(task.cancel());
            }
        }
    }

    /// The tasks in places that stay, for who runs them.
    fn placed(&self) -> impl Iterator<Item = Member> {
        task::tasks_of(NonNull::from(self).cast())
    }

    /// Sleeps, unless there is something to do, and does it if it is not to run tasks. False if the
    /// executor has stopped by that.
    fn idle(&self) -> bool {
        let is_wanted = critical_section::with(|masked| {
            if self.is_undisturbed() || self.is_over() {
                self.counters.idles();
                self.board.wait(Idle::new(masked, self.board.deadline()));
                return false;
            }
            self.attention.any()
        });
        !(is_wanted && self.attend())
    }

    /// Whether nobody has brought anything since the last look, by loads alone: on some chips each
    /// read-modify-write sets the event that WFE waits for.
    #[inline]
    fn is_undisturbed(&self) -> bool {
        self.inbox.peek().addr() | self.attention.peek() == 0
    }

    /// Whether the executor has been closed, and waits for the last tasks, or for the future of
    /// `block_on`.
    #[cold]
    fn is_over(&self) -> bool {
        let waits = self.attention.has(CLOSED) && !self.inbox.may_hold();
        (waits || self.attention.has(STOPPED)) && !self.attention.has(ROOT | BURIED | CLOSING)
    }
}

impl<B: Board, C: Counters> fmt::Debug for Executor<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

// SAFETY: `schedule` queues, or cancels what only its spawner can have; the tasks are run by who
// has entered the executor. Executors are static, and need no counts.
unsafe impl<B: Board, C: Counters> Schedule for Executor<B, C> {
    type Platform = Bare;
    const HAS_FRAMES: bool = false;
    const HAS_OBSERVER: bool = false;

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        // SAFETY: passed on from the caller.
        fused(|fused| unsafe { Self::schedule_fused(this, task, fused) });
    }

    #[inline]
    unsafe fn schedule_fused(this: NonNull<Self>, task: Runnable, fused: Fused<'_>) {
        // SAFETY: executors are static. What is woken was idle, so it has been polled, and the
        // shutdown knows of it until it has ended; the inbox is closed when there is no such task
        // any more.
        unsafe {
            let this = this.as_ref();
            if this.inbox.push_open_fused(task, fused) {
                this.board.pend();
            }
        }
    }

    unsafe fn retire(_: NonNull<Self>, done: OwnedRef) {
        // Tasks that are in the list are retired by who runs them, who has it at hand.
        drop(done);
    }

    /// A wake may give up its reference at once wherever it is: the executor stays.
    #[inline(always)]
    fn is_local(_: NonNull<Self>) -> bool {
        true
    }

    /// Nothing is counted, and the place is dropped.
    unsafe fn release(_: NonNull<Self>, _: Place) {}

    #[inline(always)]
    fn charge() -> bool {
        true
    }
}

impl<B: Board, C: Counters> Spawner<B, C> {
    /// The executor whose tasks this spawns.
    pub fn executor(self) -> &'static Executor<B, C> {
        self.executor
    }

    /// # Safety
    /// As for [`task::new_in`], but for `Send`.
    pub(super) unsafe fn spawn_in<F: Future, M: Memory<Executor<B, C>>>(
        self,
        place: NonNull<u8>,
        future: F,
        spawned: Spawned<'_>,
    ) -> JoinHandle<F::Output> {
        let executor = self.executor;
        // SAFETY: passed on from the caller. A future that is not `Send` stays in this context,
        // that of `run`, where it is run and cancelled, or dropped by `start`.
        let (task, join) = unsafe {
            let scheduler = NonNull::from(executor);
            task::new_in::<F, Executor<B, C>, M>(place, future, scheduler, None, spawned)
        };
        executor.start(task);
        join
    }

    /// As [`spawn_in`](Self::spawn_in), for a task that nobody joins.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn spawn_detached_in<F: Future, M: Memory<Executor<B, C>>>(
        self,
        place: NonNull<u8>,
        future: F,
        spawned: Spawned<'_>,
    ) {
        let scheduler = NonNull::from(self.executor);
        // SAFETY: as above.
        self.executor.start(unsafe {
            task::new_detached_in::<F, Executor<B, C>, M>(place, future, scheduler, spawned)
        });
    }
}

impl<B, C> Copy for Spawner<B, C> {}

impl<B, C> Clone for Spawner<B, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B, C> fmt::Debug for Spawner<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}
