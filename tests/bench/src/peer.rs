//! What a runtime must offer to be measured. Every case is written once, against this.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

/// Which scheduler a case runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flavor {
    MultiThread { workers: usize },
    CurrentThread,
}

/// A runtime; its associated functions act on the one that the calling task runs in.
pub(crate) trait Peer: Sized + Sync + 'static {
    type JoinError: Debug + Send;
    type JoinHandle<T: Send + 'static>: Future<Output = Result<T, Self::JoinError>> + Send + Unpin;
    type Listener: Send + Sync;
    type Stream: AsyncRead + AsyncWrite + Send + Unpin;
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
}

/// The peers share an API, so one text serves them all.
macro_rules! peer {
    ($(#[$doc:meta])* $name:ident, $runtime:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(::$runtime::runtime::Runtime);

        impl Peer for $name {
            type JoinError = ::$runtime::task::JoinError;
            type JoinHandle<T: Send + 'static> = ::$runtime::task::JoinHandle<T>;
            type Listener = ::$runtime::net::TcpListener;
            type Stream = ::$runtime::net::TcpStream;
            type Sleep = ::$runtime::time::Sleep;

            fn build(flavor: Flavor) -> io::Result<Self> {
                use ::$runtime::runtime::Builder;
                let mut builder = match flavor {
                    Flavor::CurrentThread => Builder::new_current_thread(),
                    Flavor::MultiThread { workers } => {
                        let mut builder = Builder::new_multi_thread();
                        builder.worker_threads(workers);
                        builder
                    }
                };
                builder.enable_all().build().map(Self)
            }

            fn block_on<F: Future>(&self, future: F) -> F::Output {
                self.0.block_on(future)
            }

            fn spawn_remote<F>(&self, future: F) -> Self::JoinHandle<F::Output>
            where
                F: Future<Output: Send> + Send + 'static,
            {
                self.0.spawn(future)
            }

            fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
            where
                F: Future<Output: Send> + Send + 'static,
            {
                ::$runtime::task::spawn(future)
            }

            fn spawn_blocking<F, T>(work: F) -> Self::JoinHandle<T>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                ::$runtime::task::spawn_blocking(work)
            }

            fn yield_now() -> impl Future<Output = ()> + Send {
                ::$runtime::task::yield_now()
            }

            fn sleep(duration: Duration) -> Self::Sleep {
                ::$runtime::time::sleep(duration)
            }

            async fn timeout<F: Future + Send>(duration: Duration, future: F) -> bool {
                ::$runtime::time::timeout(duration, future).await.is_ok()
            }

            async fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
                let listener = ::$runtime::net::TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?;
                Ok((listener, address))
            }

            async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }

            async fn connect(to: SocketAddr) -> io::Result<Self::Stream> {
                let stream = ::$runtime::net::TcpStream::connect(to).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
        }
    };
}

peer!(Jenny, jenny);
peer!(Tokio, tokio);
