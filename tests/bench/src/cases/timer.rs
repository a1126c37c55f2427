//! Timers, in a task.

use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::in_task;
use crate::peer::Peer;

/// Never over while a case runs.
const LONG: Duration = Duration::from_secs(60);

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

/// Sleeps that wait beside those that come and go.
const PENDING: u64 = 10_000;

pub(super) fn insert_cancel_among_many<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        let mut pending = Vec::new();
        for n in 0..PENDING {
            let mut sleep = Box::pin(P::sleep(LONG + Duration::from_millis(n * 37 % 60_000)));
            begin(sleep.as_mut()).await;
            pending.push(sleep);
        }
        for n in 0..operations {
            begin(pin!(P::sleep(LONG + Duration::from_millis(n * 53 % 60_000)))).await;
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
