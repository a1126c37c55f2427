//! A connection.

use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::{Shutdown, SocketAddr, TcpStream as StdStream},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, split, split_owned};
use crate::{
    context,
    io::{AsyncRead, AsyncWrite, Direction, Event, Evented, Handle, Interest, ReadBuf, Ready},
    net::{
        ToSocketAddrs,
        addr::{no_address, resolve},
    },
};

/// A TCP connection.
///
/// One task may read while another writes: through `&self` with [`readable`](Self::readable) and
/// [`try_read`](Self::try_read) and their likes, or with the halves of [`split`](Self::split) and
/// [`into_split`](Self::into_split). Dropped, it is closed in both directions.
///
/// ```
/// use jenny::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpStream};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut stream = TcpStream::connect("127.0.0.1:8080").await?;
/// stream.write_all(b"hello").await?;
/// stream.shutdown().await?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    io: Evented<mio::net::TcpStream>,
}

/// No system transfers more than this in one call, however large the buffer (Linux: a page less than
/// 2^31 bytes).
const MOST_AT_ONCE: usize = 0x7fff_f000;

/// Where the system reports every change of an empty or full socket buffer. Elsewhere the report is
/// armed only by an operation that would block.
const EDGE_TRIGGERED: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
));

/// Where a report of either direction says how it stands with both, as epoll's does. kqueue's are
/// about one each, so one of writing would settle a doubt about reading (`io/driver/doubts.rs`).
const REPORTS_BOTH: bool = cfg!(any(target_os = "linux", target_os = "android"));

impl TcpStream {
    /// Connects to the first of the addresses that accepts.
    ///
    /// # Errors
    /// The host cannot be looked up, or no address accepts; then the last error.
    ///
    /// # Panics
    /// Outside of a runtime, or in one without I/O.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the attempt is given up; nothing else is lost.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let mut failure = no_address();
        for address in resolve(addr).await? {
            let attempt = match mio::net::TcpStream::connect(address) {
                Ok(stream) => Self::connected(stream).await,
                Err(error) => Err(error),
            };
            match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Waits for the end of an attempt to connect.
    pub(super) async fn connected(stream: mio::net::TcpStream) -> io::Result<Self> {
        let stream = Self::register(context::io_handle(), stream)?;
        // The socket is writable as soon as it is decided, well or badly.
        stream.io.registration().readiness(Interest::WRITABLE).await?;
        match stream.io.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    pub(super) fn register(handle: Handle, stream: mio::net::TcpStream) -> io::Result<Self> {
        Ok(Self { io: Evented::new(handle, stream)? })
    }

    pub(super) fn assume_ready(&self) {
        self.io.registration().assume_ready();
    }

    /// Takes a stream of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The runtime is shutting down, or the system does not take the socket.
    ///
    /// # Panics
    /// Outside of a runtime, or in one without I/O.
    #[track_caller]
    pub fn from_std(stream: StdStream) -> io::Result<Self> {
        let handle = context::io_handle();
        stream.set_nonblocking(true)?;
        Self::register(handle, mio::net::TcpStream::from_std(stream))
    }

    /// Gives back the standard library's stream, non-blocking.
    ///
    /// # Errors
    /// The system does not know the socket any more.
    pub fn into_std(self) -> io::Result<StdStream> {
        self.io.into_inner().map(Into::into)
    }

    /// Our address.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// Those of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }

    /// Takes the error that is pending on the socket, if any.
    ///
    /// # Errors
    /// Those of the system.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.take_error()
    }

    /// Waits until something of `interest` is ready, and tells all that is. It may be wrong: the
    /// operation that follows can still return `WouldBlock`, and clears the readiness then.
    ///
    /// Any number of tasks may wait.
    ///
    /// # Errors
    /// The runtime is shutting down.
    ///
    /// # Cancel safety
    /// Safe: readiness is not consumed by waiting for it.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.io.registration().readiness(interest).await?.ready)
    }

    /// Waits until a read is worth a try: see [`ready`](Self::ready).
    ///
    /// # Errors
    /// The runtime is shutting down.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a write is worth a try: see [`ready`](Self::ready).
    ///
    /// # Errors
    /// The runtime is shutting down.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// As [`readable`](Self::readable); only the last task that polled for reading is woken, by
    /// this or any other `poll` function.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.registration().poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// As [`writable`](Self::writable); only the last task that polled for writing is woken, by
    /// this or any other `poll` function.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.registration().poll_ready(cx, Direction::Write).map_ok(drop)
    }

    /// Reads what is there; 0 is the end of the stream, or an empty buffer.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; otherwise those of the system.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.registration().try_io(Interest::READABLE, || (&*self.io).read(buf))
    }

    /// As [`try_read`](Self::try_read), into several buffers, one after the other.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; otherwise those of the system.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.registration().try_io(Interest::READABLE, || (&*self.io).read_vectored(bufs))
    }

    /// As [`try_read`](Self::try_read), into the free room of a buffer, which grows by what was read.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; otherwise those of the system.
    #[cfg(feature = "io-util")]
    pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        // SAFETY: the system writes initialised bytes into the room and nobody de-initialises any of
        // it.
        let room = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
        let receive = || SockRef::from(&*self.io).recv(room);
        let done = self.io.registration().try_io(Interest::READABLE, receive)?;
        // SAFETY: the system says that it has written so many bytes to the start of the room.
        unsafe { buf.advance_mut(done) };
        Ok(done)
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise those of the system.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.registration().try_io(Interest::WRITABLE, || (&*self.io).write(buf))
    }

    /// As [`try_write`](Self::try_write), from several buffers, one after the other.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise those of the system.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.registration().try_io(Interest::WRITABLE, || (&*self.io).write_vectored(bufs))
    }

    /// Tries an operation of your own on the socket, if it is believed to be possible; its
    /// `WouldBlock` clears the readiness.
    ///
    /// # Errors
    /// `WouldBlock` if it is not, and whatever the operation returns.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.registration().try_io(interest, || self.io.try_io(operation))
    }

    /// Repeats an operation of your own on the socket until it does not return `WouldBlock`.
    ///
    /// # Errors
    /// The runtime is shutting down, and whatever the operation returns.
    ///
    /// # Cancel safety
    /// Safe if the operation is: it runs to its end within one poll.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.registration().async_io(interest, || self.io.try_io(&mut operation)).await
    }

    /// Reads without consuming.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.registration().async_io(Interest::READABLE, || self.io.peek(buf)).await
    }

    /// As [`peek`](Self::peek); only the last task that polled for reading is woken.
    ///
    /// # Errors
    /// Those of the system.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.receive(cx, buf, |socket, room| socket.peek(room), |_, _, _| ())
    }

    /// Whether small packets are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of the system.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.nodelay()
    }

    /// Sets whether small packets are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.set_nodelay(nodelay)
    }

    /// Whether what arrives is acknowledged at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(&*self.io).tcp_quickack()
    }

    /// Sets whether what arrives is acknowledged at once (`TCP_QUICKACK`). The system may change
    /// that by itself later.
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(&*self.io).set_tcp_quickack(quickack)
    }

    /// How long a close waits for data that is not sent yet (`SO_LINGER`).
    ///
    /// # Errors
    /// Those of the system.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(&*self.io).linger()
    }

    /// Sets how long a close waits for data that is not sent yet (`SO_LINGER`). It blocks the thread:
    /// `shutdown` and a read up to the end do without that, and
    /// [`set_zero_linger`](Self::set_zero_linger) resets.
    ///
    /// # Errors
    /// Those of the system.
    #[deprecated(note = "with `SO_LINGER` the drop of the socket blocks the thread")]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(&*self.io).set_linger(linger)
    }

    /// Makes a close reset the connection and discard unsent data, without blocking.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(&*self.io).set_linger(Some(Duration::ZERO))
    }

    /// The time to live of packets sent from this socket.
    ///
    /// # Errors
    /// Those of the system.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.ttl()
    }

    /// Sets the time to live of packets sent from this socket.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.set_ttl(ttl)
    }

    /// Lends a reading and a writing half: no allocation, but both stay in this task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Takes the stream apart into halves that different tasks may own.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split(self)
    }

    /// After a transfer of less than was possible the socket buffer is empty, or full, and the next
    /// attempt would block. It is spared: a change from there on is a new report of the system, and
    /// the readiness is cleared only if there was none since `event`. That the peer has closed its
    /// direction arrives as a report of its own and is never cleared.
    ///
    /// Not for several buffers, of which the system takes a limited number at a time; and not for the
    /// `try_` functions, whose callers may go on until they are told `WouldBlock`.
    fn exhausted(&self, event: Event, done: usize, wanted: usize) {
        if EDGE_TRIGGERED && 0 < done && done < wanted.min(MOST_AT_ONCE) {
            self.io.registration().clear(event);
        }
    }

    fn receive(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        receive: impl Fn(&SockRef<'_>, &mut [MaybeUninit<u8>]) -> io::Result<usize>,
        received: impl Fn(Event, usize, usize),
    ) -> Poll<io::Result<usize>> {
        self.io.registration().poll_io(cx, Direction::Read, |event| {
            // SAFETY: the system writes initialised bytes into the room and nobody de-initialises
            // any of it.
            let room = unsafe { buf.unfilled_mut() };
            let wanted = room.len();
            let done = self.io.try_io(|| receive(&SockRef::from(&*self.io), room));
            let done = done.inspect_err(|error| {
                if error.kind() == io::ErrorKind::WouldBlock {
                    self.io.registration().was_vain();
                }
            })?;
            received(event, done, wanted);
            // SAFETY: the system says that it has written so many bytes to the start of the room.
            unsafe { buf.assume_init(done) };
            buf.advance(done);
            Ok(done)
        })
    }

    /// [`AsyncRead::poll_read`] through a shared reference, for the halves.
    pub(in crate::net) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.receive(
            cx,
            buf,
            |socket, room| socket.recv(room),
            |event, done, wanted| {
                self.exhausted(event, done, wanted);
                if REPORTS_BOTH && done > 0 && done == wanted {
                    self.io.registration().doubt(event);
                }
            },
        )
        .map_ok(drop)
    }

    /// [`AsyncWrite::poll_write`] through a shared reference, for the halves.
    pub(in crate::net) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.registration().poll_io(cx, Direction::Write, |event| {
            let done = (&*self.io).write(buf)?;
            self.exhausted(event, done, buf.len());
            Ok(done)
        })
    }

    /// [`AsyncWrite::poll_write_vectored`] through a shared reference, for the halves.
    pub(in crate::net) fn poll_send_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.registration().poll_io(cx, Direction::Write, |_| (&*self.io).write_vectored(bufs))
    }

    /// Tells the peer that nothing more will be written.
    pub(in crate::net) fn shutdown_write(&self) -> io::Result<()> {
        match self.io.shutdown(Shutdown::Write) {
            // The peer has gone already, and does not need to be told.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_receive(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: the system buffers, we do not.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}

/// So that code may take a stream or one of its halves.
impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl TryFrom<StdStream> for TcpStream {
    type Error = io::Error;

    /// As [`from_std`](Self::from_std).
    fn try_from(stream: StdStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

#[cfg(unix)]
mod sys {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::TcpStream;

    impl AsRawFd for TcpStream {
        fn as_raw_fd(&self) -> RawFd {
            self.io.as_raw_fd()
        }
    }

    impl AsFd for TcpStream {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.io.as_fd()
        }
    }
}
