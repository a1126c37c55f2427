//! Asynchronous input and output.
//!
//! The traits and their helpers are tokio's own types, so that every crate written against them
//! works with jenny's sockets. [`Interest`] and [`Ready`] have tokio's names and methods.

#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, Result, SeekFrom};
#[doc(no_inline)]
pub use tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
#[cfg(feature = "io-util")]
#[doc(no_inline)]
pub use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufStream, BufWriter,
    Chain, DuplexStream, Empty, Join, Lines, ReadHalf, Repeat, SimplexStream, Sink, Split, Take,
    WriteHalf, copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, empty,
    join, repeat, simplex, sink, split,
};

// Without the feature there is no driver. A model checker has no system to ask, and sees the rest.
#[cfg(all(feature = "net", not(jenny_loom)))]
mod driver;
#[cfg(all(feature = "net", jenny_loom))]
#[path = "driver/modelled.rs"]
pub(crate) mod driver;

#[cfg(all(feature = "net", not(jenny_loom)))]
pub(crate) use driver::{
    Direction, DriverMetrics, Event, Evented, Handle, IoDriver, is_shutting_down,
};
#[cfg(feature = "net")]
pub use driver::{Interest, Ready};
