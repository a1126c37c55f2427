//! The listening end.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener},
    task::{Context, Poll},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use crate::{
    context,
    io::{Direction, Evented, Interest},
    net::{
        ToSocketAddrs,
        addr::{no_address, resolve},
    },
};

/// Connections that the system completes for us before they are accepted.
const BACKLOG: i32 = 1024;

/// A socket that accepts connections.
///
/// ```
/// use jenny::net::TcpListener;
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// println!("listening on {}", listener.local_addr()?);
/// let (stream, peer) = listener.accept().await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    io: Evented<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first of the addresses that can be bound.
    ///
    /// On Unix the address is reusable at once after a listener has gone (`SO_REUSEADDR`). The
    /// backlog is 1024; for other options see [`TcpSocket`](super::TcpSocket).
    ///
    /// # Errors
    /// The host cannot be looked up, or no address can be bound; then the last error.
    ///
    /// # Panics
    /// Outside of a runtime, or in one without I/O.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let mut failure = no_address();
        for address in resolve(addr).await? {
            match Self::bind_to(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    #[track_caller]
    fn bind_to(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Elsewhere the option would let two listeners share one port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Self::from_std(socket.into())
    }

    /// Takes a listener of the standard library, and makes it non-blocking.
    ///
    /// # Errors
    /// The runtime is shutting down, or the system does not take the socket.
    ///
    /// # Panics
    /// Outside of a runtime, or in one without I/O.
    #[track_caller]
    pub fn from_std(listener: StdListener) -> io::Result<Self> {
        let handle = context::io_handle();
        listener.set_nonblocking(true)?;
        Ok(Self { io: Evented::new(handle, mio::net::TcpListener::from_std(listener))? })
    }

    /// Gives back the standard library's listener, non-blocking.
    ///
    /// # Errors
    /// The system does not know the socket any more.
    pub fn into_std(self) -> io::Result<StdListener> {
        self.io.into_inner().map(Into::into)
    }

    /// Waits for a connection.
    ///
    /// Any number of tasks may accept from one listener.
    ///
    /// # Errors
    /// Those of the system: the peer has gone already, or there are too many open files. The
    /// listener remains usable.
    ///
    /// # Cancel safety
    /// Safe: if the future is dropped before it is ready, no connection was accepted.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let registration = self.io.registration();
        let accepted = registration.async_io(Interest::READABLE, || self.io.accept()).await;
        self.admit(accepted)
    }

    /// As [`accept`](Self::accept); only the last task that polled is woken.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.io
            .registration()
            .poll_io(cx, Direction::Read, |_| self.io.accept())
            .map(|accepted| self.admit(accepted))
    }

    /// The connection belongs to the listener's runtime, wherever it was accepted. It can be written
    /// to, and mostly has something to be read: who connects speaks first.
    fn admit(
        &self,
        accepted: io::Result<(mio::net::TcpStream, SocketAddr)>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = accepted?;
        let stream = TcpStream::register(self.io.registration().handle().clone(), stream)?;
        stream.assume_ready();
        Ok((stream, peer))
    }

    /// The address that the listener is bound to; tells the port that was chosen for port 0.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
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
}

impl TryFrom<StdListener> for TcpListener {
    type Error = io::Error;

    /// As [`from_std`](Self::from_std).
    fn try_from(listener: StdListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

#[cfg(unix)]
mod sys {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::TcpListener;

    impl AsRawFd for TcpListener {
        fn as_raw_fd(&self) -> RawFd {
            self.io.as_raw_fd()
        }
    }

    impl AsFd for TcpListener {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.io.as_fd()
        }
    }
}
