//! An aborted task is cancelled or complete in the end, whatever else happens to it.

use std::task::Poll;

use loom::{sync::Arc, thread};

use super::{Asleep, Joiner, Queue, check_both, poll, result, run, spawn_asleep, spawn_ready};
use crate::harness::{Bounds, check};

/// The task would wait, and is cancelled in place of its next poll.
#[test]
fn abort_against_poll() {
    check("task: abort against poll", Bounds::ALL, || {
        let queue = Queue::new();
        let Asleep { waker, join, .. } = spawn_asleep::<1>(&queue);
        waker.wake();
        let abort = join.abort_handle();
        let other = thread::spawn(move || abort.abort());
        queue.run();
        other.join().unwrap();
        queue.run();
        assert!(result(join).unwrap_err().is_cancelled());
    });
}

#[test]
fn abort_against_complete() {
    check_both("task: abort against complete", Bounds::ALL, |queue| {
        let (task, join) = spawn_ready(&queue);
        let abort = join.abort_handle();
        let other = thread::spawn(move || abort.abort());
        run(task);
        other.join().unwrap();
        assert_eq!(queue.take().count(), 0);
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// The handle waits for the end of a task that is being aborted.
#[test]
fn abort_against_join() {
    check_both("task: abort against join", Bounds::preemptions(3), |queue| {
        let (task, mut join) = spawn_ready(&queue);
        let (joiner, waker) = Joiner::new();
        let abort = join.abort_handle();
        let others = [thread::spawn(move || abort.abort()), thread::spawn(move || run(task))];
        let polled = poll(&mut join, &waker);
        for other in others {
            other.join().unwrap();
        }
        let ended = match polled {
            Poll::Ready(ended) => ended,
            Poll::Pending => {
                assert_eq!(joiner.wakes(), 1);
                result(join)
            }
        };
        assert!(ended.map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// An idle task is claimed once, by one of two aborts or by the wake.
#[test]
fn two_aborts_and_a_wake() {
    check("task: two aborts and a wake", Bounds::preemptions(3), || {
        let queue = Queue::new();
        let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
        let abort = join.abort_handle();
        let others = [
            thread::spawn(move || abort.abort()),
            thread::spawn(move || {
                announcement.make();
                waker.wake();
            }),
        ];
        join.abort();
        queue.run();
        for other in others {
            other.join().unwrap();
        }
        queue.run();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// The abort makes the Runnable of a task that another thread has just left idle, and drops the
/// future.
#[test]
fn the_future_follows_the_abort() {
    check("task: who aborts drops the future", Bounds::ALL, || {
        let queue = Queue::new();
        let Asleep { waker, join, .. } = spawn_asleep::<1>(&queue);
        waker.wake();
        let other = {
            let (queue, abort) = (Arc::clone(&queue), join.abort_handle());
            thread::spawn(move || {
                abort.abort();
                queue.run();
            })
        };
        queue.run();
        other.join().unwrap();
        queue.run();
        assert!(result(join).unwrap_err().is_cancelled());
    });
}
