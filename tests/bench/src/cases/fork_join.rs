//! Trees of tasks.

use super::in_task;
use crate::peer::Peer;

/// A tree with a fan-out of ten and as many leaves as operations; each task adds up its children's.
pub(super) fn skynet<P: Peer>(runtime: &P, operations: u64) {
    const FAN_OUT: u64 = 10;
    fn node<P: Peer>(first: u64, leaves: u64) -> P::JoinHandle<u64> {
        P::spawn(async move {
            if leaves == 1 {
                return first;
            }
            let leaves = leaves / FAN_OUT;
            let children: [_; FAN_OUT as usize] =
                std::array::from_fn(|child| node::<P>(first + child as u64 * leaves, leaves));
            let mut sum = 0;
            for child in children {
                sum += child.await.expect("joined");
            }
            sum
        })
    }
    let sum = in_task(runtime, async move { node::<P>(0, operations).await.expect("joined") });
    assert_eq!(sum, (0..operations).sum::<u64>());
}

/// Tasks in a tree of [`fib`].
pub(super) const FIB_TASKS: u64 = 1973;

/// Fibonacci of 15 by a task for each call, as often as there are operations for.
pub(super) fn fib<P: Peer>(runtime: &P, operations: u64) {
    fn call<P: Peer>(n: u64) -> P::JoinHandle<u64> {
        P::spawn(async move {
            if n < 2 {
                return n;
            }
            let (left, right) = (call::<P>(n - 1), call::<P>(n - 2));
            left.await.expect("joined") + right.await.expect("joined")
        })
    }
    in_task(runtime, async move {
        for _ in 0..operations / FIB_TASKS {
            assert_eq!(call::<P>(15).await.expect("joined"), 610);
        }
    });
}

/// Chains in which each task awaits the one that it has spawned.
pub(super) fn recursive<P: Peer>(runtime: &P, operations: u64) {
    const DEPTH: u64 = 100;
    fn link<P: Peer>(depth: u64) -> P::JoinHandle<u64> {
        P::spawn(async move {
            if depth == 1 { 1 } else { link::<P>(depth - 1).await.expect("joined") + 1 }
        })
    }
    let tasks = in_task(runtime, async move {
        let chains: Vec<_> = (0..operations / DEPTH).map(|_| link::<P>(DEPTH)).collect();
        let mut tasks = 0;
        for chain in chains {
            tasks += chain.await.expect("joined");
        }
        tasks
    });
    assert_eq!(tasks, operations);
}
