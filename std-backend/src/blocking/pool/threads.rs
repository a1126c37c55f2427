//! What the threads and those who hand them jobs share. The argument is in `pool.rs`.

#![allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]

use std::{
    any::Any, cell::Cell, collections::VecDeque, io, mem, ptr, sync::atomic, time::Duration,
};

use super::{
    config::{Config, Hook, Job, Mandatory},
    deadline::Deadline,
    idle::{Claim, Idle, Letter},
};
use crate::park::Patience;
use crate::primitives::{
    Arc, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, contain, fence, run_thread, spin_loop,
    thread, thread_local,
};

/// What is written with every job comes first: it goes to and fro between those who have jobs and those
/// who run them, so it is on as few cache lines as it fits on (`tests.rs`).
#[repr(C, align(128))]
pub(super) struct Shared<J> {
    /// Threads that have been called or started and have not come yet.
    coming: AtomicUsize,
    /// [`SHUTDOWN`] and as many [`QUEUED`] as there are jobs in the queue: what is in `state`, for
    /// those who have not the lock. Written under it.
    pending: AtomicUsize,
    /// Jobs that have been accepted and have not ended. A figure that takes part in no protocol, hence
    /// a plain atomic also under a model checker.
    alive: atomic::AtomicUsize,
    pub(super) state: Mutex<State<J>>,
    /// How many threads take jobs. A figure as well.
    threads: atomic::AtomicUsize,
    /// Where the shutdown waits for threads to end.
    ended: Condvar,
    pub(super) idle: Idle<J>,
    pub(super) config: Config,
}

/// So many times to look at the lock while it is taken. A model checker looks at every order anyway.
const LOOKS: u32 = if cfg!(jenny_loom) { 0 } else { 64 };

const SHUTDOWN: usize = 1;
const QUEUED: usize = 2;

/// The queue comes first: see [`Shared`].
#[repr(C)]
pub(super) struct State<J> {
    pub(super) queue: VecDeque<(J, Mandatory)>,
    /// Jobs for threads that have been started for them. Any of these takes any of those.
    pub(super) urgent: VecDeque<J>,
    /// Threads that will look at the queue again. Not those that have an urgent job, for nobody can
    /// say how long it takes, nor those that are in `on_stop`.
    pub(super) counted: usize,
    /// Those of them that were started or woken for the queue and have not looked at it yet.
    called: usize,
    /// Urgent jobs that have not ended.
    pub(super) seated: usize,
    pub(super) shutdown: bool,
    /// For the next thread, since names are not made under the lock.
    spare_name: Option<String>,
    /// The threads that have not ended, each at its number.
    handles: Vec<Option<thread::JoinHandle<()>>>,
    /// How many these are. Who runs destructors of thread-local variables has not ended.
    living: usize,
    /// Threads that have ended and that nobody has joined. To join them does not take long, however
    /// long a destructor may take.
    unjoined: Vec<thread::JoinHandle<()>>,
    /// Whether one of those that have ended joins the others. One at a time: if each joined the one
    /// before it, they would wait for each other in a queue, which under load grows without a bound.
    reaping: bool,
    /// Threads of the pool that wait for the others to end.
    leaving: usize,
}

/// What a thread is started for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// The queue.
    Look,
    /// One of the urgent jobs.
    Urgent,
}

/// How the current thread belongs to a pool, which is known by its address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Elsewhere,
    Inside(usize),
    /// It has taken itself off the list.
    Ended(usize),
}

thread_local! {
    // Without a destructor of its own, so that it can be read in those of others.
    static HOME: Cell<Home> = Cell::new(Home::Elsewhere);
}

#[cfg(test)]
impl<J> State<J> {
    pub(super) fn living(&self) -> usize {
        self.living
    }

    pub(super) fn unjoined(&self) -> usize {
        self.unjoined.len()
    }
}

impl<J: Job> Shared<J> {
    pub(super) fn new(config: Config) -> Self {
        let state = State {
            queue: VecDeque::new(),
            urgent: VecDeque::new(),
            counted: 0,
            called: 0,
            seated: 0,
            shutdown: false,
            spare_name: None,
            handles: Vec::new(),
            living: 0,
            unjoined: Vec::new(),
            reaping: false,
            leaving: 0,
        };
        Self {
            coming: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            alive: atomic::AtomicUsize::new(0),
            state: Mutex::new(state),
            threads: atomic::AtomicUsize::new(0),
            ended: Condvar::new(),
            idle: Idle::new(config.max_threads, config.max_coming),
            config,
        }
    }

    /// Takes the lock, which is held for moments; so whoever comes too late looks again for a while.
    /// The mutex looks three times and then lets other threads run. Those are other threads of this
    /// pool that a burst has called: they would look for jobs in the place of whoever has some.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<J>> {
        for _ in 0..LOOKS {
            if let Some(state) = self.state.try_lock() {
                return state;
            }
            spin_loop();
        }
        self.state.lock()
    }

    /// From the start of a cache line to the end of what is written with every job.
    #[cfg(all(test, not(jenny_loom)))]
    pub(super) fn hot_bytes(&self) -> usize {
        let state = self.lock();
        let end = ptr::from_ref(&state.queue).addr() + size_of_val(&state.queue);
        end - self.address() / 128 * 128
    }

    // ---- those who have jobs ----

    /// Takes a thread that is awake, for a job that goes past the lock. The shutdown dismisses all idle
    /// threads, but one that is just finding out about it can still be claimed for a moment, and whoever
    /// has shut the pool down before must not find it.
    pub(super) fn claim_awake(&self) -> Option<Claim<'_, J>> {
        // Ordering: Relaxed; under the lock it is looked at again.
        if self.is_shut_down() { None } else { self.idle.claim_looking() }
    }

    /// Takes an idle thread that is to [look](Letter::Look).
    fn call(&self) -> Option<Claim<'_, J>> {
        let claim = self.idle.claim()?;
        // Before the letter is sent, hence before the thread counts itself off.
        self.coming.fetch_add(1, Ordering::Relaxed);
        Some(claim)
    }

    /// Takes the lock with a name at hand for a thread that might have to be started.
    ///
    /// # Panics
    /// If the name has a zero byte; and with the panic of whoever makes it.
    pub(super) fn lock_with_name(&self) -> MutexGuard<'_, State<J>> {
        let mut state = self.lock();
        if state.spare_name.is_none() {
            drop(state);
            let name = (self.config.thread_name)();
            assert!(!name.contains('\0'), "the name of a thread has no zero byte: {name:?}");
            state = self.lock();
            state.spare_name.get_or_insert(name);
        }
        state
    }

    /// Tells those without the lock what has changed.
    pub(super) fn publish(&self, state: &State<J>) {
        let pending = QUEUED * state.queue.len() + if state.shutdown { SHUTDOWN } else { 0 };
        // Ordering: Relaxed; those who have to see it in time have a fence between.
        self.pending.store(pending, Ordering::Relaxed);
        let threads = state.counted + state.seated;
        // The load spares all but a few a write to another cache line.
        if self.threads.load(Ordering::Relaxed) != threads {
            self.threads.store(threads, Ordering::Relaxed);
        }
    }

    /// Sees to it that as many threads come as the queue and [`Config::max_coming`] ask for. The
    /// claimed one is to be sent to [look](Letter::Look) when the lock is released.
    pub(super) fn enlist<'a>(this: &'a Arc<Self>, state: &mut State<J>) -> Option<Claim<'a, J>> {
        if state.queue.is_empty() {
            return None;
        }
        // Ordering: (Q2), the queue is published before the loads below.
        fence(Ordering::SeqCst);
        let coming = this.coming.load(Ordering::Relaxed);
        if coming >= state.queue.len().min(this.config.max_coming) {
            return None;
        }
        let claim = this.call();
        if claim.is_some() {
            state.called += 1;
        } else if state.counted < this.config.max_threads {
            // If there is no thread to be had, the job waits for one of those that there are.
            let _ = Self::start_regular(this, state);
        }
        claim
    }

    /// How many queued jobs need not wait for another to end: there are threads for them, or may be.
    /// A thread between two jobs, or out of patience, counts as busy.
    pub(super) fn free(&self, state: &State<J>) -> usize {
        self.config.max_threads - state.counted + self.idle.count() + state.called
    }

    /// Starts a thread that takes jobs from the queue.
    pub(super) fn start_regular(this: &Arc<Self>, state: &mut State<J>) -> io::Result<()> {
        Self::start(this, state, Purpose::Look)?;
        state.counted += 1;
        state.called += 1;
        this.publish(state);
        Ok(())
    }

    /// Starts a thread. The lock is held meanwhile: a thread counted in advance, and then not
    /// started, would be one that others have already relied upon.
    pub(super) fn start(
        this: &Arc<Self>,
        state: &mut State<J>,
        purpose: Purpose,
    ) -> io::Result<()> {
        let Config { stack_size, may_start, .. } = &this.config;
        may_start.as_ref().map_or(Ok(()), |may_start| may_start())?;
        let Some(name) = state.spare_name.take() else {
            return Err(io::Error::other("the thread has no name"));
        };
        let mut builder = thread::Builder::new().name(name);
        if let Some(size) = *stack_size {
            builder = builder.stack_size(size);
        }
        let free = state.handles.iter().position(Option::is_none);
        let number = free.unwrap_or(state.handles.len());
        let (body, held) = (Arc::clone(this), (this.config.hold)());
        let handle = builder.spawn(move || {
            let end = Arc::clone(&body);
            run_thread(move || Self::thread(&body, number, purpose, held), move || end.end(number));
        })?;
        if free.is_none() {
            state.handles.push(None);
        }
        state.handles[number] = Some(handle);
        state.living += 1;
        // It counts itself off under the lock, which is held here.
        this.coming.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    // ---- the threads ----

    /// A thread's life, but for the destructors of its thread-local variables.
    fn thread(this: &Arc<Self>, number: usize, purpose: Purpose, held: Box<dyn Any + Send>) {
        HOME.with(|home| home.set(Home::Inside(this.address())));
        // Before any hook: others wait for this to be counted off.
        let first = Self::start_work(this, purpose);
        let Config { on_start, on_stop, wrap, .. } = &this.config;
        let hook = |hook: &Option<Hook>| hook.iter().for_each(|hook| contain(|| hook()));
        let mut first = Some((first, held));
        wrap(&mut || {
            let first = first.take().map(|(first, _held)| first);
            hook(on_start);
            if let Some(first) = first {
                Self::work(this, number, first);
            }
            hook(on_stop);
        });
    }

    /// Takes this thread off the list, at its very end, and joins those that have ended before it.
    fn end(&self, number: usize) {
        HOME.with(|home| home.set(Home::Ended(self.address())));
        let mut state = self.lock();
        let handle = state.handles[number].take();
        state.living -= 1;
        let shutdown = state.shutdown;
        let reaps = !state.reaping && !state.unjoined.is_empty();
        state.reaping |= reaps;
        let others = if reaps { mem::take(&mut state.unjoined) } else { Vec::new() };
        state.unjoined.extend(handle);
        drop(state);
        if shutdown {
            self.ended.notify_all();
        }
        if reaps {
            others.into_iter().for_each(join);
            self.lock().reaping = false;
        }
    }

    /// A started thread is there.
    fn start_work(this: &Arc<Self>, purpose: Purpose) -> Letter<J> {
        let mut state = this.lock();
        let letter = match purpose {
            Purpose::Look => Letter::Look,
            Purpose::Urgent => Letter::Urgent(state.urgent.pop_front().expect("one per start")),
        };
        drop(state);
        Self::arrive(this, letter)
    }

    /// This thread was called or started, and has come. Other jobs may have waited for that: it calls
    /// the next.
    fn arrive(this: &Arc<Self>, letter: Letter<J>) -> Letter<J> {
        this.coming.fetch_sub(1, Ordering::Relaxed);
        // Ordering: (Q3), the count goes down before the queue is looked at.
        fence(Ordering::SeqCst);
        let was_called = matches!(letter, Letter::Look);
        if !this.has_queue() {
            if was_called {
                this.lock().called -= 1;
            }
            return letter;
        }
        let mut locked = None;
        // Without a name no thread is started, but one may be claimed.
        contain(|| locked = Some(this.lock_with_name()));
        let mut state = locked.unwrap_or_else(|| this.lock());
        let letter = if was_called {
            state.called -= 1;
            this.pop(&mut state).map_or(Letter::Look, Letter::Job)
        } else {
            letter
        };
        let claim = Self::enlist(this, &mut state);
        drop(state);
        if let Some(claim) = claim {
            claim.send(Letter::Look);
        }
        letter
    }

    /// Takes jobs until there have been none for too long, or the pool is shut down.
    fn work(this: &Arc<Self>, number: usize, first: Letter<J>) {
        let mut next = Some(first);
        let mut patience = Patience::default();
        while let Some(letter) = next {
            match letter {
                Letter::Job(job) => {
                    contain(|| job.run());
                    this.job_has_ended();
                }
                Letter::Urgent(job) => {
                    contain(|| job.run());
                    if !this.rejoin() {
                        return;
                    }
                }
                Letter::Look => {}
            }
            next = Self::next(this, number, &mut patience);
        }
    }

    /// Finds the next thing to do, or counts this thread off.
    fn next(this: &Arc<Self>, number: usize, patience: &mut Patience) -> Option<Letter<J>> {
        loop {
            if this.has_queue() {
                if let Some(job) = this.pop(&mut this.lock()) {
                    return Some(Letter::Job(job));
                }
                continue;
            }
            if this.is_shut_down() || !this.idle.has_place(number) {
                return this.leave();
            }
            this.idle.enter(number);
            // Ordering: (Q1), the thread can be seen to be idle before it looks at the queue.
            fence(Ordering::SeqCst);
            let mut letter = None;
            let waits = !this.has_queue() && !this.is_shut_down();
            if waits {
                this.idle.look(number, patience);
                letter = this.idle.receive(number, &Deadline::after(this.config.keep_alive));
                patience.slept();
            }
            if letter.is_none() && !this.idle.withdraw(number) {
                letter = this.idle.receive(number, &Deadline::NEVER);
            }
            match letter {
                Some(Letter::Look) => return Some(Self::arrive(this, Letter::Look)),
                Some(letter) => return Some(letter),
                None if waits => return this.leave(),
                None => {}
            }
        }
    }

    pub(super) fn thread_count(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    pub(super) fn alive_jobs(&self) -> usize {
        // Ordering: Acquire pairs with the Release of `job_has_ended`.
        self.alive.load(Ordering::Acquire)
    }

    pub(super) fn queue_depth(&self) -> usize {
        self.pending.load(Ordering::Relaxed) / QUEUED
    }

    fn has_queue(&self) -> bool {
        self.queue_depth() > 0
    }

    fn is_shut_down(&self) -> bool {
        self.pending.load(Ordering::Relaxed) & SHUTDOWN != 0
    }

    fn pop(&self, state: &mut State<J>) -> Option<J> {
        let (job, _) = state.queue.pop_front()?;
        self.publish(state);
        Some(job)
    }

    /// Counts this thread off, unless there is a job after all.
    fn leave(&self) -> Option<Letter<J>> {
        let mut state = self.lock();
        let job = self.pop(&mut state);
        if job.is_none() {
            state.counted -= 1;
            self.publish(&state);
        }
        job.map(Letter::Job)
    }

    /// Counts this thread again after an urgent job. False if others have taken its place meanwhile.
    fn rejoin(&self) -> bool {
        let mut state = self.lock();
        state.seated -= 1;
        let has_room = state.counted < self.config.max_threads;
        state.counted += usize::from(has_room);
        self.publish(&state);
        has_room
    }

    pub(super) fn job_is_accepted(&self) {
        self.alive.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn job_has_ended(&self) {
        // Ordering: Release pairs with the Acquire of whoever reads that no job is alive.
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(hook) = &self.config.on_quiet
        {
            contain(|| hook());
        }
    }

    // ---- the end ----

    /// Sends all idle threads home. The pool has to be shut down.
    pub(super) fn dismiss_idle(&self) {
        // Ordering: (Q2), the shutdown is published before the bits are read.
        fence(Ordering::SeqCst);
        while let Some(claim) = self.call() {
            self.lock().called += 1;
            claim.send(Letter::Look);
        }
    }

    /// Waits until all threads have ended that can, and joins them.
    pub(super) fn wait_for_threads(&self, timeout: Option<Duration>) {
        let deadline = Deadline::after(timeout.unwrap_or(Duration::MAX));
        let home = HOME.with(Cell::get);
        let inside = home == Home::Inside(self.address());
        let mut state = self.lock();
        if inside {
            state.leaving += 1;
            // Others inside may have waited for nobody but this thread.
            self.ended.notify_all();
        }
        let others = |state: &State<J>| state.living - if inside { state.leaving } else { 0 };
        while others(&state) > 0 && !deadline.wait(&self.ended, &mut state) {}
        if inside {
            state.leaving -= 1;
        }
        // Whom the reaper has taken is joined when the reaper is.
        let unjoined = mem::take(&mut state.unjoined);
        drop(state);
        // Who has no time does not even wait for the system. A thread that comes here after its own
        // end is itself among those to be joined: by the reaper, or by nobody.
        if timeout != Some(Duration::ZERO) && home != Home::Ended(self.address()) {
            unjoined.into_iter().for_each(join);
        }
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// Joins a thread of the pool that has taken itself off the list.
fn join(thread: thread::JoinHandle<()>) {
    // It has not panicked: jobs and hooks are contained.
    drop(thread.join());
}
