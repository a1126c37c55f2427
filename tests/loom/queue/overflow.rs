//! What does not fit a ring, and what an inbox held, within the reach of thieves.

use jenny_core::queue::{Inbox, Overflow, Ring, overflow::STEPS, ring::CAPACITY};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
};

use super::{Item, assert_each_once, assert_in_order};
use crate::harness::{Bounds, Lock, check};

type Spill = Overflow<Item, Lock>;

fn take(overflow: &Spill, max: usize) -> Vec<usize> {
    overflow.take(max).map(Item::number).collect()
}

fn accept(overflow: &Spill, inbox: &Inbox<Item>) {
    overflow.accept(|| inbox.drain());
}

fn inbox_of(numbers: std::ops::Range<usize>) -> Inbox<Item> {
    let inbox = Inbox::new();
    for number in numbers {
        assert!(inbox.push(Item::new(number)).is_ok());
    }
    inbox
}

/// Takes one by one until nothing is left, which takes some calls more while items are turned.
fn take_all(overflow: &Spill) -> Vec<usize> {
    let mut all = Vec::new();
    while !overflow.is_empty() {
        all.extend(take(overflow, 1));
    }
    all
}

/// The owner of a ring pushes more than fits, and a thief comes for both.
#[test]
fn a_ring_overflows_while_it_is_robbed() {
    check("overflow: a full ring is robbed", Bounds::preemptions(2), || {
        let ring = Arc::new(Ring::new());
        let overflow = Arc::new(Spill::new());
        let thief = {
            let (ring, overflow) = (Arc::clone(&ring), Arc::clone(&overflow));
            thread::spawn(move || {
                let own = Ring::new();
                // SAFETY: the ring was made here.
                let first = unsafe { ring.steal_into(&own, usize::MAX) };
                // SAFETY: as above.
                let others = std::iter::from_fn(|| unsafe { own.pop() });
                let loot: Vec<_> = first.into_iter().chain(others).map(Item::number).collect();
                [loot, take(&overflow, 1)]
            })
        };
        let mut own = Vec::new();
        for number in 0..CAPACITY + 2 {
            // SAFETY: this thread owns the ring.
            if let Err(item) = unsafe { ring.push(Item::new(number)) } {
                overflow.push(item);
            }
        }
        // Then it works it off and refills its ring, as a worker does.
        for _ in 0..2 {
            // SAFETY: this thread owns the ring.
            own.extend(std::iter::from_fn(|| unsafe { ring.pop() }).map(Item::number));
            // SAFETY: as above.
            let mut batch = overflow.take(unsafe { ring.vacancies() });
            let count = batch.len();
            // SAFETY: as above; the batch is not the ring.
            let refilled = unsafe { ring.extend(count, || batch.pop_front()) };
            assert_eq!(refilled, count, "there were as many vacancies");
        }
        // SAFETY: as above.
        own.extend(std::iter::from_fn(|| unsafe { ring.pop() }).map(Item::number));
        let [from_ring, from_overflow] = thief.join().unwrap();
        assert_in_order(&from_ring);
        own.extend(take_all(&overflow));
        assert_each_once(CAPACITY + 2, [own, from_ring, from_overflow]);
    });
}

#[test]
fn two_take_while_one_pushes() {
    const COUNT: usize = 6;
    check("overflow: push, two takers", Bounds::preemptions(3), || {
        let overflow = Arc::new(Spill::new());
        overflow.push(Item::new(0));
        overflow.push(Item::new(1));
        // As many as make a thief walk, or take a chunk that is longer than it asks for.
        (2..COUNT).for_each(|number| overflow.push(Item::new(number)));
        let takers = [Spill::take, Spill::take_share].map(|take| {
            let overflow = Arc::clone(&overflow);
            thread::spawn(move || take(&overflow, 1).map(Item::number).collect::<Vec<_>>())
        });
        overflow.push(Item::new(COUNT));
        let [first, second] = takers.map(|taker| taker.join().unwrap());
        let left = take_all(&overflow);
        for seen in [&first, &second, &left] {
            assert_in_order(seen);
        }
        assert_each_once(COUNT + 1, [first, second, left]);
    });
}

/// A backlog of which one visit turns only a part: whoever comes next goes on.
#[test]
fn a_backlog_is_turned_by_whoever_comes() {
    const COUNT: usize = 2 * STEPS + 1;
    check("overflow: a backlog, owner and thief", Bounds::ALL, || {
        let inbox = inbox_of(0..COUNT);
        let overflow = Arc::new(Spill::new());
        accept(&overflow, &inbox);
        assert_eq!(overflow.len(), STEPS + 1, "the rest counts as one");
        let thief = {
            let overflow = Arc::clone(&overflow);
            thread::spawn(move || take(&overflow, 2))
        };
        // What comes now waits in its inbox, or is behind what is there.
        assert!(inbox.push(Item::new(COUNT)).is_ok());
        accept(&overflow, &inbox);
        let mut own = take(&overflow, 2);
        own.extend(take_all(&overflow));
        let stolen = thief.join().unwrap();
        own.extend(inbox.drain().map(Item::number));
        assert_in_order(&own);
        assert_in_order(&stolen);
        assert_each_once(COUNT + 1, [own, stolen]);
    });
}

/// A thief drains the victim's inbox into its own overflow while the victim does the same.
#[test]
fn two_accept_one_inbox() {
    check("overflow: two accept one inbox", Bounds::preemptions(3), || {
        let inbox = Arc::new(Inbox::new());
        let producer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                for number in 0..STEPS + 1 {
                    assert!(inbox.push(Item::new(number)).is_ok());
                }
            })
        };
        let thief = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                let overflow = Spill::new();
                accept(&overflow, &inbox);
                take_all(&overflow)
            })
        };
        let overflow = Spill::new();
        accept(&overflow, &inbox);
        producer.join().unwrap();
        let stolen = thief.join().unwrap();
        while !inbox.is_empty() {
            accept(&overflow, &inbox);
        }
        let own = take_all(&overflow);
        assert_in_order(&own);
        assert_in_order(&stolen);
        assert_each_once(STEPS + 1, [own, stolen]);
    });
}

/// Everything goes at shutdown, turned or not, and what is then left is dropped.
#[test]
fn drain_all_against_a_taker() {
    const COUNT: usize = STEPS + 2;
    check("overflow: drain_all against a taker", Bounds::ALL, || {
        let overflow = Arc::new(Spill::new());
        accept(&overflow, &inbox_of(1..COUNT));
        let taker = {
            let overflow = Arc::clone(&overflow);
            thread::spawn(move || {
                overflow.push(Item::new(0));
                take(&overflow, 1)
            })
        };
        let drained: Vec<_> = overflow.drain_all().map(Item::number).collect();
        let taken = taker.join().unwrap();
        assert_each_once(COUNT, [drained, taken, take_all(&overflow)]);
        accept(&overflow, &inbox_of(0..COUNT));
    });
}

/// As for the inbox: the sleeper sees the item or the pusher sees the sleeper.
#[test]
fn a_fence_decides_between_sleeper_and_pusher() {
    check("overflow: sleeper against pusher", Bounds::ALL, || {
        let overflow = Arc::new(Spill::new());
        let asleep = Arc::new(AtomicBool::new(false));
        let pusher = {
            let (overflow, asleep) = (Arc::clone(&overflow), Arc::clone(&asleep));
            thread::spawn(move || {
                overflow.push(Item::new(0));
                fence(Ordering::SeqCst);
                asleep.load(Ordering::Relaxed)
            })
        };
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let overslept = overflow.is_empty();
        let woken = pusher.join().unwrap();
        assert!(woken || !overslept, "an item is in the overflow and everybody sleeps");
    });
}
