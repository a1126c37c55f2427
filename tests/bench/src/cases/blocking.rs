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
