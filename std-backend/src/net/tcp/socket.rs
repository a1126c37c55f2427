//! A socket before it listens or connects.

use std::{fmt, io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};

use super::{TcpListener, TcpStream};

/// A TCP socket whose options can be set before it [connects](Self::connect) or
/// [listens](Self::listen).
///
/// ```
/// use jenny::net::TcpSocket;
///
/// # async fn example() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(128)?;
/// # Ok(())
/// # }
/// ```
pub struct TcpSocket {
    inner: Socket,
}

/// A switch of the socket: the getter, the setter, and what it is about.
macro_rules! switch {
    ($get:ident, $set:ident, $inner_get:ident, $inner_set:ident, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Errors
        /// Those of the system.
        pub fn $get(&self) -> io::Result<bool> {
            self.inner.$inner_get()
        }

        #[doc = concat!("Sets: ", $doc)]
        ///
        /// # Errors
        /// Those of the system.
        pub fn $set(&self, on: bool) -> io::Result<()> {
            self.inner.$inner_set(on)
        }
    };
}

impl TcpSocket {
    /// Makes a socket for IPv4.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// Makes a socket for IPv6.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<Self> {
        // Non-blocking and closed on exec from the start.
        let inner = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        inner.set_nonblocking(true)?;
        Ok(Self { inner })
    }

    /// Takes a stream of the standard library that is not connected yet.
    pub fn from_std_stream(stream: std::net::TcpStream) -> Self {
        Self { inner: stream.into() }
    }

    switch!(
        reuseaddr,
        set_reuseaddr,
        reuse_address,
        set_reuse_address,
        "Whether the address may be bound while it is in `TIME_WAIT` (`SO_REUSEADDR`)."
    );

    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    switch!(
        reuseport,
        set_reuseport,
        reuse_port,
        set_reuse_port,
        "Whether several sockets may be bound to the same port (`SO_REUSEPORT`)."
    );

    /// The size of the send buffer in bytes (`SO_SNDBUF`).
    ///
    /// # Errors
    /// Those of the system.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.inner.send_buffer_size().map(saturate)
    }

    /// Asks for a size of the send buffer in bytes (`SO_SNDBUF`); the system may round it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.inner.set_send_buffer_size(size as usize)
    }

    /// The size of the receive buffer in bytes (`SO_RCVBUF`).
    ///
    /// # Errors
    /// Those of the system.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.inner.recv_buffer_size().map(saturate)
    }

    /// Asks for a size of the receive buffer in bytes (`SO_RCVBUF`); the system may round it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.inner.set_recv_buffer_size(size as usize)
    }

    switch!(
        keepalive,
        set_keepalive,
        keepalive,
        set_keepalive,
        "Whether an idle connection is probed (`SO_KEEPALIVE`)."
    );

    switch!(
        nodelay,
        set_nodelay,
        tcp_nodelay,
        set_tcp_nodelay,
        "Whether small packets are sent at once (`TCP_NODELAY`)."
    );

    /// How long a close waits for data that is not sent yet (`SO_LINGER`).
    ///
    /// # Errors
    /// Those of the system.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.inner.linger()
    }

    /// Sets how long a close waits for data that is not sent yet (`SO_LINGER`). It blocks the thread:
    /// `shutdown` and a read up to the end do without that, and
    /// [`set_zero_linger`](Self::set_zero_linger) resets.
    ///
    /// # Errors
    /// Those of the system.
    #[deprecated(note = "with `SO_LINGER` the drop of the socket blocks the thread")]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.inner.set_linger(linger)
    }

    /// Makes a close reset the connection and discard unsent data, without blocking.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.inner.set_linger(Some(Duration::ZERO))
    }

    /// The type of service of IPv4 packets (`IP_TOS`).
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(not(any(
        target_os = "fuchsia",
        target_os = "redox",
        target_os = "solaris",
        target_os = "illumos",
        target_os = "haiku",
    )))]
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.inner.tos_v4()
    }

    /// Sets the type of service of IPv4 packets (`IP_TOS`).
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(not(any(
        target_os = "fuchsia",
        target_os = "redox",
        target_os = "solaris",
        target_os = "illumos",
        target_os = "haiku",
    )))]
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.inner.set_tos_v4(tos)
    }

    /// The old name of [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    /// As there.
    #[cfg(not(any(
        target_os = "fuchsia",
        target_os = "redox",
        target_os = "solaris",
        target_os = "illumos",
        target_os = "haiku",
    )))]
    #[deprecated(note = "renamed to `tos_v4`")]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The old name of [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    /// As there.
    #[cfg(not(any(
        target_os = "fuchsia",
        target_os = "redox",
        target_os = "solaris",
        target_os = "illumos",
        target_os = "haiku",
    )))]
    #[deprecated(note = "renamed to `set_tos_v4`")]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "fuchsia",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.inner.tclass_v6()
    }

    /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "fuchsia",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.inner.set_tclass_v6(class)
    }

    /// The name of the network device that the socket is bound to (`SO_BINDTODEVICE`), if it is.
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.inner.device()
    }

    /// Binds the socket to a network device (`SO_BINDTODEVICE`): it takes packets from that device
    /// only. `None` takes the binding back.
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    pub fn bind_device(&self, name: Option<&[u8]>) -> io::Result<()> {
        self.inner.bind_device(name)
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// Those of the system, or the address is no IP address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()?.as_socket().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the socket has no IP address")
        })
    }

    /// Takes the error that is pending on the socket, if any.
    ///
    /// # Errors
    /// Those of the system.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }

    /// Binds the socket to an address of ours.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.inner.bind(&addr.into())
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime, or in one without I/O.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        if let Err(error) = self.inner.connect(&addr.into())
            && !in_progress(&error)
        {
            return Err(error);
        }
        TcpStream::connected(mio::net::TcpStream::from_std(self.inner.into())).await
    }

    /// Listens, with at most `backlog` connections that are completed but not accepted.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// Outside of a runtime, or in one without I/O.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.inner.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_std(self.inner.into())
    }
}

fn saturate(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Whether a non-blocking attempt to connect has begun.
fn in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::WouldBlock;
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(unix)]
mod sys {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};

    use super::{Socket, TcpSocket};

    impl AsRawFd for TcpSocket {
        fn as_raw_fd(&self) -> RawFd {
            self.inner.as_raw_fd()
        }
    }

    impl AsFd for TcpSocket {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.inner.as_fd()
        }
    }

    impl FromRawFd for TcpSocket {
        /// Takes over a TCP socket that is non-blocking.
        ///
        /// # Safety
        /// The descriptor is open, and nobody else owns it.
        unsafe fn from_raw_fd(descriptor: RawFd) -> Self {
            // SAFETY: passed on from the caller.
            Self { inner: unsafe { Socket::from_raw_fd(descriptor) } }
        }
    }

    impl IntoRawFd for TcpSocket {
        fn into_raw_fd(self) -> RawFd {
            self.inner.into_raw_fd()
        }
    }
}
