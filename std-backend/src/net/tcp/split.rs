//! Halves that borrow their stream, and what all halves have in common.

use super::TcpStream;

/// The reading half of a borrowed stream: see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a> {
    stream: &'a TcpStream,
}

/// The writing half of a borrowed stream: see [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a> {
    stream: &'a TcpStream,
}

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    // A mutable borrow was given up for this, so nobody else polls the stream meanwhile.
    let stream = &*stream;
    (ReadHalf { stream }, WriteHalf { stream })
}

/// What a half with a field `stream` does, whichever direction it has.
macro_rules! either_half {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::ready`].
            ///
            /// # Errors
            /// The runtime is shutting down.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream.ready(interest).await
            }

            /// Our address.
            ///
            /// # Errors
            /// Those of the system.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.stream.local_addr()
            }

            /// The peer's address.
            ///
            /// # Errors
            /// Those of the system.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.stream.peer_addr()
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                &self.stream
            }
        }
    };
}

/// What a half with a field `stream` does if it reads.
macro_rules! read_half {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::readable`].
            ///
            /// # Errors
            /// The runtime is shutting down.
            pub async fn readable(&self) -> io::Result<()> {
                self.stream.readable().await
            }

            /// As [`TcpStream::try_read`].
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing; otherwise those of the system.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buf)
            }

            /// As [`TcpStream::try_read_vectored`].
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing; otherwise those of the system.
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream.try_read_vectored(bufs)
            }

            /// As [`TcpStream::try_read_buf`].
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing; otherwise those of the system.
            #[cfg(feature = "io-util")]
            pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.stream.try_read_buf(buf)
            }

            /// As [`TcpStream::peek`].
            ///
            /// # Errors
            /// Those of the system.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream.peek(buf).await
            }

            /// As [`TcpStream::poll_peek`].
            ///
            /// # Errors
            /// Those of the system.
            pub fn poll_peek(
                &mut self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_peek(cx, buf)
            }
        }

        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.stream.poll_receive(cx, buf)
            }
        }
    };
}

/// What a half with a field `stream` does if it writes. `$end` is called with the half on
/// shutdown.
macro_rules! write_half {
    ($half:ty, $end:expr) => {
        impl $half {
            /// As [`TcpStream::writable`].
            ///
            /// # Errors
            /// The runtime is shutting down.
            pub async fn writable(&self) -> io::Result<()> {
                self.stream.writable().await
            }

            /// As [`TcpStream::try_write`].
            ///
            /// # Errors
            /// `WouldBlock` if there is no room; otherwise those of the system.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream.try_write(buf)
            }

            /// As [`TcpStream::try_write_vectored`].
            ///
            /// # Errors
            /// `WouldBlock` if there is no room; otherwise those of the system.
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream.try_write_vectored(bufs)
            }
        }

        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_send(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_send_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// Does nothing: the system buffers, we do not.
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let end: fn(&mut Self) -> io::Result<()> = $end;
                Poll::Ready(end(self.get_mut()))
            }
        }
    };
}

pub(super) use {either_half, read_half, write_half};

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

either_half!(ReadHalf<'_>);
read_half!(ReadHalf<'_>);
either_half!(WriteHalf<'_>);
write_half!(WriteHalf<'_>, |half| half.stream.shutdown_write());
