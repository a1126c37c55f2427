//! Listing all live tasks of a scheduler while it runs.
//!
//! Each worker lists its own: nobody else may look into its owned list. So a dump is a request that
//! every worker answers at its next tick, and whoever asked waits for as long as he cares to. A
//! worker that is stuck in a poll does not answer, and that is a part of the dump.
//!
//! | who asks | a worker, at the start of each tick |
//! |---|---|
//! | makes `request` odd | loads `request`; if it is odd, and not answered yet: |
//! | unparks all workers | takes what is in its queues and its inbox, and binds what is unbound |
//! | waits for answers | lists its owned list, and leaves the list as its answer |
//! | makes `request` even, takes the answers | until then takes nothing from other workers |
//!
//! *Claim: if all workers answer, each task that was alive before the request and is alive after the
//! last answer is listed once.* A bound task is in one list until it ends. A task that nobody has
//! polled yet is unbound, and in the inbox or a queue of some worker `X`, or in the hands of a thief.
//! The queues of `X` are bound as a part of its answer. Before that only a worker that has not
//! answered takes tasks from `X`; it answers later, with what it took in its own queues, or bound.
//!
//! A worker that is barred from taking does not sleep while there is something to take, as ever
//! (`README.md`), so it ticks in vain until the dump is over. That is why whoever asks should not
//! wait long.
//!
//! # Traces
//! A dump may ask for more: where each idle task waits. Nobody else may poll the tasks of a worker, so
//! it does that itself, after it has listed them and before it answers, a few at the start of each
//! tick. Such a poll is one that nobody has woken the task for, and apart from its waker, which
//! reports its clones to a [`Tracer`], it is a poll like any other: the claim of the task is a wake
//! (`task/state.rs`), what comes of it is the same, it counts, and it may be the last. Until its
//! turn a task is held by a reference, since it may be woken, run and end meanwhile; then there is
//! nothing to claim. A task that its traced poll has ended is not listed.
//!
//! The list and what is left of it belong to the core: they travel with it when a traced poll hands
//! it off. When the tracer says that the time is up, or the scheduler closes, the worker answers with
//! what it has.

use alloc::{boxed::Box, vec::Vec};
use core::{
    cell::Cell,
    mem,
    num::NonZeroU64,
    task::{Poll, Waker},
};

use super::counted::Shared;
use super::metrics::Counter;
use crate::{
    lock::{Mutex, RawLock},
    owned::LocalOwnedTasks,
    sync::{AtomicBool, AtomicUsize, Ordering, fence, shrunk},
    task::{self, Held, Id, Runnable, Snapshot, Tracer},
};

/// How many tasks a worker polls for their traces at the start of a tick.
const TRACES_PER_TICK: usize = shrunk(16, 1);

/// What a worker has to say in a dump.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerDump {
    /// The live tasks that are bound to it; `None` if it did not answer.
    pub tasks: Option<Vec<Snapshot>>,
    /// The task that it is polling; the same that it was stuck in, if it did not answer. (The lower
    /// half of the id where pointers have 32 bits.)
    pub running: Option<Id>,
}

/// Where a scheduler's dumps are asked for and answered.
pub(super) struct Desk<L: RawLock> {
    /// Odd while a dump is wanted.
    request: AtomicUsize,
    /// Of a traced dump. Set under the lock together with the request.
    tracer: Mutex<Option<SharedTracer>, L>,
    places: Box<[Place<L>]>,
    /// Whoever waits for the answers.
    waiting: Mutex<Option<Waker>, L>,
}

type SharedTracer = Shared<Box<dyn Tracer>>;

struct Place<L: RawLock> {
    /// The request that the list is the answer to.
    answer: Mutex<(usize, Vec<Snapshot>), L>,
    /// The worker has stopped, and no task is bound to it.
    gone: AtomicBool,
}

/// The task that a thread is polling. Written by that thread with every poll, read by any other. The
/// accesses order nothing. (It is the lower half of the id where pointers have 32 bits.)
#[derive(Debug, Default)]
pub struct Running(Counter);

impl Running {
    /// The poll begins.
    #[inline]
    pub fn start(&self, id: Id) {
        self.0.set(id.0.get() as usize);
    }

    /// The poll is over.
    #[inline]
    pub fn end(&self) {
        self.0.set(0);
    }

    /// The task, if there is one.
    pub fn get(&self) -> Option<Id> {
        NonZeroU64::new(self.0.get() as u64).map(task::Id)
    }
}

/// What a worker knows of dumps.
#[derive(Default)]
pub(super) struct Seen {
    /// The last request that the worker has answered, or that was over when it came by.
    done: Cell<usize>,
    /// The request that the worker is answering, or has answered last.
    current: Cell<usize>,
    /// What is left to do for the current request.
    tracing: Cell<Option<Box<Tracing>>>,
}

/// A list that waits for traces.
struct Tracing {
    tracer: SharedTracer,
    /// Tasks that have not been polled.
    waiting: Vec<(Snapshot, Held)>,
    /// What there is to answer so far.
    listed: Vec<Snapshot>,
}

impl Seen {
    /// Whether the worker has listed its tasks for a dump that may not be over: it takes nothing from
    /// others.
    #[inline]
    pub(super) fn is_barred(&self) -> bool {
        is_wanted(self.current.get())
    }

    /// The worker stops: nobody waits for its answer.
    fn forget(&self) {
        drop(self.tracing.take());
    }

    fn is_tracing(&self) -> bool {
        self.with_tracing(|_| ()).is_some()
    }

    /// Changes the list that waits for traces, if there is one.
    fn with_tracing<R>(&self, change: impl FnOnce(&mut Tracing) -> R) -> Option<R> {
        let mut tracing = self.tracing.take()?;
        let result = change(&mut tracing);
        self.tracing.set(Some(tracing));
        Some(result)
    }

    /// Begins to trace those of the listed tasks that are held, since they were idle.
    fn trace(&self, tracer: SharedTracer, tasks: Vec<(Snapshot, Option<Held>)>) {
        let (mut waiting, mut listed) = (Vec::new(), Vec::new());
        for (snapshot, held) in tasks {
            match held {
                Some(held) => waiting.push((snapshot, held)),
                None => listed.push(snapshot),
            }
        }
        self.tracing.set(Some(Box::new(Tracing { tracer, waiting, listed })));
    }

    /// The next task to be polled for its trace, if there is time. It is in the answer from here on.
    fn next_traced(&self, open: bool) -> Option<(SharedTracer, Held)> {
        self.with_tracing(|tracing| {
            if !open || tracing.waiting.is_empty() || !tracing.tracer.has_time() {
                return None;
            }
            let (snapshot, task) = tracing.waiting.pop()?;
            tracing.listed.push(snapshot);
            Some((tracing.tracer.clone(), task))
        })
        .flatten()
    }

    /// Takes the task back that was given out last.
    fn retract(&self) {
        self.with_tracing(|tracing| tracing.listed.pop());
    }

    /// All that was listed, also what has not been polled.
    fn end_trace(&self) -> Vec<Snapshot> {
        let Some(Tracing { waiting, mut listed, .. }) = self.tracing.take().map(|tracing| *tracing)
        else {
            return Vec::new();
        };
        listed.extend(snapshots(waiting));
        listed
    }
}

fn is_wanted(request: usize) -> bool {
    request % 2 == 1
}

impl<L: RawLock> Desk<L> {
    pub(super) fn new(workers: usize) -> Self {
        let place = || Place { answer: Mutex::new((0, Vec::new())), gone: AtomicBool::new(false) };
        Self {
            request: AtomicUsize::new(0),
            tracer: Mutex::new(None),
            places: (0..workers).map(|_| place()).collect(),
            waiting: Mutex::new(None),
        }
    }

    // ---- workers ----

    /// Whether there is a request that this worker has to answer. One load, if there is none.
    #[inline]
    pub(super) fn is_asking(&self, seen: &Seen) -> bool {
        // Ordering: Relaxed. A worker that is unparked for a request sees it, because of the unpark.
        let request = self.request.load(Ordering::Relaxed);
        request != seen.done.get() && self.is_new(request, seen)
    }

    #[cold]
    fn is_new(&self, request: usize, seen: &Seen) -> bool {
        // Ordering: Acquire, with the Release of `ask`: what was spawned before the request is found.
        fence(Ordering::Acquire);
        if seen.current.replace(request) != request {
            // What was asked for before is over.
            drop(seen.tracing.take());
        }
        if !is_wanted(request) {
            seen.done.set(request);
        }
        is_wanted(request)
    }

    /// Leaves a worker's answer to its current request.
    fn answer(&self, worker: usize, seen: &Seen, tasks: Vec<Snapshot>) {
        let request = seen.current.get();
        seen.done.set(request);
        let previous =
            self.places[worker].answer.with(|place| mem::replace(place, (request, tasks)));
        drop(previous);
        self.wake();
    }

    /// The worker has stopped: nobody has to wait for it any more.
    pub(super) fn leave(&self, worker: usize, seen: &Seen) {
        seen.forget();
        // Ordering: Relaxed, here and where it is read; it says no more than it says.
        self.places[worker].gone.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting.with(Option::take) {
            waker.wake();
        }
    }

    // ---- whoever asks ----

    /// Begins a dump; false if there is one already. The caller unparks all workers.
    #[must_use]
    pub(super) fn ask(&self, tracer: Option<Box<dyn Tracer>>) -> bool {
        let mut tracer = tracer.map(Shared::new);
        self.tracer.with(|place| {
            let request = self.request.load(Ordering::Relaxed);
            // Ordering: Release, for the Acquire in `is_new`. After the `end` of the last dump it
            // comes by the lock.
            let asked = !is_wanted(request)
                && self
                    .request
                    .compare_exchange(request, request + 1, Ordering::Release, Ordering::Relaxed)
                    .is_ok();
            if asked {
                mem::swap(place, &mut tracer);
            }
            asked
        })
    }

    /// Whether a worker has answered, or will not be able to any more.
    fn has_answered(&self, worker: usize) -> bool {
        let place = &self.places[worker];
        let request = self.request.load(Ordering::Relaxed);
        place.answer.with(|(answered, _)| *answered == request)
            || place.gone.load(Ordering::Relaxed)
    }

    /// Whether all workers have answered; otherwise the waker is woken by the next one that does.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<()> {
        let mut waker = Some(waker.clone());
        // The waker first: an answer that comes between these lines takes it.
        self.waiting.with(|waiting| mem::swap(waiting, &mut waker));
        drop(waker);
        let all = (0..self.places.len()).all(|worker| self.has_answered(worker));
        if all { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the dump: what each worker has answered so far, and what it is polling.
    pub(super) fn end<'a>(&self, running: impl Iterator<Item = &'a Running>) -> Vec<WorkerDump> {
        let request = self.request.load(Ordering::Relaxed);
        let dumps = self.places.iter().zip(running).map(|(place, running)| {
            let (answered, tasks) = place.answer.with(mem::take);
            let tasks = if answered == request {
                Some(tasks)
            } else {
                // An answer to an earlier request came too late for it.
                place.gone.load(Ordering::Relaxed).then(Vec::new)
            };
            WorkerDump { tasks, running: running.get() }
        });
        let dumps = dumps.collect();
        drop(self.waiting.with(Option::take));
        drop(self.tracer.with(Option::take));
        // Ordering: Relaxed; who asks next sees it under the lock that was taken just before.
        self.request.store(request.wrapping_add(1), Ordering::Relaxed);
        dumps
    }
}

/// What is known of workers that nobody has asked.
pub(super) fn unasked<'a>(running: impl Iterator<Item = &'a Running>) -> Vec<WorkerDump> {
    running.map(|running| WorkerDump { tasks: None, running: running.get() }).collect()
}

/// A worker on its thread, as dumps see it.
pub(super) trait Listed<L: RawLock> {
    /// Where it answers, by which index, and what it knows; `None` once it has been handed off.
    fn desk(&self) -> Option<(&Desk<L>, usize, &Seen)>;

    /// Its live tasks, those included that wait unbound in its queues.
    fn list(&self) -> Vec<(Snapshot, Option<Held>)>;

    /// Whether it still polls tasks.
    fn is_open(&self) -> bool;

    /// Polls a task as a tick does, and traces it.
    fn run_traced(&self, task: Runnable, tracer: &dyn Tracer);

    /// Has the worker tick again before it sleeps.
    fn unpark(&self);
}

/// Does a worker's share of the dump that it has been [asked](Desk::is_asking) for: lists its tasks,
/// has some of them polled, answers.
#[cold]
pub(super) fn serve<L: RawLock>(worker: &impl Listed<L>) {
    let Some((desk, index, seen)) = worker.desk() else { return };
    if !seen.is_tracing() {
        let tasks = worker.list();
        match desk.tracer.with(|tracer| tracer.clone()) {
            None => return desk.answer(index, seen, snapshots(tasks).collect()),
            Some(tracer) => seen.trace(tracer, tasks),
        }
    }
    for _ in 0..TRACES_PER_TICK {
        // Borrowed anew: the poll before may have handed the core off.
        let Some((desk, index, seen)) = worker.desk() else { return };
        let Some((tracer, task)) = seen.next_traced(worker.is_open()) else {
            return desk.answer(index, seen, seen.end_trace());
        };
        let Some(runnable) = task.claim() else { continue };
        worker.run_traced(runnable, &**tracer);
        if task.is_complete()
            && let Some((_, _, seen)) = worker.desk()
        {
            seen.retract();
        }
    }
    worker.unpark();
}

fn snapshots<H>(tasks: Vec<(Snapshot, H)>) -> impl Iterator<Item = Snapshot> {
    tasks.into_iter().map(|(snapshot, _)| snapshot)
}

/// Describes the live tasks of a worker, and holds those that are idle. `running` are the ids of those
/// that are being polled.
pub(super) fn list(owned: &LocalOwnedTasks, running: &[Id]) -> Vec<(Snapshot, Option<Held>)> {
    let mut tasks = Vec::with_capacity(owned.len());
    owned.for_each(|task| {
        tasks.extend(task.snapshot(running).map(|snapshot| (snapshot, task.hold_idle())));
    });
    tasks
}
