//! What a runtime must offer to be measured. Every case is written once, against this.

mod api;
mod smol;

use std::fmt::{self, Debug};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use api::{Jenny, JennyLocal, Tokio, TokioLocal};
pub(crate) use smol::{Smol, SmolLocal};

/// Who is measured. The order is that of the figures everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    Jenny,
    Tokio,
    Smol,
    /// What is left of a case without a runtime.
    Floor,
}

impl Name {
    pub(crate) const PEERS: [Self; 3] = [Self::Jenny, Self::Tokio, Self::Smol];
    pub(crate) const ALL: [Self; 4] = [Self::Jenny, Self::Tokio, Self::Smol, Self::Floor];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.to_string() == text)
    }

    /// The crate whose version is that of the peer.
    pub(crate) fn package(self) -> Option<&'static str> {
        match self {
            Self::Jenny => Some("jenny"),
            Self::Tokio => Some("tokio"),
            Self::Smol => Some("async-executor"),
            Self::Floor => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Jenny => "jenny",
            Self::Tokio => "Tokio",
            Self::Smol => "smol",
            Self::Floor => "floor",
        })
    }
}

/// Which scheduler a case runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flavor {
    MultiThread { workers: usize },
    CurrentThread,
}

/// A runtime with timers and I/O; its associated functions act on the one that the calling task
/// runs in.
pub(crate) trait Peer: Sized + Sync + 'static {
    type JoinError: Debug + Send;
    /// Dropped, it lets the task go on.
    type JoinHandle<T: Send + 'static>: Future<Output = Result<T, Self::JoinError>> + Send + Unpin;
    type Listener: Send + Sync;
    type Stream: AsyncRead + AsyncWrite + AsFd + Send + Unpin;
    /// A stream as hyper takes it.
    type Http: hyper::rt::Read + hyper::rt::Write + Send + Unpin;
    type Sleep: Future<Output = ()> + Send;

    fn build(flavor: Flavor) -> io::Result<Self>;
    fn block_on<F: Future>(&self, future: F) -> F::Output;
    /// Spawns from outside.
    fn spawn_remote<F>(&self, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;
    fn spawn_blocking<F, T>(work: F) -> Self::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;
    fn yield_now() -> impl Future<Output = ()> + Send;
    fn sleep(duration: Duration) -> Self::Sleep;
    /// True if the future was ready in time.
    fn timeout<F: Future + Send>(
        duration: Duration,
        future: F,
    ) -> impl Future<Output = bool> + Send;

    /// Listens on a free port of the loopback interface.
    fn listen() -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn http(stream: Self::Stream) -> Self::Http;
}

/// A peer with intervals that catch up with the ticks that they missed.
pub(crate) trait Intervals: Peer {
    /// Waits for so many ticks.
    fn ticks(period: Duration, count: u64) -> impl Future<Output = ()> + Send;
}

/// A runtime for tasks that are not `Send`, on the thread that built it.
pub(crate) trait LocalPeer: Sized + 'static {
    type JoinHandle<T: 'static>: Future<Output = Result<T, Self::JoinError>> + Unpin;
    type JoinError: Debug;

    fn build() -> io::Result<Self>;
    fn block_on<F: Future>(&self, future: F) -> F::Output;
    fn spawn<F: Future<Output: 'static> + 'static>(future: F) -> Self::JoinHandle<F::Output>;
    fn yield_now() -> impl Future<Output = ()>;
}
