//! What keeps the workers busy.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use super::probe::{Probe, Waits};
use crate::peer::Peer;

/// A kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Two hundred tasks that are always ready.
    Flood,
    /// Pairs of tasks that wake each other: the one woken last runs next.
    PingPong,
    /// A task that blocks its worker's thread for 200 ms, again and again.
    Stuck,
}

/// How long the stuck task is stuck, and how long it lets the others alone in between.
const STUCK: Duration = Duration::from_millis(200);
const FREE: Duration = Duration::from_millis(20);

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flood => "200 yielding tasks",
            Self::PingPong => "8 pairs in ping-pong",
            Self::Stuck => "a task stuck for 200 ms",
        })
    }
}

/// A load that is running.
pub(crate) struct Running<P: Peer> {
    over: Arc<AtomicBool>,
    tasks: Vec<P::JoinHandle<()>>,
}

impl<P: Peer> Running<P> {
    pub(crate) async fn stop(self) {
        self.over.store(true, Relaxed);
        for task in self.tasks {
            task.await.expect("a task of the load");
        }
    }
}

impl Load {
    /// Whether a probe has something to wait for under this load.
    pub(crate) fn has(self, probe: Probe) -> bool {
        matches!(self, Self::Stuck) || !matches!(probe, Probe::Next)
    }

    pub(crate) fn start<P: Peer>(self, waits: &Waits) -> Running<P> {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        match self {
            Self::Flood => tasks.extend((0..200).map(|_| {
                let over = Arc::clone(&over);
                P::spawn(async move {
                    while !over.load(Relaxed) {
                        P::yield_now().await;
                    }
                })
            })),
            Self::PingPong => {
                for _ in 0..8 {
                    let (ping, pinged) = mpsc::channel(1);
                    let (pong, ponged) = mpsc::channel(1);
                    tasks.push(P::spawn(volley(Arc::clone(&over), ping.clone(), ponged)));
                    tasks.push(P::spawn(volley(Arc::clone(&over), pong, pinged)));
                    ping.try_send(()).expect("an empty channel");
                }
            }
            Self::Stuck => {
                let (over, waits) = (Arc::clone(&over), waits.clone());
                tasks.push(P::spawn(async move {
                    while !over.load(Relaxed) {
                        // Beside it, on the same worker: a timer that fires while it is stuck, and a
                        // task that it has just woken.
                        let late = waits.timer::<P>(STUCK / 4);
                        let timer = P::spawn(late);
                        P::sleep(FREE).await;
                        let next = P::spawn(waits.next_task());
                        thread::sleep(STUCK);
                        timer.await.expect("a timer");
                        next.await.expect("the next task");
                    }
                }));
            }
        }
        Running { over, tasks }
    }
}

/// Waits for the other one, and answers.
async fn volley(over: Arc<AtomicBool>, to: mpsc::Sender<()>, mut from: mpsc::Receiver<()>) {
    while from.recv().await.is_some() && !over.load(Relaxed) {
        if to.send(()).await.is_err() {
            return;
        }
    }
}
