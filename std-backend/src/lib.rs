//! jenny: an async runtime with Tokio's API over a `no_std`, model-checked scheduler.
//!
//! ```
//! use jenny::{
//!     io::{AsyncReadExt, AsyncWriteExt},
//!     net::{TcpListener, TcpStream},
//! };
//!
//! #[jenny::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = jenny::spawn(async move {
//!         let (mut stream, _peer) = listener.accept().await?;
//!         let (mut reader, mut writer) = stream.split();
//!         jenny::io::copy(&mut reader, &mut writer).await
//!     });
//!
//!     let mut stream = TcpStream::connect(address).await?;
//!     stream.write_all(b"spin").await?;
//!     stream.shutdown().await?;
//!     let mut echo = String::new();
//!     stream.read_to_string(&mut echo).await?;
//!     assert_eq!(echo, "spin");
//!     assert_eq!(server.await??, 4);
//!     Ok(())
//! }
//! ```
//!
//! Names, paths and meanings are those of Tokio: a program moves by replacing `tokio::` with
//! `jenny::`. The README lists what is there and where it deviates.
//!
//! # Features
//! | feature | what it brings |
//! |---|---|
//! | `rt` | tasks, the current-thread runtime, the blocking pool |
//! | `rt-multi-thread` | the work-stealing runtime |
//! | `time` | timers, intervals, time-outs, and a clock that tests can pause |
//! | `net` | the I/O driver and TCP |
//! | `signal` | Ctrl-C and Unix signals |
//! | `macros` | `#[main]`, `#[test]`, `select!`, `join!`, `try_join!` |
//! | `sync`, `io-util` | Tokio's channels and locks, and its I/O helpers, which need no runtime |
//! | `hyper` | hyper's `rt` traits on sockets, its executor and its timer |
//! | `tracing` | tasks as spans, named as `console-subscriber` expects them |
//! | `embassy-time-driver` | the time driver of `embassy-time`; [`time`] says how its timers are fired |
//! | `full` (default) | all of these but `hyper`, `tracing` and `embassy-time-driver` |
//!
//! # The floors
//! A file imports only from lower floors, and siblings do not import each other.
//!
//! ```text
//! 6  rt                                what other crates ask of a runtime
//! 5  task                              what programs use, and
//! 4  runtime  net  time  signal        what that is built on
//! 3  context                           which runtime a thread belongs to
//! 2  io  blocking  local_set           the driver; the pool; the scheduler inside a future;
//!    timekeeper                        clock and wheels
//! 1  park  coop  stats  join_list      sleeping; the budget; what workers report; finished tasks;
//!    trace                              spans
//! 0  platform  primitives              what the core needs; the switch for the model checker
//! ```

#![deny(missing_docs)]

// Under a model checker there are only the protocols that it checks.
#[cfg(all(feature = "rt", not(jenny_loom)))]
mod context;
#[cfg(all(feature = "rt", not(jenny_loom)))]
mod coop;
#[cfg(feature = "rt")]
mod join_list;
#[cfg(all(feature = "rt", not(jenny_loom)))]
mod platform;
#[cfg(all(feature = "rt", not(jenny_loom)))]
pub mod runtime;
#[cfg(jenny_loom)]
mod runtime {
    pub(crate) mod stop;
}
#[cfg(all(feature = "rt", not(jenny_loom)))]
mod stats;
#[cfg(all(feature = "rt", not(jenny_loom)))]
pub mod task;
#[cfg(all(feature = "time", not(jenny_loom)))]
pub mod time;
#[cfg(all(feature = "time", not(jenny_loom)))]
mod timekeeper;
#[cfg(all(feature = "tracing", not(jenny_loom)))]
mod trace;

#[cfg(all(feature = "rt", not(jenny_loom)))]
mod blocking;
#[cfg(jenny_loom)]
mod blocking {
    pub(crate) mod place;
    pub(crate) mod pool;
}
pub mod io;
#[cfg(feature = "rt")]
mod local_set;
#[cfg(jenny_loom)]
#[doc(hidden)]
pub mod loom_internals;
#[cfg(all(feature = "net", not(jenny_loom)))]
pub mod net;
#[cfg(feature = "rt")]
mod park;
#[cfg(feature = "rt")]
mod primitives;
#[cfg(all(feature = "hyper", not(jenny_loom)))]
pub mod rt;
#[cfg(all(feature = "signal", unix, not(jenny_loom)))]
pub mod signal;

#[cfg(all(feature = "rt", not(jenny_loom)))]
pub use task::spawn;

/// Channels, locks, [`Notify`](tokio::sync::Notify): tokio's, which need no runtime.
///
/// They do not know the cooperative budget; [`task::coop::cooperative`] adds it.
#[cfg(feature = "sync")]
pub mod sync {
    #[doc(no_inline)]
    pub use tokio::sync::*;
}

#[cfg(feature = "macros")]
pub use jenny_macros::{main, test};
#[cfg(feature = "macros")]
#[doc(no_inline)]
pub use tokio::{join, pin, select, try_join};
