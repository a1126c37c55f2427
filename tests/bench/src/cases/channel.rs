//! Tasks that wake each other.

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::{Countdown, in_task};
use crate::peer::Peer;

/// A thousand pairs at a time.
pub(super) fn ping_pong<P: Peer>(runtime: &P, operations: u64) {
    const PAIRS: u64 = 1000;
    assert!(operations.is_multiple_of(PAIRS));
    in_task(runtime, async move {
        for _ in 0..operations / PAIRS {
            let (countdown, done) = Countdown::new(PAIRS);
            for _ in 0..PAIRS {
                drop(P::spawn(pair::<P>(countdown.clone())));
            }
            done.await.expect("every pair finishes");
        }
    });
}

async fn pair<P: Peer>(countdown: Arc<Countdown>) {
    let (ping, pinged) = oneshot::channel();
    let (pong, ponged) = oneshot::channel();
    drop(P::spawn(async move {
        let ball: u64 = pinged.await.expect("pinged");
        pong.send(ball + 1).expect("the first task waits");
    }));
    ping.send(1).expect("the second task waits");
    assert_eq!(ponged.await, Ok(2));
    countdown.task_ran();
}

pub(super) const TASKS: usize = 100;
pub(super) const TOKENS: u64 = 10;

/// Tokens go round in a ring of tasks, over a channel that belongs to none of the peers.
pub(super) fn ring<P: Peer>(runtime: &P, operations: u64) {
    in_task(runtime, async move {
        let (countdown, done) = Countdown::new(TOKENS);
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..TASKS).map(|_| async_channel::bounded::<u64>(TOKENS as usize)).unzip();
        for (task, receiver) in receivers.into_iter().enumerate() {
            let (next, countdown) = (senders[(task + 1) % TASKS].clone(), countdown.clone());
            drop(P::spawn(pass_on(receiver, next, countdown)));
        }
        for token in 0..TOKENS {
            let start = token as usize * TASKS / TOKENS as usize;
            senders[start].send(operations / TOKENS).await.expect("the ring is open");
        }
        done.await.expect("every token comes to its end");
        for sender in senders {
            sender.close();
        }
    });
}

/// A task of the ring, until that is closed.
pub(super) async fn pass_on(tokens: Receiver<u64>, next: Sender<u64>, countdown: Arc<Countdown>) {
    while let Ok(hops) = tokens.recv().await {
        if hops == 0 {
            countdown.task_ran();
        } else {
            next.send(hops - 1).await.expect("closed after the last token");
        }
    }
}
