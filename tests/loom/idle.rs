//! The idle protocol of `scheduler/README.md`, with flags for queues: no published work is left to
//! sleepers. If it is, loom reports a deadlock.

use std::{array, mem, sync::Arc as StdArc};

use jenny_core::{
    platform::Unpark,
    scheduler::idle::{Awake, Idle, Woken},
};
use loom::{
    sync::atomic::{AtomicBool, Ordering::*},
    thread,
};

use crate::{
    harness::{Bounds, check},
    platform::{Parker, Unparker},
};

/// As much of a scheduler as the protocol needs.
pub(crate) struct Workers<const N: usize> {
    pub(crate) idle: Idle,
    /// A queue for one piece of work, for each worker.
    queues: [AtomicBool; N],
    parkers: [Parker; N],
    unparkers: [Unparker; N],
}

impl<const N: usize> Workers<N> {
    pub(crate) fn new() -> StdArc<Self> {
        let parkers: [_; N] = array::from_fn(|_| Parker::new());
        let unparkers = parkers.each_ref().map(Parker::unparker);
        let queues = array::from_fn(|_| AtomicBool::new(false));
        StdArc::new(Self { idle: Idle::new(N), queues, parkers, unparkers })
    }

    pub(crate) fn publish(&self, queue: usize) {
        self.queues[queue].store(true, Release);
        self.unpark(self.idle.notify(queue));
    }

    fn unpark(&self, woken: Option<Woken>) {
        if let Some(Woken(worker)) = woken {
            self.unparkers[worker].unpark();
        }
    }

    fn take(&self, queue: usize) -> bool {
        self.queues[queue].load(Relaxed) && self.queues[queue].swap(false, Acquire)
    }

    /// A worker's loop, which takes, searches and sleeps as `scheduler/stealing` does, up to its
    /// first piece of work: that one never ends.
    fn work(&self, own: usize) {
        self.work_and_sleep(own, false, true);
    }

    /// The same for one that is registered as asleep.
    fn awake(&self, own: usize) {
        let searching = self.idle.end_sleep(own) == Awake::Notified;
        self.work_and_sleep(own, searching, true);
    }

    /// With `look_again` it looks into the queues between registering as asleep and the park.
    pub(crate) fn work_and_sleep(&self, own: usize, mut searching: bool, look_again: bool) {
        loop {
            let mut found = self.take(own);
            if !found {
                searching = searching || self.idle.start_search();
                found = searching && (0..N).any(|queue| self.take(queue));
            }
            if found {
                if searching {
                    self.unpark(self.idle.end_search(own));
                }
                return;
            }
            self.idle.start_sleep(own, mem::take(&mut searching));
            let again = look_again && self.queues.iter().any(|queue| queue.load(Relaxed));
            if !again {
                self.parkers[own].park();
            }
            searching = self.idle.end_sleep(own) == Awake::Notified;
            if again && !searching {
                self.idle.force_search();
                searching = true;
            }
        }
    }
}

/// Work is published while the only worker goes to sleep.
#[test]
fn one_worker_against_two_producers() {
    check("idle: one worker, two producers", Bounds::preemptions(2), || {
        let workers = Workers::<1>::new();
        let others = [(); 2].map(|()| {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(0))
        });
        workers.work(0);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Two producers, each with a queue of its own, and two workers that have to share the work: one
/// producer may stop at a search that is just ending.
#[test]
fn two_workers_against_two_producers() {
    check("idle: two workers, two producers", Bounds::preemptions(1), || {
        let workers = Workers::<2>::new();
        let others = [0, 1].map(|queue| {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(queue))
        });
        let second = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.work(1))
        };
        workers.work(0);
        for other in others {
            other.join().unwrap();
        }
        second.join().unwrap();
    });
}

/// A producer relies on a search that ends with other work in hand. The searcher does not come back,
/// so it has to pass the search on.
#[test]
fn the_last_searcher_hands_over() {
    check("idle: the last searcher hands over", Bounds::preemptions(2), || {
        let workers = Workers::<2>::new();
        assert!(workers.idle.start_search());
        let second = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.work(1))
        };
        let producer = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(0))
        };
        workers.unpark(workers.idle.end_search(0));
        second.join().unwrap();
        producer.join().unwrap();
    });
}

/// The first awakes for no reason, while one producer is choosing it and the other relies on that.
#[test]
fn a_sleeper_awakes_by_itself() {
    check("idle: awake by itself, two producers", Bounds::preemptions(1), || {
        let workers = Workers::<2>::new();
        for worker in [0, 1] {
            workers.idle.start_sleep(worker, false);
        }
        let producers = [0, 1].map(|queue| {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(queue))
        });
        let second = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || {
                workers.parkers[1].park();
                workers.awake(1);
            })
        };
        workers.awake(0);
        for other in producers.into_iter().chain([second]) {
            other.join().unwrap();
        }
    });
}
