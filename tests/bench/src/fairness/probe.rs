//! What waits, and how long it waited.

use std::{
    fmt,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use tokio::io::AsyncReadExt;

use crate::peer::Peer;

/// Something that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Probe {
    Timer,
    Socket,
    Inbox,
    Next,
}

impl Probe {
    pub(crate) const ALL: [Self; 4] = [Self::Timer, Self::Socket, Self::Inbox, Self::Next];
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timer => "a timer",
            Self::Socket => "bytes in a socket",
            Self::Inbox => "a task from outside",
            Self::Next => "the stuck task's next",
        })
    }
}

/// The longest wait of each probe so far, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<[AtomicU64; Probe::ALL.len()]>);

impl Waits {
    fn record(&self, probe: Probe, since: Instant) {
        self.0[probe as usize].fetch_max(since.elapsed().as_nanos() as u64, Relaxed);
    }

    pub(crate) fn longest(&self) -> [Duration; Probe::ALL.len()] {
        std::array::from_fn(|probe| Duration::from_nanos(self.0[probe].load(Relaxed)))
    }

    /// Sleeps once, and records how late it was.
    pub(crate) fn timer<P: Peer>(&self, sleep: Duration) -> impl Future<Output = ()> + use<P> {
        let waits = self.clone();
        async move {
            let due = Instant::now() + sleep;
            P::sleep(sleep).await;
            waits.record(Probe::Timer, due);
        }
    }

    /// Records how long the task that it becomes has waited for its first poll.
    pub(crate) fn next_task(&self) -> impl Future<Output = ()> + use<> {
        let (waits, spawned) = (self.clone(), Instant::now());
        async move { waits.record(Probe::Next, spawned) }
    }
}

/// How often each probe waits.
const PAUSE: Duration = Duration::from_millis(3);

/// Starts the probes, which end by themselves after `time`.
pub(crate) async fn start<'s, P: Peer>(
    runtime: &'s P,
    threads: &'s Scope<'s, '_>,
    waits: &Waits,
    time: Duration,
) -> Vec<P::JoinHandle<()>> {
    let end = Instant::now() + time;
    let mut probes = Vec::new();
    for _ in 0..4 {
        let waits = waits.clone();
        probes.push(P::spawn(async move {
            while Instant::now() < end {
                waits.timer::<P>(PAUSE).await;
            }
        }));
    }
    let (listener, address) = P::listen().await.expect("a free port");
    let epoch = Instant::now();
    for _ in 0..4 {
        let mut sender = std::net::TcpStream::connect(address).expect("a connection");
        sender.set_nodelay(true).expect("a socket option");
        let mut receiver = P::accept(&listener).await.expect("a connection");
        threads.spawn(move || {
            while Instant::now() < end {
                let sent = epoch.elapsed().as_nanos() as u64;
                sender.write_all(&sent.to_le_bytes()).expect("sent");
                thread::sleep(PAUSE);
            }
        });
        let waits = waits.clone();
        probes.push(P::spawn(async move {
            let mut sent = [0; 8];
            while receiver.read_exact(&mut sent).await.is_ok() {
                let sent = Duration::from_nanos(u64::from_le_bytes(sent));
                waits.record(Probe::Socket, epoch + sent);
            }
        }));
    }
    let (outside, done) = (waits.clone(), tokio::sync::oneshot::channel::<()>());
    threads.spawn(move || {
        while Instant::now() < end {
            let (waits, spawned) = (outside.clone(), Instant::now());
            drop(runtime.spawn_remote(async move { waits.record(Probe::Inbox, spawned) }));
            thread::sleep(PAUSE);
        }
        drop(done.0);
    });
    probes.push(P::spawn(async move {
        // An error: the thread has ended.
        drop(done.1.await);
    }));
    probes
}
