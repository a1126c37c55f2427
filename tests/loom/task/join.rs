//! The handle and the completer share an output and a waker, and each is used and dropped once.

use std::{sync::Arc as StdArc, task::Poll};

use loom::thread;

use super::{Joiner, Start, check_both, poll, result, run, spawn_ready};
use crate::harness::Bounds;

#[test]
fn drop_against_complete() {
    check_both("task: handle dropped against complete", Bounds::ALL, |queue| {
        let (task, join) = spawn_ready(&queue);
        let other = thread::spawn(move || run(task));
        drop(join);
        other.join().unwrap();
    });
}

/// The handle leaves a waker and goes, as in a `select!`.
#[test]
fn drop_after_poll_against_complete() {
    check_both("task: polled handle dropped against complete", Bounds::ALL, |queue| {
        let (task, mut join) = spawn_ready(&queue);
        let (joiner, waker) = Joiner::new();
        let other = thread::spawn(move || run(task));
        let polled = poll(&mut join, &waker);
        drop(join);
        other.join().unwrap();
        assert!(polled.is_pending() || joiner.wakes() == 0, "woken after it had the output");
    });
}

#[test]
fn poll_against_complete() {
    check_both("task: handle polled against complete", Bounds::ALL, |queue| {
        let (task, mut join) = spawn_ready(&queue);
        let (joiner, waker) = Joiner::new();
        let other = thread::spawn(move || run(task));
        let polled = poll(&mut join, &waker);
        other.join().unwrap();
        match polled {
            Poll::Ready(output) => assert!(output.is_ok()),
            Poll::Pending => {
                assert_eq!(joiner.wakes(), 1);
                assert!(result(join).is_ok());
            }
        }
    });
}

/// A handle that moves from task to task comes with a new waker each time.
#[test]
fn a_new_waker_against_complete() {
    check_both("task: join wakers swapped against complete", Bounds::ALL, |queue| {
        let (task, mut join) = spawn_ready(&queue);
        let joiners = [Joiner::new(), Joiner::new()];
        assert!(poll(&mut join, &joiners[0].1).is_pending());
        let other = thread::spawn(move || run(task));
        let polled = poll(&mut join, &joiners[1].1);
        other.join().unwrap();
        match polled {
            Poll::Ready(output) => assert!(output.is_ok()),
            Poll::Pending => {
                assert_eq!(joiners[1].0.wakes(), 1, "the waker of the last poll counts");
                assert_eq!(joiners[0].0.wakes(), 0);
                assert!(result(join).is_ok());
            }
        }
    });
}

/// The same waker again is compared where it lies, while the other side may take it.
#[test]
fn the_same_waker_against_complete() {
    check_both("task: same join waker against complete", Bounds::ALL, |queue| {
        let (task, mut join) = spawn_ready(&queue);
        let (joiner, waker) = Joiner::new();
        assert!(poll(&mut join, &waker).is_pending());
        let start = Start::new();
        let other = {
            let start = StdArc::clone(&start);
            thread::spawn(move || {
                start.race();
                run(task);
            })
        };
        start.race();
        let polled = poll(&mut join, &waker);
        other.join().unwrap();
        assert_eq!(joiner.wakes(), 1);
        if polled.is_pending() {
            assert!(result(join).is_ok());
        }
    });
}
