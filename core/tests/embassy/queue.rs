//! The queue against an ordered map.

use std::{
    collections::BTreeSet,
    sync::Arc,
    task::{Wake, Waker},
};

use jenny_core::embassy::TimerQueue;
use proptest::{prelude::*, test_runner::FileFailurePersistence};

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Schedule { waker: usize, after: u64 },
    Expire { after: u64 },
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0..12usize, 0..50u64).prop_map(|(waker, after)| Operation::Schedule { waker, after }),
        1 => (0..30u64).prop_map(|after| Operation::Expire { after }),
    ]
}

/// The model: who is to be woken when, and whether there is room.
fn check<const N: usize>(operations: &[Operation]) {
    let wakers: Vec<Arc<Nothing>> = (0..12).map(|_| Arc::new(Nothing)).collect();
    let (mut queue, mut model, mut now) = (TimerQueue::<N>::new(), BTreeSet::new(), 0);
    for &operation in operations {
        match operation {
            Operation::Schedule { waker: number, after } => {
                let (at, before) = (now + after, queue.next());
                let known = model.iter().copied().find(|&(_, its)| its == number);
                let changed = queue.schedule_wake(at, &Waker::from(Arc::clone(&wakers[number])));
                match known {
                    Some((earlier, _)) if earlier <= at => assert_eq!(changed, Ok(false)),
                    None if model.len() == N => {
                        assert_eq!(changed.unwrap_err().capacity(), N);
                        continue;
                    }
                    _ => {
                        known.map(|known| model.remove(&known));
                        model.insert((at, number));
                        let is_first = before.is_none_or(|before| at < before);
                        // Among equals, an entry that is brought forward may become the first.
                        assert!(changed == Ok(true) || !is_first);
                    }
                }
            }
            Operation::Expire { after } => {
                now += after;
                let mut last = 0;
                while let Some(waker) = queue.pop_expired(now) {
                    let is_it = |its: &Arc<Nothing>| waker.data() == Arc::as_ptr(its).cast();
                    let number = wakers.iter().position(is_it).unwrap();
                    let entry = *model.iter().find(|&&(_, its)| its == number).unwrap();
                    assert!((last..=now).contains(&entry.0), "out of order, or early");
                    last = entry.0;
                    model.remove(&entry);
                }
                assert!(model.first().is_none_or(|&(at, _)| now < at));
            }
        }
        assert_eq!(queue.len(), model.len());
        assert_eq!(queue.next(), model.first().map(|&(at, _)| at));
        for (number, waker) in wakers.iter().enumerate() {
            let waits = model.iter().any(|&(_, its)| its == number);
            assert_eq!(Arc::strong_count(waker), 1 + usize::from(waits));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_queue_behaves_like_an_ordered_map(
        operations in prop::collection::vec(operation(), 0..200),
    ) {
        check::<1>(&operations);
        check::<7>(&operations);
        check::<12>(&operations);
        check::<64>(&operations);
    }
}
