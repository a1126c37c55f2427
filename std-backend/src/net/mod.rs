//! TCP, with tokio's API.
//!
//! Sockets belong to the runtime in which they were made, and wait for its I/O driver. They may be
//! used from any other executor as well. To make one outside of a runtime, or in one that was built
//! without I/O, panics.

mod addr;
#[cfg(feature = "hyper")]
mod hyper;
pub mod tcp;

pub use addr::{ToSocketAddrs, lookup_host};
pub use tcp::{TcpListener, TcpSocket, TcpStream};
