//! Why a closure was not accepted.

use std::{error::Error, fmt, io};

/// Why [`try_spawn_blocking`](crate::task::try_spawn_blocking) did not take a closure, which it hands
/// back.
pub enum TrySpawnError<F> {
    /// All threads of the pool are busy, no other may be or can be started, and as many closures wait
    /// as [`max_blocking_queue`](crate::runtime::Builder::max_blocking_queue) allows.
    Full(F),
    /// The runtime has been shut down.
    ShutDown(F),
    /// The pool has no thread, and the system gives none.
    NoThreads(F, io::Error),
}

impl<F> TrySpawnError<F> {
    /// The closure. It has not run.
    pub fn into_inner(self) -> F {
        match self {
            Self::Full(work) | Self::ShutDown(work) | Self::NoThreads(work, _) => work,
        }
    }
}

impl<F> fmt::Display for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str(
                "all threads of the blocking pool are busy and its queue is full: try again later, \
                 or raise `max_blocking_threads` or `max_blocking_queue`",
            ),
            Self::ShutDown(_) => f.write_str("the runtime has been shut down"),
            Self::NoThreads(_, error) => {
                write!(f, "the blocking pool has no thread and the system gives none ({error})")
            }
        }
    }
}

impl<F> fmt::Debug for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::ShutDown(_) => f.write_str("ShutDown(..)"),
            Self::NoThreads(_, error) => write!(f, "NoThreads(.., {error:?})"),
        }
    }
}

impl<F> Error for TrySpawnError<F> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoThreads(_, error) => Some(error),
            Self::Full(_) | Self::ShutDown(_) => None,
        }
    }
}
