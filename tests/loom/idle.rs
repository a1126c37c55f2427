//! The idle protocol of `scheduler/README.md`, with flags for queues: no published work is left to
//! sleepers. If it is, loom reports a deadlock.

use std::sync::{
    Arc as StdArc,
    atomic::{AtomicUsize as Count, Ordering::SeqCst},
};

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
    /// Pieces of work that nobody has taken yet. No part of the model.
    left: Count,
}

impl<const N: usize> Workers<N> {
    pub(crate) fn new(work: usize) -> StdArc<Self> {
        let parkers: [_; N] = std::array::from_fn(|_| Parker::new());
        let unparkers = parkers.each_ref().map(Parker::unparker);
        StdArc::new(Self {
            idle: Idle::new(N),
            queues: std::array::from_fn(|_| AtomicBool::new(false)),
            parkers,
            unparkers,
            left: Count::new(work),
        })
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

    /// Counts a piece of work as done. The last one sends everybody home.
    fn done(&self) {
        if self.left.fetch_sub(1, SeqCst) == 1 {
            for unparker in &self.unparkers {
                unparker.unpark();
            }
        }
    }

    fn is_over(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    /// A worker's loop, which takes and searches as `stealing/worker.rs` does. With `look_again` it
    /// looks into the queues between registering as asleep and the park.
    pub(crate) fn work(&self, own: usize, look_again: bool) {
        let mut searching = false;
        while !self.is_over() {
            let mut found = self.take(own);
            if !found {
                searching = searching || self.idle.start_search();
                found = searching && (0..N).any(|queue| self.take(queue));
            }
            if found {
                if std::mem::take(&mut searching) {
                    self.unpark(self.idle.end_search(own));
                }
                self.done();
                continue;
            }
            self.idle.start_sleep(own, std::mem::take(&mut searching));
            if look_again && self.queues.iter().any(|queue| queue.load(Relaxed)) {
                searching = self.idle.end_sleep(own) == Awake::Notified;
                if !searching {
                    self.idle.force_search();
                    searching = true;
                }
                continue;
            }
            if !self.is_over() {
                self.parkers[own].park();
            }
            searching = self.idle.end_sleep(own) == Awake::Notified;
        }
    }
}

/// Work is published while the only worker goes to sleep.
#[test]
fn one_worker_against_two_producers() {
    check("idle: one worker, two producers", Bounds::preemptions(2), || {
        let workers = Workers::<1>::new(1);
        let others = [(); 2].map(|()| {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(0))
        });
        workers.work(0, true);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Two producers, each with a queue of its own, and two workers: one of them may stop at a search
/// that is just ending.
#[test]
fn two_workers_against_two_producers() {
    check("idle: two workers, two producers", Bounds::preemptions(2), || {
        let workers = Workers::<2>::new(2);
        let others = [0, 1].map(|queue| {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(queue))
        });
        let second = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.work(1, true))
        };
        workers.work(0, true);
        for other in others {
            other.join().unwrap();
        }
        second.join().unwrap();
    });
}

/// A producer relies on a search that ends with other work in hand, and the searcher does not come
/// back: it has to pass the search on.
#[test]
fn the_last_searcher_hands_over() {
    check("idle: the last searcher hands over", Bounds::preemptions(2), || {
        let workers = Workers::<2>::new(1);
        assert!(workers.idle.start_search());
        let second = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.work(1, true))
        };
        let producer = {
            let workers = StdArc::clone(&workers);
            thread::spawn(move || workers.publish(0))
        };
        // The first has found something, and is stuck in it until the second has done the rest.
        workers.unpark(workers.idle.end_search(0));
        while !workers.is_over() {
            workers.parkers[0].park();
        }
        second.join().unwrap();
        producer.join().unwrap();
    });
}
