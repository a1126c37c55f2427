//! The blocking pool.

use super::in_task;
use crate::peer::Peer;

pub(super) fn round_trip<P: Peer>(runtime: &P, operations: u64) {
    let sum = in_task(runtime, async move {
        let mut sum = 0;
        for job in 0..operations {
            sum += P::spawn_blocking(move || job).await.expect("joined");
        }
        sum
    });
    assert_eq!(sum, (0..operations).sum::<u64>());
}

/// Jobs that are in the pool at the same time.
pub(super) const BATCH: u64 = 16;

/// A batch of jobs goes out and comes home, then the next.
pub(super) fn fan_out<P: Peer>(runtime: &P, operations: u64) {
    let sum = in_task(runtime, async move {
        let mut sum = 0;
        for batch in 0..operations / BATCH {
            let jobs = (0..BATCH).map(|job| P::spawn_blocking(move || batch * BATCH + job));
            for job in jobs.collect::<Vec<_>>() {
                sum += job.await.expect("joined");
            }
        }
        sum
    });
    assert_eq!(sum, (0..operations).sum::<u64>());
}
