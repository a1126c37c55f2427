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

use alloc::{boxed::Box, vec::Vec};
use core::{
    cell::Cell,
    mem,
    num::NonZeroU64,
    task::{Poll, Waker},
};

use super::metrics::Counter;
use crate::{
    lock::{Mutex, RawLock},
    sync::{AtomicBool, AtomicUsize, Ordering, fence},
    task::{self, Id, Snapshot},
};

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
    places: Box<[Place<L>]>,
    /// Whoever waits for the answers.
    waiting: Mutex<Option<Waker>, L>,
}

struct Place<L: RawLock> {
    /// The request that the list is the answer to.
    answer: Mutex<(usize, Vec<Snapshot>), L>,
    /// The worker has stopped, and no task is bound to it.
    gone: AtomicBool,
}

/// The task that a worker is polling. Written by the worker with every poll, next to its counters.
#[derive(Debug, Default)]
pub(super) struct Running(Counter);

impl Running {
    #[inline]
    pub(super) fn start(&self, id: Id) {
        self.0.set(id.0.get() as usize);
    }

    #[inline]
    pub(super) fn end(&self) {
        self.0.set(0);
    }

    pub(super) fn get(&self) -> Option<Id> {
        NonZeroU64::new(self.0.get() as u64).map(task::id)
    }
}

/// The last request that a worker has seen.
#[derive(Debug, Default)]
pub(super) struct Seen(Cell<usize>);

impl Seen {
    /// Whether the worker has answered a dump that may not be over: it takes nothing from others.
    #[inline]
    pub(super) fn is_barred(&self) -> bool {
        is_wanted(self.0.get())
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
        if request == seen.0.get() {
            return false;
        }
        // Ordering: Acquire, with the Release of `ask`: what was spawned before the request is found.
        fence(Ordering::Acquire);
        seen.0.set(request);
        is_wanted(request)
    }

    /// Leaves a worker's answer to the request that it has seen last.
    pub(super) fn answer(&self, worker: usize, seen: &Seen, tasks: Vec<Snapshot>) {
        let answer = (seen.0.get(), tasks);
        let previous = self.places[worker].answer.with(|place| mem::replace(place, answer));
        drop(previous);
        self.wake();
    }

    /// The worker has stopped: nobody has to wait for it any more.
    pub(super) fn leave(&self, worker: usize) {
        self.places[worker].gone.store(true, Ordering::Release);
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
    pub(super) fn ask(&self) -> bool {
        let request = self.request.load(Ordering::Relaxed);
        // Ordering: Release, for the Acquire in `is_asking`; Acquire, for the `end` of the last dump.
        !is_wanted(request)
            && self
                .request
                .compare_exchange(request, request + 1, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether a worker has answered, or will not be able to any more.
    fn has_answered(&self, worker: usize) -> bool {
        let place = &self.places[worker];
        let request = self.request.load(Ordering::Relaxed);
        place.answer.with(|(answered, _)| *answered == request)
            // Ordering: Acquire, with the Release of `leave`.
            || place.gone.load(Ordering::Acquire)
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
                place.gone.load(Ordering::Acquire).then(Vec::new)
            };
            WorkerDump { tasks, running: running.get() }
        });
        let dumps = dumps.collect();
        drop(self.waiting.with(Option::take));
        // Ordering: Release, for the Acquire in `ask`.
        self.request.store(request.wrapping_add(1), Ordering::Release);
        dumps
    }
}
