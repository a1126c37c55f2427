//! The queues under real threads: every item is seen exactly once, in its order.

use std::{
    iter,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use jenny_core::queue::{Batch, Inbox, Overflow, Ring, ring::CAPACITY};

use super::{Item, Lock};

/// Ticks off each number once.
struct Seen {
    numbers: Vec<AtomicBool>,
    count: AtomicUsize,
}

impl Seen {
    fn new(total: usize) -> Self {
        let numbers = iter::repeat_with(|| AtomicBool::new(false)).take(total).collect();
        Self { numbers, count: AtomicUsize::new(0) }
    }

    fn tick(&self, number: usize) {
        assert!(!self.numbers[number].swap(true, Ordering::Relaxed), "{number} was seen twice");
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn is_complete(&self) -> bool {
        self.count.load(Ordering::Relaxed) == self.numbers.len()
    }
}

/// Asserts that numbers come in ascending order.
#[derive(Default)]
struct Ascending {
    next: usize,
}

impl Ascending {
    fn see(&mut self, number: usize) {
        assert!(number >= self.next, "{number} comes after {}", self.next - 1);
        self.next = number + 1;
    }
}

#[test]
fn one_owner_and_three_thieves() {
    const TOTAL: usize = 2_000_000;
    let ring = Ring::new();
    let seen = Seen::new(TOTAL);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let own = Ring::new();
                let mut order = Ascending::default();
                while !seen.is_complete() {
                    // SAFETY: this thread owns the ring that it made.
                    let mut next = unsafe { ring.steal_into(&own, usize::MAX) };
                    if next.is_none() {
                        thread::yield_now();
                    }
                    while let Some(number) = next {
                        order.see(number);
                        seen.tick(number);
                        // SAFETY: as above.
                        next = unsafe { own.pop() };
                    }
                }
            });
        }
        let mut numbers = 0..TOTAL;
        let mut order = Ascending::default();
        while !seen.is_complete() {
            // SAFETY: this thread owns the ring, and the closure does not touch it.
            let filled = unsafe { ring.extend(7, || numbers.next()) };
            // It takes less than it puts in, so that the ring is full most of the time.
            for _ in 0..filled.max(2) / 2 {
                // SAFETY: as above.
                if let Some(number) = unsafe { ring.pop() } {
                    order.see(number);
                    seen.tick(number);
                } else {
                    thread::yield_now();
                }
            }
        }
    });
    assert!(ring.is_empty());
}

#[test]
fn four_producers_and_two_drainers() {
    const EACH: usize = 250_000;
    const PRODUCERS: usize = 4;
    let inbox = Inbox::new();
    let seen = Seen::new(PRODUCERS * EACH);
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let inbox = &inbox;
            scope.spawn(move || {
                for number in producer * EACH..(producer + 1) * EACH {
                    assert!(inbox.push(Item::new(number)).is_ok(), "nobody closed it");
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut orders = [(); PRODUCERS].map(|()| Ascending::default());
                while !seen.is_complete() {
                    let batch = inbox.drain().into_batch();
                    if batch.is_empty() {
                        thread::yield_now();
                    }
                    for number in batch.map(Item::number) {
                        orders[number / EACH].see(number);
                        seen.tick(number);
                    }
                }
            });
        }
    });
    assert!(inbox.is_empty());
}

/// Producers run against the close: what was accepted comes out, and the rest is refused.
#[test]
fn a_close_in_the_middle_of_it() {
    const EACH: usize = 2_000;
    for round in 0..50 {
        let inbox = Inbox::new();
        let seen = Seen::new(3 * EACH);
        thread::scope(|scope| {
            for producer in 0..3 {
                let (inbox, seen) = (&inbox, &seen);
                scope.spawn(move || {
                    let mut refused = false;
                    for number in producer * EACH..(producer + 1) * EACH {
                        match inbox.push(Item::new(number)) {
                            Ok(()) => assert!(!refused, "it was closed already"),
                            Err(item) => {
                                refused = true;
                                seen.tick(item.number());
                            }
                        }
                    }
                });
            }
            for _ in 0..round * 20 {
                inbox.drain().for_each(|item| seen.tick(item.number()));
            }
            inbox.close().for_each(|item| seen.tick(item.number()));
        });
        assert!(seen.is_complete() && inbox.is_empty());
    }
}

/// Everything that a worker has, as workers use it: a flood in the inbox, a ring that overflows, and
/// thieves at all three.
#[test]
fn a_worker_and_its_thieves() {
    const FROM_INBOX: usize = 300_000;
    const TOTAL: usize = 2 * FROM_INBOX;
    let ring = Ring::<Item>::new();
    let inbox = Inbox::new();
    let overflow = Overflow::<Item, Lock>::new();
    let seen = Seen::new(TOTAL);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..FROM_INBOX {
                assert!(inbox.push(Item::new(number)).is_ok(), "nobody closed it");
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let own = Ring::new();
                while !seen.is_complete() {
                    // SAFETY: this thread owns the ring that it made.
                    let first = unsafe { ring.steal_into(&own, usize::MAX) };
                    // SAFETY: as above.
                    let others = iter::from_fn(|| unsafe { own.pop() });
                    first.into_iter().chain(others).for_each(|item| seen.tick(item.number()));
                    overflow.take(CAPACITY / 2).for_each(|item| seen.tick(item.number()));
                    thread::yield_now();
                }
            });
        }
        let mut numbers = FROM_INBOX..TOTAL;
        while !seen.is_complete() {
            overflow.accept(|| inbox.drain());
            let mut spilled = Batch::new();
            for number in numbers.by_ref().take(40) {
                // SAFETY: this thread owns the ring.
                if let Err(item) = unsafe { ring.push(Item::new(number)) } {
                    spilled.push_back(item);
                }
            }
            overflow.push_batch(spilled);
            for _ in 0..20 {
                // SAFETY: as above.
                match unsafe { ring.pop() } {
                    Some(item) => seen.tick(item.number()),
                    None => {
                        // SAFETY: as above.
                        let mut batch = overflow.take(unsafe { ring.vacancies() });
                        // SAFETY: as above; the batch is not the ring.
                        unsafe { ring.extend(CAPACITY, || batch.pop_front()) };
                        assert!(batch.is_empty(), "there was a vacancy for each");
                    }
                }
            }
        }
    });
    assert!(ring.is_empty() && inbox.is_empty() && overflow.is_empty());
}
