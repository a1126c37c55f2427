//! A runtime's watch over the process's socket.

use std::{
    fmt, io,
    sync::{Arc, Weak},
    task::{Context, Poll, Wake, Waker},
};

use mio::net::UnixStream;

use super::process::Process;
use crate::{
    io::{Direction, Evented, Handle},
    primitives::{AtomicBool, Mutex, Ordering},
};

/// Lets a runtime's driver report signals, as long as somebody in that runtime listens.
///
/// No task waits for the socket, because none could be relied upon to run: the driver's own wake-up
/// does the work. It is a few system calls, and wakes tasks as any event of the driver does.
pub(super) struct Receiver {
    process: &'static Process,
    io: Evented<UnixStream>,
    /// Comes back here. Weak, for the registration inside of `io` holds on to it.
    waker: Waker,
    closed: AtomicBool,
}

/// The receivers of all runtimes in which somebody listens.
static RECEIVERS: Mutex<Vec<Weak<Receiver>>> = Mutex::new(Vec::new());

impl Receiver {
    /// The receiver of a runtime, made if it has none.
    ///
    /// # Errors
    /// The runtime is shutting down, or the system is out of file descriptors.
    pub(super) fn of(handle: Handle, process: &'static Process) -> io::Result<Arc<Self>> {
        let mut receivers = RECEIVERS.lock();
        receivers.retain(|receiver| receiver.strong_count() > 0);
        // Those found are kept until the lock is open: the last reference ends a registration.
        let found: Vec<Arc<Self>> = receivers.iter().filter_map(Weak::upgrade).collect();
        let ours = |receiver: &&Arc<Self>| receiver.io.registration().handle().same_driver(&handle);
        if let Some(receiver) = found.iter().find(ours) {
            let receiver = Arc::clone(receiver);
            drop(receivers);
            return Ok(receiver);
        }
        let io = Evented::new(handle, UnixStream::from_std(process.receiver()?))?;
        let receiver = Arc::new_cyclic(|this: &Weak<Self>| Self {
            process,
            io,
            waker: Waker::from(Arc::new(Turn(Weak::clone(this)))),
            closed: AtomicBool::new(false),
        });
        receivers.push(Arc::downgrade(&receiver));
        drop(receivers);
        receiver.turn();
        Ok(receiver)
    }

    /// Whether the runtime has ended, so that this reports nothing any more.
    pub(super) fn is_closed(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `turn`.
        self.closed.load(Ordering::Acquire)
    }

    /// Reports signals until the socket is empty, and asks to be called when it no longer is.
    fn turn(&self) {
        let registration = self.io.registration();
        let mut cx = Context::from_waker(&self.waker);
        while let Poll::Ready(event) = registration.poll_event(&mut cx, Direction::Read) {
            if event.shutdown {
                self.closed.store(true, Ordering::Release);
                self.process.wake_everybody();
                return;
            }
            self.process.report();
            registration.clear(event);
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// The waker that the driver calls when there are signals.
struct Turn(Weak<Receiver>);

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        if let Some(receiver) = self.0.upgrade() {
            receiver.turn();
        }
    }
}
