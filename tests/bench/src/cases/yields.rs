//! Tasks that let others go first.

use super::in_task;
use crate::peer::Peer;

pub(super) fn yields<P: Peer, const TASKS: u64>(runtime: &P, operations: u64) {
    let yielded = in_task(runtime, async move {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                P::spawn(async move {
                    let mut yielded = 0;
                    while yielded < operations / TASKS {
                        P::yield_now().await;
                        yielded += 1;
                    }
                    yielded
                })
            })
            .collect();
        let mut yielded = 0;
        for task in tasks {
            yielded += task.await.expect("joined");
        }
        yielded
    });
    assert_eq!(yielded, operations);
}
