//! An overflow and the inbox that it takes in, against deques.

use std::{collections::VecDeque, sync::Arc};

use jenny_core::queue::{Batch, Inbox, Overflow, overflow::STEPS};
use proptest::prelude::*;

use super::{Item, Lock};

#[derive(Clone, Debug)]
enum Operation {
    Push,
    /// So many, one by one.
    PushMany(usize),
    PushBatch(usize),
    /// So many items come into the inbox.
    Arrive(usize),
    Accept,
    Pop,
    Take(usize),
    TakeShare(usize),
    DrainAll,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        4 => Just(Operation::Push),
        2 => (0..2000_usize).prop_map(Operation::PushMany),
        2 => (0..50_usize).prop_map(Operation::PushBatch),
        1 => (50..2000_usize).prop_map(Operation::PushBatch),
        2 => (0..4 * STEPS).prop_map(Operation::Arrive),
        1 => (0..5_usize).prop_map(|off| Operation::Arrive(STEPS - 2 + off)),
        4 => Just(Operation::Accept),
        6 => Just(Operation::Pop),
        6 => (0..200_usize).prop_map(Operation::Take),
        4 => (0..200_usize).prop_map(Operation::TakeShare),
        1 => Just(Operation::DrainAll),
    ];
    prop::collection::vec(operation, 1..60)
}

#[derive(Default)]
struct Model {
    ready: VecDeque<usize>,
    /// Oldest first; the last `turned` of them have been turned around.
    incoming: VecDeque<usize>,
    turned: usize,
    traffic: bool,
}

impl Model {
    /// Returns whether there would have been time for more.
    fn turn(&mut self, steps: &mut usize) -> bool {
        let count = (*steps).min(self.incoming.len() - self.turned);
        self.turned += count;
        *steps -= count;
        if self.turned == self.incoming.len() {
            self.ready.append(&mut self.incoming);
            self.turned = 0;
        }
        *steps > 0
    }

    fn accept(&mut self, inbox: &mut VecDeque<usize>) {
        let mut steps = STEPS;
        if self.turn(&mut steps) {
            self.incoming.append(inbox);
            self.traffic = true;
            self.turn(&mut steps);
        }
    }

    fn take(&mut self, max: usize) -> Vec<usize> {
        self.turn(&mut { STEPS });
        let max = max.min(self.ready.len());
        self.ready.drain(..max).collect()
    }

    /// The least that the length may be.
    fn len(&self) -> usize {
        self.ready.len() + self.turned + usize::from(self.turned < self.incoming.len())
    }
}

proptest! {
    #[test]
    fn keeps_the_order_and_turns_a_few_at_a_time(operations in operations()) {
        let token = Arc::new(());
        let overflow = Overflow::<Item, Lock>::new();
        let inbox = Inbox::new();
        let (mut model, mut arrived) = (Model::default(), VecDeque::new());
        let mut numbers = 0..;
        let mut fresh = |model: &mut VecDeque<usize>| {
            let number = numbers.next().expect("endless");
            model.push_back(number);
            Item::counted(number, &token)
        };

        for operation in operations {
            match operation {
                Operation::Push => overflow.push(fresh(&mut model.ready)),
                Operation::PushMany(count) => {
                    (0..count).for_each(|_| overflow.push(fresh(&mut model.ready)));
                }
                Operation::PushBatch(count) => {
                    let mut batch = Batch::new();
                    for _ in 0..count {
                        batch.push_back(fresh(&mut model.ready));
                    }
                    overflow.push_batch(batch);
                }
                Operation::Arrive(count) => {
                    for _ in 0..count {
                        prop_assert!(inbox.push(fresh(&mut arrived)).is_ok());
                    }
                }
                Operation::Accept => {
                    overflow.accept(|| inbox.drain());
                    model.accept(&mut arrived);
                }
                Operation::Pop => {
                    let popped: Vec<_> = overflow.pop().map(Item::number).into_iter().collect();
                    prop_assert_eq!(popped, model.take(1));
                }
                Operation::Take(max) => {
                    let taken: Vec<_> = overflow.take(max).map(Item::number).collect();
                    prop_assert_eq!(taken, model.take(max));
                }
                Operation::TakeShare(max) => {
                    model.traffic |= !overflow.is_empty();
                    let taken: Vec<_> = overflow.take_share(max).map(Item::number).collect();
                    model.turn(&mut { STEPS });
                    let least = max.min(model.ready.len());
                    prop_assert!((least..=least.max(model.ready.len() / 2)).contains(&taken.len()));
                    prop_assert!(model.ready.drain(..taken.len()).eq(taken));
                    prop_assert_eq!([overflow.had_traffic(), overflow.had_traffic()], [model.traffic, false]);
                    model.traffic = false;
                }
                Operation::DrainAll => {
                    let drained: Vec<_> = overflow.drain_all().map(Item::number).collect();
                    let Model { ready, incoming, traffic, .. } = std::mem::take(&mut model);
                    model.traffic = traffic;
                    prop_assert!(drained.iter().eq(ready.iter().chain(&incoming)));
                }
            }
            prop_assert_eq!(overflow.len(), model.len());
            prop_assert_eq!(overflow.is_empty(), model.len() == 0);
            prop_assert_eq!(inbox.is_empty(), arrived.is_empty());
        }
        drop((overflow, inbox));
        prop_assert_eq!(Arc::strong_count(&token), 1, "items leaked");
    }

    /// However long a backlog is, it is ready after so many visits, and nothing overtakes its items.
    #[test]
    fn a_long_backlog_becomes_ready(count in 1..10 * STEPS) {
        let overflow = Overflow::<Item, Lock>::new();
        let inbox = Inbox::new();
        for number in 0..count {
            prop_assert!(inbox.push(Item::new(number)).is_ok());
        }
        overflow.accept(|| inbox.drain());
        let mut visits = 1;
        let first = loop {
            prop_assert!(!overflow.is_empty());
            match overflow.take(1).next() {
                Some(item) => break item.number(),
                None => visits += 1,
            }
        };
        prop_assert_eq!(first, 0);
        prop_assert!(visits <= count.div_ceil(STEPS));
        let rest: Vec<_> = overflow.take(usize::MAX).map(Item::number).collect();
        prop_assert!(rest.into_iter().eq(1..count));
    }
}
