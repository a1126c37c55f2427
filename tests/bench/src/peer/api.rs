//! jenny and Tokio share an API, so one text serves both.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::TokioIo;

use super::{Flavor, Intervals, LocalPeer, Peer};

macro_rules! peer {
    ($(#[$doc:meta])* $name:ident, $runtime:ident, $http:ty, $wrap:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(::$runtime::runtime::Runtime);

        impl Peer for $name {
            type JoinError = ::$runtime::task::JoinError;
            type JoinHandle<T: Send + 'static> = ::$runtime::task::JoinHandle<T>;
            type Listener = ::$runtime::net::TcpListener;
            type Stream = ::$runtime::net::TcpStream;
            type Http = $http;
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

            // Whether the compiler does so by itself changes from build to build, a third of `sleep_create`.
            #[inline]
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

            fn http(stream: Self::Stream) -> Self::Http {
                $wrap(stream)
            }
        }

        impl Intervals for $name {
            async fn ticks(period: Duration, count: u64) {
                let mut interval = ::$runtime::time::interval(period);
                for _ in 0..count {
                    interval.tick().await;
                }
            }
        }
    };
}

peer!(Jenny, jenny, jenny::net::TcpStream, std::convert::identity);
peer!(Tokio, tokio, TokioIo<tokio::net::TcpStream>, TokioIo::new);

impl Jenny {
    /// A runtime of one worker, whose tasks the thread in `block_on` may run, too.
    pub(crate) fn build_lending() -> io::Result<Self> {
        let mut builder = jenny::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).block_on_runs_tasks(true).enable_all().build().map(Self)
    }
}

/// `LocalRuntime`.
#[derive(Debug)]
pub(crate) struct JennyLocal(jenny::runtime::LocalRuntime);

impl LocalPeer for JennyLocal {
    type JoinHandle<T: 'static> = jenny::task::JoinHandle<T>;
    type JoinError = jenny::task::JoinError;

    fn build() -> io::Result<Self> {
        jenny::runtime::LocalRuntime::new().map(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F: Future<Output: 'static> + 'static>(future: F) -> Self::JoinHandle<F::Output> {
        jenny::task::spawn_local(future)
    }

    fn yield_now() -> impl Future<Output = ()> {
        jenny::task::yield_now()
    }
}

/// A `LocalSet` on `current_thread`: Tokio compiles its `LocalRuntime` only as unstable.
#[derive(Debug)]
pub(crate) struct TokioLocal {
    runtime: tokio::runtime::Runtime,
    tasks: tokio::task::LocalSet,
}

impl LocalPeer for TokioLocal {
    type JoinHandle<T: 'static> = tokio::task::JoinHandle<T>;
    type JoinError = tokio::task::JoinError;

    fn build() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, tasks: tokio::task::LocalSet::new() })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tasks.block_on(&self.runtime, future)
    }

    fn spawn<F: Future<Output: 'static> + 'static>(future: F) -> Self::JoinHandle<F::Output> {
        tokio::task::spawn_local(future)
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }
}
