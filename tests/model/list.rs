//! The intrusive list against a deque.

use std::{collections::VecDeque, ptr::NonNull, sync::Arc};

use jenny_core::list::{Linked, List, Pointers};
use proptest::prelude::*;

struct Node {
    number: usize,
    pointers: Pointers<Node>,
}

/// Lists of counted nodes, so that others have references to them.
struct Shared;

// SAFETY: an `Arc` keeps its node alive and in place. The address of the pointers is a projection
// of the node's, and the cell within them permits to write there while the node is shared.
unsafe impl Linked for Shared {
    type Handle = Arc<Node>;
    type Target = Node;

    fn into_raw(node: Arc<Node>) -> NonNull<Node> {
        NonNull::new(Arc::into_raw(node).cast_mut()).expect("never null")
    }

    unsafe fn from_raw(node: NonNull<Node>) -> Arc<Node> {
        // SAFETY: the address came from `into_raw`.
        unsafe { Arc::from_raw(node.as_ptr()) }
    }

    unsafe fn pointers(node: NonNull<Node>) -> NonNull<Pointers<Node>> {
        // SAFETY: the node is alive.
        unsafe { NonNull::new_unchecked(&raw mut (*node.as_ptr()).pointers) }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    PushFront,
    PopFront,
    PopBack,
    /// Removes the node that was made as this one, if it is in the list.
    Remove(usize),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        5 => Just(Operation::PushFront),
        1 => Just(Operation::PopFront),
        1 => Just(Operation::PopBack),
        3 => (0..50_usize).prop_map(Operation::Remove),
    ];
    prop::collection::vec(operation, 1..100)
}

proptest! {
    #[test]
    fn behaves_like_a_deque(operations in operations()) {
        let mut nodes = Vec::new();
        let mut list = List::<Shared>::new();
        let mut model = VecDeque::new();
        let number = |node: NonNull<Node>| {
            // SAFETY: `nodes` keeps all of them alive.
            unsafe { node.as_ref() }.number
        };

        for operation in operations {
            match operation {
                Operation::PushFront => {
                    let node = Arc::new(Node { number: nodes.len(), pointers: Pointers::new() });
                    model.push_front(node.number);
                    list.push_front(Arc::clone(&node));
                    nodes.push(node);
                }
                Operation::PopFront => {
                    prop_assert_eq!(list.pop_front().map(|node| node.number), model.pop_front());
                }
                Operation::PopBack => {
                    prop_assert_eq!(list.pop_back().map(|node| node.number), model.pop_back());
                }
                Operation::Remove(index) => {
                    let Some(node) = nodes.get(index) else { continue };
                    let node = NonNull::new(Arc::as_ptr(node).cast_mut()).expect("never null");
                    // SAFETY: the node is alive, and in this list or in none.
                    let removed = unsafe { list.remove(node) }.map(|node| node.number);
                    let place = model.iter().position(|&number| number == index);
                    prop_assert_eq!(removed, place.and_then(|place| model.remove(place)));
                }
            }
            prop_assert_eq!(list.is_empty(), model.is_empty());
            prop_assert_eq!(list.first().map(number), model.front().copied());
            prop_assert_eq!(list.last().map(number), model.back().copied());
            let mut visited = Vec::new();
            list.for_each(|node| visited.push(number(node)));
            prop_assert!(visited.iter().eq(&model));
        }
        drop(list);
        for node in nodes {
            prop_assert_eq!(Arc::strong_count(&node), 1, "the list kept a handle");
        }
    }
}
