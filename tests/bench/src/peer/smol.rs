//! smol: async-executor, with async-io for time and sockets and blocking for threads, put together
//! as the `smol` crate does.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use async_executor::{Executor, LocalExecutor, Task};
use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncWrite, future};
use hyper_util::rt::TokioIo;
use tokio::io::ReadBuf;

use super::{Flavor, LocalPeer, Peer};

thread_local! {
    /// The executor that this thread works for: what `smol::spawn` takes from a static, where there
    /// is room for one only.
    static CURRENT: Cell<Option<&'static Executor<'static>>> = const { Cell::new(None) };
    static LOCAL: Cell<Option<&'static LocalExecutor<'static>>> = const { Cell::new(None) };
}

fn current() -> &'static Executor<'static> {
    CURRENT.get().expect("inside the runtime")
}

/// An executor with its worker threads, which lives as long as the process, as smol's own does;
/// its threads end with this.
#[derive(Debug)]
pub(crate) struct Smol {
    executor: &'static Executor<'static>,
    workers: Vec<thread::JoinHandle<()>>,
    /// Closed, it stops the workers.
    stop: async_channel::Sender<Infallible>,
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.close();
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker");
        }
    }
}

impl Peer for Smol {
    type JoinError = Infallible;
    type JoinHandle<T: Send + 'static> = Handle<T>;
    type Listener = Async<TcpListener>;
    type Stream = Stream;
    type Http = TokioIo<Stream>;
    type Sleep = Sleep;

    fn build(flavor: Flavor) -> io::Result<Self> {
        let executor: &Executor<'_> = Box::leak(Box::default());
        let (stop, stopped) = async_channel::bounded(1);
        let workers = match flavor {
            Flavor::CurrentThread => 0,
            Flavor::MultiThread { workers } => workers,
        };
        let work = |_| {
            let stopped: async_channel::Receiver<Infallible> = stopped.clone();
            thread::Builder::new().spawn(move || {
                CURRENT.set(Some(executor));
                // An error: the channel is closed.
                let Err(_) = async_io::block_on(executor.run(stopped.recv()));
            })
        };
        let workers = (0..workers).map(work).collect::<io::Result<_>>()?;
        Ok(Self { executor, workers, stop })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let outer = CURRENT.replace(Some(self.executor));
        let output = if self.workers.is_empty() {
            async_io::block_on(self.executor.run(future))
        } else {
            async_io::block_on(future)
        };
        CURRENT.set(outer);
        output
    }

    fn spawn_remote<F>(&self, future: F) -> Handle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Handle(Some(self.executor.spawn(future)))
    }

    fn spawn<F>(future: F) -> Handle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Handle(Some(current().spawn(future)))
    }

    fn spawn_blocking<F, T>(work: F) -> Handle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Handle(Some(blocking::unblock(work)))
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }

    // Whether the compiler does so by itself changes from build to build, a third of `sleep_create`.
    #[inline]
    fn sleep(duration: Duration) -> Sleep {
        Sleep(Timer::after(duration))
    }

    async fn timeout<F: Future + Send>(duration: Duration, future: F) -> bool {
        // Made here, so that the time counts from the call, as the others' does.
        let mut timer = Timer::after(duration);
        let in_time = async { (future.await, true).1 };
        let late = async { ((&mut timer).await, false).1 };
        future::or(in_time, late).await
    }

    async fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.get_ref().local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Stream> {
        let (stream, _) = listener.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(Stream(stream))
    }

    async fn connect(to: SocketAddr) -> io::Result<Stream> {
        let stream = Async::<TcpStream>::connect(to).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(Stream(stream))
    }

    fn http(stream: Stream) -> TokioIo<Stream> {
        TokioIo::new(stream)
    }
}

/// The same for futures that are not `Send`.
#[derive(Debug)]
pub(crate) struct SmolLocal(&'static LocalExecutor<'static>);

impl LocalPeer for SmolLocal {
    type JoinHandle<T: 'static> = Handle<T>;
    type JoinError = Infallible;

    fn build() -> io::Result<Self> {
        Ok(Self(Box::leak(Box::default())))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let outer = LOCAL.replace(Some(self.0));
        let output = async_io::block_on(self.0.run(future));
        LOCAL.set(outer);
        output
    }

    fn spawn<F: Future<Output: 'static> + 'static>(future: F) -> Handle<F::Output> {
        Handle(Some(LOCAL.get().expect("inside the runtime").spawn(future)))
    }

    fn yield_now() -> impl Future<Output = ()> {
        future::yield_now()
    }
}

/// A task that goes on without its handle; smol's own is cancelled with it.
#[derive(Debug)]
pub(crate) struct Handle<T>(Option<Task<T>>);

impl<T> Future for Handle<T> {
    type Output = Result<T, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.0.as_mut().expect("only the drop takes it");
        pin!(task).poll(context).map(Ok)
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}

/// A timer without its result.
#[derive(Debug)]
pub(crate) struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        pin!(&mut self.0).poll(context).map(drop)
    }
}

/// A socket under the traits that the cases are written against.
#[derive(Debug)]
pub(crate) struct Stream(Async<TcpStream>);

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl tokio::io::AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(pin!(&mut self.0).poll_read(context, buffer.initialize_unfilled()))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        pin!(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.0).poll_close(context)
    }
}
