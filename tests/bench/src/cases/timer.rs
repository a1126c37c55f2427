//! Timers, in a task.

use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::in_task;
use crate::peer::{Intervals, Peer};

/// Never over while a case runs.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Registers a sleep: polls it for the first time.
async fn begin<F: Future<Output = ()>>(mut sleep: Pin<&mut F>) {
    poll_fn(|context| {
        assert!(sleep.as_mut().poll(context).is_pending(), "a minute is not over");
        Poll::Ready(())
    })
    .await;
}

pub(super) fn create_drop<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        for _ in 0..operations {
            drop(std::hint::black_box(P::sleep(LONG)));
        }
    });
}

pub(super) fn insert_cancel<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        for _ in 0..operations {
            begin(pin!(P::sleep(LONG))).await;
        }
    });
}

/// All pending at once, with deadlines all over an hour from now.
pub(super) fn many_pending<P: Peer>(runtime: &P, operations: u64) {
    const HOUR_MILLIS: u64 = 3_600_000;
    in_task(runtime, async move {
        let mut pending = Vec::with_capacity(operations as usize);
        for number in 0..operations {
            // A prime, so that neighbours in the list are not neighbours in time.
            let later = Duration::from_millis(number * 7919 % HOUR_MILLIS);
            let mut sleep = Box::pin(P::sleep(LONG + later));
            begin(sleep.as_mut()).await;
            pending.push(sleep);
        }
    });
}

pub(super) fn timeout_ready<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        for _ in 0..operations {
            assert!(P::timeout(LONG, ready(())).await, "ready at once");
        }
    });
}

/// All are due by the time when the last is made, and fire together.
pub(super) fn fire<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        let tasks: Vec<_> =
            (0..operations).map(|_| P::spawn(P::sleep(Duration::from_millis(1)))).collect();
        for task in tasks {
            task.await.expect("joined");
        }
    });
}

/// A thousand intervals of a millisecond, each for as many ticks as there are operations for.
pub(super) fn interval_storm<P: Intervals>(runtime: &P, operations: u64) {
    const INTERVALS: u64 = 1000;
    in_task(runtime, async move {
        let tasks: Vec<_> = (0..INTERVALS)
            .map(|_| P::spawn(P::ticks(Duration::from_millis(1), operations / INTERVALS)))
            .collect();
        for task in tasks {
            task.await.expect("joined");
        }
    });
}
