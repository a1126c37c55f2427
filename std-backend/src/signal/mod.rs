//! Signals of the operating system, with tokio's API.
//!
//! ```text
//!  signal ──▶ handler: marks the signal, writes one byte      process.rs, one per process
//!                                   │
//!             socket pair, the end for reading cloned for each runtime
//!                                   ▼
//!             driver: empties it, reports every marked signal receiver.rs, one per runtime
//!                                   ▼
//!             the listeners of all runtimes are woken          unix.rs
//! ```
//! A handler may do next to nothing, hence the byte. Whichever runtime reads it reports for all of
//! them, so that it does not matter which ones are running just now.

use std::io;

mod process;
mod receiver;
pub mod unix;

/// Resolves when the process is told to stop from its terminal: `SIGINT`, Ctrl-C.
///
/// The first call replaces what the system would do, for as long as the process lives: from then on
/// Ctrl-C only wakes those who wait here. Signals from before the call are not seen.
///
/// ```
/// # async fn serve() {}
/// # async fn example() -> std::io::Result<()> {
/// jenny::signal::ctrl_c().await?;
/// println!("goodbye");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The handler cannot be installed.
///
/// # Panics
/// Outside of a runtime, or in one without I/O.
///
/// # Cancel safety
/// Safe, but signals between two calls are not seen; keep a [`unix::Signal`] to see all.
pub async fn ctrl_c() -> io::Result<()> {
    unix::signal(unix::SignalKind::interrupt())?.recv().await;
    Ok(())
}
