//! Producers, drainers and the close of an inbox.

use jenny_core::queue::{Backlog, Inbox};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
};

use super::{Item, assert_each_once, assert_in_order};
use crate::harness::{Bounds, check, check_fails};

/// Pushes the numbers and returns those that were refused.
fn produce(inbox: &Inbox<Item>, numbers: impl IntoIterator<Item = usize>) -> Vec<usize> {
    numbers
        .into_iter()
        .filter_map(|number| inbox.push(Item::new(number)).err())
        .map(Item::number)
        .collect()
}

fn oldest_first(backlog: Backlog<Item>) -> Vec<usize> {
    backlog.into_batch().map(Item::number).collect()
}

#[test]
fn two_producers_against_a_drain() {
    check("inbox: two producers, one drains", Bounds::ALL, || {
        let inbox = Arc::new(Inbox::new());
        let producers = [0..2, 2..4].map(|numbers| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || produce(&inbox, numbers))
        });
        let mut seen = oldest_first(inbox.drain());
        for producer in producers {
            assert!(producer.join().unwrap().is_empty(), "refused by an open inbox");
        }
        seen.extend(oldest_first(inbox.drain()));
        // Each producer's own items stay in order, across drains as well.
        for producer in 0..2 {
            let own: Vec<_> = seen.iter().copied().filter(|item| item / 2 == producer).collect();
            assert_in_order(&own);
        }
        assert_each_once(4, [seen]);
    });
}

#[test]
fn two_drainers_share() {
    check("inbox: two drainers", Bounds::ALL, || {
        let inbox = Arc::new(Inbox::new());
        assert!(produce(&inbox, 0..2).is_empty());
        let drainer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || oldest_first(inbox.drain()))
        };
        let producer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || produce(&inbox, 2..4))
        };
        let mine = oldest_first(inbox.drain());
        assert!(producer.join().unwrap().is_empty());
        let theirs = drainer.join().unwrap();
        assert_in_order(&mine);
        assert_in_order(&theirs);
        assert_each_once(4, [mine, theirs, oldest_first(inbox.drain())]);
    });
}

#[test]
fn what_is_drained_may_come_back() {
    check("inbox: drained items come back", Bounds::ALL, || {
        // The same node at the head twice: the hazard of a list that pops.
        let inbox = Arc::new(Inbox::new());
        assert!(produce(&inbox, 0..2).is_empty());
        let recycler = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                for item in inbox.drain() {
                    assert!(inbox.push(item).is_ok());
                }
            })
        };
        assert!(produce(&inbox, 2..3).is_empty());
        let mine = oldest_first(inbox.drain());
        recycler.join().unwrap();
        assert_each_once(3, [mine, oldest_first(inbox.drain())]);
    });
}

#[test]
fn push_against_close() {
    check("inbox: push against close", Bounds::ALL, || {
        let inbox = Arc::new(Inbox::new());
        let producers = [0..2, 2..3].map(|numbers| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || produce(&inbox, numbers))
        });
        let closed = oldest_first(inbox.close());
        let [first, second] = producers.map(|producer| producer.join().unwrap());
        assert!(inbox.is_closed() && inbox.is_empty() && inbox.close().is_empty());
        assert_each_once(3, [closed, first, second]);
    });
}

/// A producer, a drainer and a close. `drain` is given so that a wrong one can take its place.
fn drain_against_close(drain: fn(&Inbox<Item>) -> Backlog<Item>) -> impl Fn() + Sync + Send {
    move || {
        let inbox = Arc::new(Inbox::new());
        let producer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || produce(&inbox, 0..2))
        };
        let drainer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || oldest_first(drain(&inbox)))
        };
        let closed = oldest_first(inbox.close());
        let [refused, drained] = [producer, drainer].map(|thread| thread.join().unwrap());
        assert_eq!(produce(&inbox, 2..3), [2], "reopened");
        assert_each_once(2, [closed, refused, drained]);
    }
}

#[test]
fn nothing_reopens_a_closed_inbox() {
    check("inbox: drain against close", Bounds::ALL, drain_against_close(Inbox::drain));
}

/// What a refused producer reads, the closer wrote before it closed.
#[test]
fn a_refusal_follows_the_close() {
    let push = |inbox: &Inbox<Item>| inbox.push(Item::new(0)).is_err();
    check("inbox: refusal follows the close", Bounds::ALL, follows_the_close(push));
    let look = Inbox::<Item>::is_closed;
    check(
        "inbox: the look of a closed one follows the close",
        Bounds::ALL,
        follows_the_close(look),
    );
}

fn follows_the_close(is_closed: fn(&Inbox<Item>) -> bool) -> impl Fn() {
    move || {
        let inbox = Arc::new(Inbox::new());
        let stopping = Arc::new(AtomicBool::new(false));
        let closer = {
            let (inbox, stopping) = (Arc::clone(&inbox), Arc::clone(&stopping));
            thread::spawn(move || {
                stopping.store(true, Ordering::Relaxed);
                drop(inbox.close());
            })
        };
        if is_closed(&inbox) {
            assert!(stopping.load(Ordering::Relaxed));
        }
        closer.join().unwrap();
    }
}

/// A producer that does not see the sleeper, and a sleeper that does not see the item: one of the
/// two must not happen.
#[test]
fn a_fence_decides_between_sleeper_and_producer() {
    check("inbox: sleeper against producer", Bounds::ALL, || {
        let inbox = Arc::new(Inbox::new());
        let asleep = Arc::new(AtomicBool::new(false));
        let producer = {
            let (inbox, asleep) = (Arc::clone(&inbox), Arc::clone(&asleep));
            thread::spawn(move || {
                assert!(inbox.push(Item::new(0)).is_ok());
                fence(Ordering::SeqCst);
                asleep.load(Ordering::Relaxed)
            })
        };
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let overslept = inbox.is_empty();
        let woken = producer.join().unwrap();
        assert!(woken || !overslept, "an item is in the inbox and everybody sleeps");
    });
}

/// An inbox as one would write it at first: its drain swaps EMPTY in, whatever was there.
mod swapping {
    use std::ptr;

    use loom::sync::atomic::{AtomicPtr, Ordering};

    const CLOSED: *mut usize = ptr::without_provenance_mut(usize::MAX);

    pub(super) struct Inbox(AtomicPtr<usize>);

    impl Inbox {
        pub(super) fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }

        pub(super) fn close(&self) {
            self.0.swap(CLOSED, Ordering::AcqRel);
        }

        pub(super) fn drain(&self) {
            self.0.swap(ptr::null_mut(), Ordering::AcqRel);
        }

        pub(super) fn is_closed(&self) -> bool {
            self.0.load(Ordering::Acquire) == CLOSED
        }
    }
}

#[test]
fn a_drain_that_swaps_reopens() {
    check_fails("inbox: a drain that swaps", Bounds::ALL, || {
        let inbox = Arc::new(swapping::Inbox::new());
        let drainer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.drain())
        };
        inbox.close();
        drainer.join().unwrap();
        assert!(inbox.is_closed(), "reopened");
    });
}

/// Shows that the models above would notice a leak.
#[test]
fn a_leak_is_noticed() {
    check_fails("inbox: an item that leaks", Bounds::ALL, || {
        let inbox = Inbox::new();
        assert!(inbox.push(Item::new(0)).is_ok());
        std::mem::forget(inbox.close());
    });
}
