//! An inbox against a vector and a flag, and the batches that come out of it.

use std::sync::Arc;

use jenny_core::queue::{Batch, Inbox};
use proptest::prelude::*;

use super::Item;

#[derive(Clone, Debug)]
enum Operation {
    Push,
    Drain,
    Close,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        20 => Just(Operation::Push),
        4 => Just(Operation::Drain),
        1 => Just(Operation::Close),
    ];
    prop::collection::vec(operation, 1..100)
}

proptest! {
    #[test]
    fn gives_everything_once_until_it_is_closed(operations in operations()) {
        let token = Arc::new(());
        let inbox = Inbox::new();
        let (mut model, mut closed) = (Vec::new(), false);

        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Push => match inbox.push(Item::counted(number, &token)) {
                    Ok(()) => {
                        prop_assert!(!closed);
                        model.push(number);
                    }
                    Err(item) => {
                        prop_assert!(closed);
                        prop_assert_eq!(item.number(), number);
                    }
                },
                Operation::Drain => {
                    let drained: Vec<_> = inbox.drain().into_batch().map(Item::number).collect();
                    prop_assert_eq!(&drained, &model);
                    model.clear();
                }
                Operation::Close => {
                    let newest_first: Vec<_> = inbox.close().map(Item::number).collect();
                    model.reverse();
                    prop_assert_eq!(&newest_first, &model);
                    model.clear();
                    closed = true;
                }
            }
            prop_assert_eq!(inbox.is_empty(), model.is_empty());
            prop_assert_eq!(inbox.is_closed(), closed);
        }
        prop_assert_eq!(Arc::strong_count(&token), 1 + model.len());
        drop(inbox);
        prop_assert_eq!(Arc::strong_count(&token), 1, "items leaked");
    }

    #[test]
    fn a_batch_behaves_like_a_deque(
        front in 0..20_usize, back in 0..20_usize, other in 0..20_usize, split in 0..70_usize,
    ) {
        let token = Arc::new(());
        let mut model = std::collections::VecDeque::new();
        let mut batch = Batch::new();
        for number in 0..front {
            batch.push_front(Item::counted(number, &token));
            model.push_front(number);
        }
        for number in front..front + back {
            batch.push_back(Item::counted(number, &token));
            model.push_back(number);
        }
        let mut more = Batch::new();
        for number in front + back..front + back + other {
            more.push_back(Item::counted(number, &token));
            model.push_back(number);
        }
        batch.append(&mut more);
        prop_assert!(more.is_empty());
        prop_assert_eq!(batch.len(), model.len());

        let taken = batch.split_front(split);
        prop_assert_eq!(taken.len(), split.min(model.len()));
        prop_assert_eq!(batch.len(), model.len() - taken.len());
        batch.push_back(Item::counted(usize::MAX, &token));
        model.push_back(usize::MAX);
        let all: Vec<_> = taken.chain(batch.by_ref()).map(Item::number).collect();
        prop_assert!(all.iter().eq(&model));

        batch.push_back(Item::counted(0, &token));
        drop(batch);
        prop_assert_eq!(Arc::strong_count(&token), 1, "items leaked");
    }
}
