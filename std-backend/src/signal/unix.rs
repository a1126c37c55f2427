//! Signals of Unix.

use std::{
    fmt,
    future::poll_fn,
    io,
    os::raw::c_int,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    process::{self, ListenerId, Process},
    receiver::Receiver,
};
use crate::{context, coop};

/// Which signal to listen to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// The signal of a number, for those that have no name here.
    pub const fn from_raw(signum: c_int) -> Self {
        Self(signum)
    }

    /// The signal's number.
    pub const fn as_raw_value(&self) -> c_int {
        self.0
    }

    /// `SIGALRM`: a timer of the system is up.
    pub const fn alarm() -> Self {
        Self(libc::SIGALRM)
    }

    /// `SIGCHLD`: a child process has ended or stopped.
    pub const fn child() -> Self {
        Self(libc::SIGCHLD)
    }

    /// `SIGHUP`: the terminal is gone; to servers, to read their configuration again.
    pub const fn hangup() -> Self {
        Self(libc::SIGHUP)
    }

    /// `SIGINFO`: a request for the status.
    #[cfg(any(
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "illumos",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    pub const fn info() -> Self {
        Self(libc::SIGINFO)
    }

    /// `SIGINT`: Ctrl-C.
    pub const fn interrupt() -> Self {
        Self(libc::SIGINT)
    }

    /// `SIGIO`: I/O is possible.
    pub const fn io() -> Self {
        Self(libc::SIGIO)
    }

    /// `SIGPIPE`: a pipe was written to that nobody reads.
    pub const fn pipe() -> Self {
        Self(libc::SIGPIPE)
    }

    /// `SIGQUIT`: Ctrl-\\.
    pub const fn quit() -> Self {
        Self(libc::SIGQUIT)
    }

    /// `SIGTERM`: the polite request to end.
    pub const fn terminate() -> Self {
        Self(libc::SIGTERM)
    }

    /// `SIGUSR1`.
    pub const fn user_defined1() -> Self {
        Self(libc::SIGUSR1)
    }

    /// `SIGUSR2`.
    pub const fn user_defined2() -> Self {
        Self(libc::SIGUSR2)
    }

    /// `SIGWINCH`: the terminal has another size.
    pub const fn window_change() -> Self {
        Self(libc::SIGWINCH)
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignalKind").field(&self.0).finish()
    }
}

impl From<c_int> for SignalKind {
    fn from(signum: c_int) -> Self {
        Self::from_raw(signum)
    }
}

impl From<SignalKind> for c_int {
    fn from(kind: SignalKind) -> Self {
        kind.as_raw_value()
    }
}

/// Listens to one signal: made by [`signal`].
///
/// Any number of listeners, in any number of runtimes, may listen to the same signal; each sees it.
/// Several signals of one kind may be seen as one, as with the system itself.
#[must_use = "a listener does nothing unless it is asked"]
pub struct Signal {
    kind: SignalKind,
    signal: &'static process::Signal,
    id: ListenerId,
    /// The reports that were there before, or that were returned.
    seen: usize,
    receiver: Arc<Receiver>,
}

/// Starts to listen to a signal.
///
/// The first listener of the process replaces what the system would do upon the signal, for as long
/// as the process lives. Signals from before are not seen.
///
/// ```
/// use jenny::signal::unix::{SignalKind, signal};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut hangups = signal(SignalKind::hangup())?;
/// while hangups.recv().await.is_some() {
///     println!("reading the configuration again");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The signal does not exist, or cannot be handled: `SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE` and
/// `SIGSEGV`. Or the runtime is shutting down, or the system is out of file descriptors.
///
/// # Panics
/// Outside of a runtime, or in one without I/O.
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let handle = context::io_handle();
    let process = Process::get()?;
    let receiver = Receiver::of(handle, process)?;
    let signal = process.signal(kind.0)?;
    let id = signal.new_listener();
    Ok(Signal { kind, signal, id, seen: signal.reports(), receiver })
}

impl Signal {
    /// Waits for the signal. `None` when the runtime of the listener has ended.
    ///
    /// # Cancel safety
    /// Safe: a signal that comes after the future was dropped is returned by the next.
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv); only the last task that polled is woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let budget = ready!(coop::poll_proceed(cx));
        if !self.is_done() {
            ready!(self.signal.poll_wait(self.id, cx, || self.is_done()));
        }
        budget.made_progress();
        let reports = self.signal.reports();
        if reports == self.seen {
            return Poll::Ready(None);
        }
        self.seen = reports;
        Poll::Ready(Some(()))
    }

    fn is_done(&self) -> bool {
        self.signal.reports() != self.seen || self.receiver.is_closed()
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.signal.remove_listener(self.id);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}
