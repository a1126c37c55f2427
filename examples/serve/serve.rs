//! An axum `Router` over a jenny listener, with graceful shutdown.
//!
//! # What the shutdown guarantees
//!
//! Every request that the router has begun to handle is answered in full. Beyond that, when the
//! signal comes:
//!
//! 1. Connections that wait in the kernel's backlog are accepted, then the listener is closed.
//! 2. Every answer from now on says `connection: close`, so that a client moves on by itself.
//! 3. A connection without a request keeps a [`GRACE`] to bring one that is already under way, and
//!    is closed then.
//! 4. [`Serve`] resolves when the last connection is done.
//!
//! So a client that was connected before the listener was closed, and keeps sending, gets an answer
//! to everything. Only two clients meet a closed connection, both before the first byte of an
//! answer: one whose handshake ends in the instant between the last accept and the close, and one
//! that was silent for the whole grace.

use std::convert::Infallible;
use std::future::{Future, IntoFuture, Pending, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use axum::Router;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use jenny::net::{TcpListener, TcpStream};
use jenny::sync::watch;
use jenny::time::{Duration, sleep};
use tower_service::Service;

/// How long a silent connection may take to bring a last request.
const GRACE: Duration = Duration::from_millis(250);

/// The pause after an accept that failed for want of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);

/// More than the kernel's backlog holds, so that what waited there at the signal is accepted, and
/// clients that come ever anew cannot hold up the shutdown.
const BACKLOG: usize = 4096;

/// What a server has done by the time it has shut down.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) connections: u64,
    pub(crate) requests: u64,
}

/// A server that runs when it is awaited.
#[derive(Debug)]
#[must_use = "a server does nothing until it is awaited"]
pub(crate) struct Serve<S> {
    listener: TcpListener,
    router: Router,
    signal: S,
}

/// Serves the router over HTTP/1.1, for ever.
pub(crate) fn serve(listener: TcpListener, router: Router) -> Serve<Pending<()>> {
    Serve { listener, router, signal: pending() }
}

impl<S> Serve<S> {
    /// Shuts down, in the steps above, when the signal resolves.
    pub(crate) fn with_graceful_shutdown<T>(self, signal: T) -> Serve<T>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Serve { listener: self.listener, router: self.router, signal }
    }
}

impl<S> IntoFuture for Serve<S>
where
    S: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<Served>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let server = Server::new(self.router);
            let mut signal = pin!(self.signal);
            loop {
                // `accept` may be dropped at any time without losing a connection.
                jenny::select! {
                    biased;
                    () = &mut signal => break,
                    stream = accept(&self.listener) => server.spawn(stream),
                }
            }
            server.shut_down(self.listener).await
        })
    }
}

/// The next connection; failures are waited out.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => recover(error).await,
        }
    }
}

/// Returns when accepting is worth another try.
async fn recover(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    // The client gave up while it waited: that concerns no other connection.
    if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        return;
    }
    // Out of descriptors or memory: the connection stays in the backlog, and an accept at once
    // would fail again. Connections that end meanwhile give back what is missing.
    eprintln!("cannot accept: {error}; trying again in {BACK_OFF:?}");
    sleep(BACK_OFF).await;
}

/// What the connections of one server share.
#[derive(Debug)]
struct Shared {
    router: Router,
    stopping: AtomicBool,
    requests: AtomicU64,
}

#[derive(Debug)]
struct Server {
    shared: Arc<Shared>,
    connections: AtomicU64,
    /// True when the grace is over. Every connection holds a receiver until it is done.
    close: watch::Sender<bool>,
}

impl Server {
    fn new(router: Router) -> Self {
        let shared =
            Shared { router, stopping: AtomicBool::new(false), requests: AtomicU64::new(0) };
        Self {
            shared: Arc::new(shared),
            connections: AtomicU64::new(0),
            close: watch::Sender::new(false),
        }
    }

    fn spawn(&self, stream: TcpStream) {
        self.connections.fetch_add(1, Relaxed);
        // Small answers should leave at once; a socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        jenny::task::spawn(connection(stream, self.shared.clone(), self.close.subscribe()));
    }

    async fn shut_down(self, listener: TcpListener) -> io::Result<Served> {
        self.shared.stopping.store(true, Relaxed);
        // The standard listener asks the kernel itself, where ours would trust a readiness that
        // may not have been reported yet.
        let listener = listener.into_std()?;
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.spawn(TcpStream::from_std(stream)?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => recover(error).await,
            }
        }
        drop(listener);

        jenny::select! {
            biased;
            () = self.close.closed() => {}
            () = sleep(GRACE) => {
                self.close.send_replace(true);
                self.close.closed().await;
            }
        }
        Ok(Served {
            connections: self.connections.load(Relaxed),
            requests: self.shared.requests.load(Relaxed),
        })
    }
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, shared: Arc<Shared>, mut close: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        shared.requests.fetch_add(1, Relaxed);
        let answer = shared.router.clone().call(request);
        let shared = &shared;
        async move {
            let mut answer: Response = answer.await?;
            if shared.stopping.load(Relaxed) {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(stream, service));
    // The connection comes first: what its socket holds is read before anybody says stop. An error
    // is a client that went away or does not speak HTTP; hyper has told it what it could.
    jenny::select! {
        biased;
        _ = &mut connection => return,
        _ = close.wait_for(|close| *close) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
