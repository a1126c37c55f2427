//! The idle protocol of `scheduler/README.md`, with flags for queues: no published work is left to
//! sleepers. If it is, loom reports a deadlock.

use std::{
    array, mem,
    sync::{Arc as StdArc, atomic::AtomicUsize as Count},
};

use jenny_core::{
    platform::Unpark,
    scheduler::idle::{Awake, Idle, News, Sleep, Woken},
};
use loom::{
    sync::atomic::{AtomicBool, Ordering::*},
    thread,
};

use crate::{
    harness::{Bounds, check, check_fails},
    platform::{Parker, Unparker},
};

/// As much of a scheduler as the protocol needs.
pub(crate) struct Workers<const N: usize> {
    pub(crate) idle: Idle,
    /// A queue for one piece of work, for each worker.
    queues: [AtomicBool; N],
    /// How they sleep.
    sleep: Sleep,
    parkers: [Parker; N],
    unparkers: [Unparker; N],
}

impl<const N: usize> Workers<N> {
    pub(crate) fn new() -> StdArc<Self> {
        Self::sleeping(Sleep::Idle)
    }

    fn sleeping(sleep: Sleep) -> StdArc<Self> {
        let parkers: [_; N] = array::from_fn(|_| Parker::new());
        let unparkers = parkers.each_ref().map(Parker::unparker);
        let queues = array::from_fn(|_| AtomicBool::new(false));
        StdArc::new(Self { idle: Idle::new(N), queues, sleep, parkers, unparkers })
    }

    pub(crate) fn publish(&self, queue: usize) {
        // An exchange, as the push on a real queue is: loom does not order a store after the exchange
        // that has to come before it.
        self.queues[queue].swap(true, Release);
        self.unpark(self.idle.notify(queue, News::Outside));
    }

    fn unpark(&self, woken: Option<Woken>) {
        if let Some(Woken(worker)) = woken {
            self.unparkers[worker].unpark();
        }
    }

    fn has_work(&self) -> bool {
        self.queues.iter().any(|queue| queue.load(Relaxed))
    }

    fn take(&self, queue: usize) -> bool {
        self.queues[queue].load(Relaxed) && self.queues[queue].swap(false, Acquire)
    }

    /// A worker's loop, which takes, searches and sleeps as `scheduler/stealing` does, until it has
    /// found so many pieces of work. The last one keeps it busy for ever.
    fn work(&self, own: usize, pieces: usize) {
        for _ in 0..pieces {
            self.work_and_sleep(own, false, true);
        }
    }

    /// The same for one that is registered as asleep.
    fn awake(&self, own: usize, pieces: usize) {
        let searching = self.idle.end_sleep(own, self.sleep) == Awake::Notified;
        self.work_and_sleep(own, searching, true);
        self.work(own, pieces - 1);
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
                    self.unpark(
                        self.idle.end_search(own, || self.has_work().then_some(News::Outside)),
                    );
                }
                return;
            }
            self.idle.start_sleep(own, mem::take(&mut searching), self.sleep);
            let again = look_again && self.has_work();
            if !again {
                self.parkers[own].park();
            }
            searching = self.idle.end_sleep(own, self.sleep) == Awake::Notified;
            if again && !searching {
                self.idle.force_search();
                searching = true;
            }
        }
    }
}

/// Starts a thread that works on a share of the model.
fn start<const N: usize>(
    workers: &StdArc<Workers<N>>,
    share: impl FnOnce(&Workers<N>) + 'static,
) -> thread::JoinHandle<()> {
    let workers = StdArc::clone(workers);
    thread::spawn(move || share(&workers))
}

/// Work is published from two sides while the only worker goes to sleep.
#[test]
fn one_worker_against_two_producers() {
    check("idle: one worker, two producers", Bounds::preemptions(2), || {
        // The second worker is busy for ever.
        let workers = Workers::<2>::new();
        let producers = [0, 1].map(|queue| start(&workers, move |all| all.publish(queue)));
        workers.work(0, 2);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

/// The same with a worker that rests: all that is published here comes from outside.
#[test]
fn a_resting_worker_against_two_producers() {
    check("idle: a worker rests, two producers", Bounds::preemptions(2), || {
        let workers = Workers::<2>::sleeping(Sleep::Rest);
        let producers = [0, 1].map(|queue| start(&workers, move |all| all.publish(queue)));
        workers.work(0, 2);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

/// A worker calls a thief for its queue, but that one awakes by itself and is busy. Meanwhile a producer
/// outside has relied on the call: then the worker that rests has to come.
#[test]
fn a_call_in_vain_on_which_somebody_relies() {
    check("idle: a call in vain, a producer, a worker rests", Bounds::preemptions(2), || {
        let workers = Workers::<3>::sleeping(Sleep::Rest);
        workers.idle.start_sleep(0, false, Sleep::Idle);
        workers.idle.start_sleep(1, false, Sleep::Rest);
        let owner = start(&workers, |all| all.unpark(all.idle.notify(2, News::Queued)));
        let producer = start(&workers, |all| all.publish(2));
        let thief = start(&workers, |all| {
            if all.idle.end_sleep(0, Sleep::Idle) == Awake::Notified {
                let news = || all.has_work().then_some(News::Outside);
                all.unpark(all.idle.end_search(0, news));
            }
        });
        workers.parkers[1].park();
        workers.awake(1, 1);
        [owner, producer, thief].into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The only sleeper awakes for no reason while one producer is choosing it and the other relies on
/// that choice.
#[test]
fn a_sleeper_awakes_by_itself() {
    check("idle: awake by itself, two producers", Bounds::preemptions(2), || {
        let workers = Workers::<2>::new();
        workers.idle.start_sleep(0, false, Sleep::Idle);
        let producers = [0, 1].map(|queue| start(&workers, move |all| all.publish(queue)));
        workers.awake(0, 2);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

/// Work is published while one worker goes to sleep and the other does already. Whoever finds it
/// publishes more and stays busy, so that neither may rely on the other's search.
#[test]
fn two_workers_against_a_producer() {
    check("idle: two workers, a producer", Bounds::preemptions(2), || {
        let workers = Workers::<2>::new();
        workers.idle.start_sleep(1, false, Sleep::Idle);
        // No part of the model, so it is std's.
        let finders = StdArc::new(Count::new(0));
        let others = StdArc::clone(&finders);
        let publish_more = |all: &Workers<2>, found_by, finders: &Count| {
            if finders.fetch_add(1, SeqCst) == 0 {
                all.publish(found_by);
            }
        };
        let second = start(&workers, move |all| {
            all.parkers[1].park();
            all.awake(1, 1);
            publish_more(all, 1, &others);
        });
        let producer = start(&workers, |all| all.publish(1));
        workers.work(0, 1);
        publish_more(&workers, 0, &finders);
        producer.join().unwrap();
        second.join().unwrap();
    });
}

/// One of two sleepers has been woken for the first piece of work. The producer of the second stops
/// because that one is about to search: it has to wake the other.
#[test]
fn two_sleepers_share_the_work() {
    check("idle: two sleepers, a producer", Bounds::preemptions(3), || {
        let workers = Workers::<2>::new();
        workers.idle.start_sleep(0, false, Sleep::Idle);
        workers.idle.start_sleep(1, false, Sleep::Idle);
        workers.publish(0);
        let sleepers = [0, 1].map(|worker| {
            start(&workers, move |all| {
                all.parkers[worker].park();
                all.awake(worker, 1);
            })
        });
        workers.publish(1);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

/// A producer relies on a search that ends with other work in hand. The searcher does not come back,
/// so it has to pass the search on.
fn the_last_searcher_ends(looks: bool) {
    let workers = Workers::<2>::new();
    assert!(workers.idle.start_search());
    let second = start(&workers, |all| all.work(1, 1));
    let producer = start(&workers, |all| all.publish(0));
    workers.unpark(
        workers.idle.end_search(0, || (looks && workers.has_work()).then_some(News::Outside)),
    );
    second.join().unwrap();
    producer.join().unwrap();
}

#[test]
fn the_last_searcher_hands_over() {
    check("idle: the last searcher hands over", Bounds::preemptions(3), || {
        the_last_searcher_ends(true);
    });
}

#[test]
fn a_last_searcher_that_does_not_look_fails() {
    check_fails("idle: the last searcher does not look", Bounds::preemptions(3), || {
        the_last_searcher_ends(false);
    });
}
