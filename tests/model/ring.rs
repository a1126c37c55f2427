//! Two rings against two deques: their owners push and pop, and rob each other.

use std::{collections::VecDeque, sync::Arc};

use jenny_core::queue::{Ring, ring::CAPACITY};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Push,
    Extend(usize),
    Pop(usize),
    /// Steals from the other ring.
    Steal,
}

fn operations() -> impl Strategy<Value = Vec<(usize, Operation)>> {
    let operation = prop_oneof![
        2 => Just(Operation::Push),
        3 => (0..CAPACITY + 10).prop_map(Operation::Extend),
        3 => (0..CAPACITY).prop_map(Operation::Pop),
        2 => Just(Operation::Steal),
    ];
    prop::collection::vec((0..2_usize, operation), 1..100)
}

proptest! {
    #[test]
    fn behaves_like_a_bounded_deque(operations in operations()) {
        let token = Arc::new(());
        let rings = [(); 2].map(|()| Ring::new());
        let mut models = [(); 2].map(|()| VecDeque::new());
        let mut numbers = 0..;
        let mut fresh = || (numbers.next().expect("endless"), Arc::clone(&token));

        for (own, operation) in operations {
            let (ring, victim) = (&rings[own], &rings[1 - own]);
            // SAFETY, for every operation: there is one thread, which owns both rings.
            match operation {
                Operation::Push => {
                    let (number, token) = fresh();
                    // SAFETY: see above.
                    let pushed = unsafe { ring.push((number, token)) };
                    prop_assert_eq!(pushed.is_ok(), models[own].len() < CAPACITY);
                    if pushed.is_ok() {
                        models[own].push_back(number);
                    }
                }
                Operation::Extend(max) => {
                    let room = max.min(CAPACITY - models[own].len());
                    let model = &mut models[own];
                    // SAFETY: see above; the closure does not touch the ring.
                    let count = unsafe {
                        ring.extend(max, || {
                            let item = fresh();
                            model.push_back(item.0);
                            Some(item)
                        })
                    };
                    prop_assert_eq!(count, room);
                }
                Operation::Pop(count) => {
                    for _ in 0..count {
                        // SAFETY: see above.
                        let popped = unsafe { ring.pop() }.map(|item| item.0);
                        prop_assert_eq!(popped, models[own].pop_front());
                    }
                }
                Operation::Steal => {
                    let half = models[1 - own].len().div_ceil(2);
                    let count = half.min(CAPACITY - models[own].len() + 1);
                    let mut loot: VecDeque<_> = models[1 - own].drain(..count).collect();
                    // SAFETY: see above.
                    let stolen = unsafe { victim.steal_into(ring, usize::MAX) }.map(|item| item.0);
                    prop_assert_eq!(stolen, loot.pop_front());
                    models[own].append(&mut loot);
                }
            }
            for (ring, model) in rings.iter().zip(&models) {
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.is_empty(), model.is_empty());
                // SAFETY: see above.
                prop_assert_eq!(unsafe { ring.vacancies() }, CAPACITY - model.len());
            }
        }
        drop(rings);
        prop_assert_eq!(Arc::strong_count(&token), 1, "items leaked");
    }
}

/// What the source gave before it panicked is in the ring.
#[test]
fn a_panicking_source_loses_nothing() {
    let ring = Ring::new();
    let mut numbers = 0..3;
    let filling = std::panic::AssertUnwindSafe(|| {
        // SAFETY: there is one thread, and the closure does not touch the ring.
        unsafe { ring.extend(CAPACITY, || Some(numbers.next().expect("the source runs dry"))) }
    });
    assert!(std::panic::catch_unwind(filling).is_err());
    // SAFETY: there is one thread.
    let found: Vec<_> = std::iter::from_fn(|| unsafe { ring.pop() }).collect();
    assert_eq!(found, [0, 1, 2]);
}
