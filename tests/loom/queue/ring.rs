//! The owner of a ring against its thieves.

use jenny_core::queue::{Ring, ring::CAPACITY};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
};

use super::{Item, assert_each_once, assert_in_order};
use crate::harness::{Bounds, check};

fn push(ring: &Ring<Item>, number: usize) -> Result<(), usize> {
    // SAFETY: only the thread that fills the ring calls this.
    unsafe { ring.push(Item::new(number)) }.map_err(Item::number)
}

fn pop(ring: &Ring<Item>) -> Option<usize> {
    // SAFETY: only the owner of the ring calls this.
    unsafe { ring.pop() }.map(Item::number)
}

/// All that the owner finds, one by one.
fn empty(ring: &Ring<Item>) -> Vec<usize> {
    std::iter::from_fn(|| pop(ring)).collect()
}

/// Steals once, into a ring of its own, and returns the loot in the order of a worker's runs.
fn rob(victim: &Ring<Item>) -> Vec<usize> {
    let own = Ring::new();
    // SAFETY: the ring was made here.
    let first = unsafe { victim.steal_into(&own, usize::MAX) };
    first.map(Item::number).into_iter().chain(empty(&own)).collect()
}

fn spawn_thief(victim: &Arc<Ring<Item>>) -> thread::JoinHandle<Vec<usize>> {
    let victim = Arc::clone(victim);
    thread::spawn(move || rob(&victim))
}

#[test]
fn push_and_pop_against_a_thief() {
    check("ring: push and pop, one thief", Bounds::ALL, || {
        let ring = Arc::new(Ring::new());
        push(&ring, 0).unwrap();
        let thief = spawn_thief(&ring);
        push(&ring, 1).unwrap();
        let mut own: Vec<_> = pop(&ring).into_iter().collect();
        push(&ring, 2).unwrap();
        own.extend(empty(&ring));
        let stolen = thief.join().unwrap();
        assert_in_order(&own);
        assert_in_order(&stolen);
        assert_each_once(3, [own, stolen]);
    });
}

/// Fills a ring and goes on pushing, popping if it is full, while thieves copy from it: the slots
/// that they read are the next to be written.
fn go_round<const THIEVES: usize, const STEPS: usize>() {
    let ring = Arc::new(Ring::new());
    for number in 0..CAPACITY {
        push(&ring, number).unwrap();
    }
    let thieves = [(); THIEVES].map(|()| spawn_thief(&ring));
    let mut pushed = CAPACITY;
    let mut own = Vec::new();
    for _ in 0..STEPS {
        match push(&ring, pushed) {
            Ok(()) => pushed += 1,
            Err(_) => own.extend(pop(&ring)),
        }
    }
    let stolen = thieves.map(|thief| thief.join().unwrap());
    own.extend(empty(&ring));
    for seen in stolen.iter().chain([&own]) {
        assert_in_order(seen);
    }
    assert_each_once(pushed, [own, stolen.concat()]);
}

#[test]
fn no_slot_is_overwritten_while_it_is_read() {
    check(
        "ring: a whole round, one thief",
        Bounds::preemptions(3),
        go_round::<1, { CAPACITY + 1 }>,
    );
}

#[test]
fn nor_while_one_thief_follows_another() {
    check("ring: a whole round, two thieves", Bounds::preemptions(2), go_round::<2, 2>);
}

#[test]
fn two_thieves() {
    check("ring: push and pop, two thieves", Bounds::preemptions(3), || {
        let ring = Arc::new(Ring::new());
        push(&ring, 0).unwrap();
        push(&ring, 1).unwrap();
        let thieves = [spawn_thief(&ring), spawn_thief(&ring)];
        push(&ring, 2).unwrap();
        let mut own: Vec<_> = pop(&ring).into_iter().collect();
        let [first, second] = thieves.map(|thief| thief.join().unwrap());
        own.extend(empty(&ring));
        for seen in [&own, &first, &second] {
            assert_in_order(seen);
        }
        assert_each_once(3, [own, first, second]);
    });
}

/// A batch is published at once, and what a thief leaves behind the owner still has.
#[test]
fn extend_against_a_thief() {
    check("ring: extend, one thief", Bounds::ALL, || {
        let ring = Arc::new(Ring::new());
        let thief = spawn_thief(&ring);
        let mut numbers = 0..;
        // SAFETY: this thread owns the ring, which the closure does not touch.
        let count = unsafe { ring.extend(3, || numbers.next().map(Item::new)) };
        assert_eq!(count, 3, "it was empty");
        let own = empty(&ring);
        let stolen = thief.join().unwrap();
        assert_in_order(&own);
        assert_in_order(&stolen);
        assert_each_once(3, [own, stolen]);
    });
}

/// What an owner was told to be free stays free, whatever thieves do.
#[test]
fn vacancies_do_not_vanish() {
    check("ring: vacancies, one thief", Bounds::preemptions(3), || {
        let ring = Arc::new(Ring::new());
        for number in 0..CAPACITY {
            push(&ring, number).unwrap();
        }
        let thief = spawn_thief(&ring);
        let mut own: Vec<_> = pop(&ring).into_iter().collect();
        // SAFETY: this thread owns the ring.
        let vacancies = unsafe { ring.vacancies() };
        let mut numbers = CAPACITY..;
        // SAFETY: as above, and the closure does not touch it. Asking for more looks again.
        let count = unsafe { ring.extend(CAPACITY, || numbers.next().map(Item::new)) };
        assert!(count >= vacancies, "{vacancies} were promised, {count} found");
        own.extend(empty(&ring));
        assert_each_once(CAPACITY + count, [own, thief.join().unwrap()]);
    });
}

/// Head and tail are not read at once, but never so that they cross.
#[test]
fn the_length_is_one_that_may_have_been() {
    check("ring: length", Bounds::ALL, || {
        let ring = Arc::new(Ring::new());
        let observer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || assert!(ring.len() <= 1, "there was never more than one"))
        };
        push(&ring, 0).unwrap();
        assert_eq!(pop(&ring), Some(0));
        observer.join().unwrap();
    });
}

/// The destination of one theft is the victim of another.
#[test]
fn chained_steal() {
    check("ring: chained steal", Bounds::ALL, || {
        let (near, far) = (Arc::new(Ring::new()), Arc::new(Ring::new()));
        push(&near, 0).unwrap();
        for number in 1..=CAPACITY {
            push(&far, number).unwrap();
        }
        let middle = {
            let (near, far) = (Arc::clone(&near), Arc::clone(&far));
            thread::spawn(move || {
                // SAFETY: this thread owns the near ring.
                let first = unsafe { far.steal_into(&near, usize::MAX) }.map(Item::number);
                first.into_iter().chain(pop(&near)).collect::<Vec<_>>()
            })
        };
        let thief = spawn_thief(&near);
        let own: Vec<_> = pop(&far).into_iter().collect();
        let middle = middle.join().unwrap();
        let stolen = thief.join().unwrap();
        assert_in_order(&stolen);
        let left = [empty(&near), empty(&far)].concat();
        assert_each_once(CAPACITY + 1, [own, middle, stolen, left]);
    });
}

/// A worker that hands over its ring goes on as a thief.
#[test]
fn a_new_owner_and_a_thief() {
    check("ring: new owner", Bounds::preemptions(3), || {
        let ring = Arc::new(Ring::new());
        push(&ring, 0).unwrap();
        push(&ring, 1).unwrap();
        let thief = spawn_thief(&ring);
        let heir = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                push(&ring, 2).unwrap();
                empty(&ring)
            })
        };
        let mine = rob(&ring);
        assert_each_once(3, [mine, thief.join().unwrap(), heir.join().unwrap()]);
    });
}

#[test]
fn what_is_left_is_dropped() {
    check("ring: dropped while a thief was there", Bounds::ALL, || {
        let ring = Arc::new(Ring::new());
        for number in 0..3 {
            push(&ring, number).unwrap();
        }
        let thief = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let own = Ring::new();
                // SAFETY: the ring was made here.
                drop(unsafe { ring.steal_into(&own, usize::MAX) });
            })
        };
        drop(ring);
        thief.join().unwrap();
    });
}

/// As for the inbox: the sleeper sees the item or the owner sees the sleeper.
#[test]
fn a_fence_decides_between_sleeper_and_owner() {
    check("ring: sleeper against owner", Bounds::ALL, || {
        let ring = Arc::new(Ring::new());
        let asleep = Arc::new(AtomicBool::new(false));
        let owner = {
            let (ring, asleep) = (Arc::clone(&ring), Arc::clone(&asleep));
            thread::spawn(move || {
                push(&ring, 0).unwrap();
                fence(Ordering::SeqCst);
                asleep.load(Ordering::Relaxed)
            })
        };
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let overslept = ring.is_empty();
        let woken = owner.join().unwrap();
        assert!(woken || !overslept, "an item is in the ring and everybody sleeps");
    });
}
