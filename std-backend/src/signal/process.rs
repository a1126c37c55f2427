//! What the process has once: its handlers, the socket pair that they write to, and the listeners.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    mem,
    os::unix::net::UnixStream,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use signal_hook_registry::{FORBIDDEN, register};

use crate::primitives::{AtomicBool, AtomicUsize, Mutex, Ordering, contain};

/// The process's side of signals; it is never taken down, as handlers never are.
pub(super) struct Process {
    /// Handlers write here, runtimes clone the other end. Both are non-blocking.
    sender: UnixStream,
    receiver: UnixStream,
    /// By number; an entry whose handler is installed stays for ever.
    signals: Mutex<BTreeMap<i32, &'static Signal>>,
}

/// One signal that somebody has listened to.
pub(super) struct Signal {
    /// Set by the handler, taken by who reports.
    marked: AtomicBool,
    /// Counts the reports; a listener compares it with what it has seen.
    reports: AtomicUsize,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    waiting: Vec<(ListenerId, Waker)>,
    next: u64,
}

/// Tells the listeners of one signal apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListenerId(u64);

impl Process {
    /// The process's side, set up on first use.
    ///
    /// # Errors
    /// There is no socket pair to be had; the next call tries again.
    pub(super) fn get() -> io::Result<&'static Self> {
        static PROCESS: OnceLock<Process> = OnceLock::new();
        if let Some(process) = PROCESS.get() {
            return Ok(process);
        }
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        // Who comes second drops the pair, which no handler knows yet.
        Ok(PROCESS.get_or_init(|| Self { sender, receiver, signals: Mutex::default() }))
    }

    /// The signal of a number, with its handler installed.
    ///
    /// # Errors
    /// The system has no such signal, or it cannot be handled.
    pub(super) fn signal(&'static self, number: i32) -> io::Result<&'static Signal> {
        if number <= 0 || FORBIDDEN.contains(&number) {
            let message = format!("signal {number} cannot be listened to");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut signals = self.signals.lock();
        if let Some(&signal) = signals.get(&number) {
            return Ok(signal);
        }
        let signal: &'static Signal = Box::leak(Box::new(Signal {
            marked: AtomicBool::new(false),
            reports: AtomicUsize::new(0),
            listeners: Mutex::default(),
        }));
        let action = move || {
            // Ordering: Release pairs with the Acquire in `report_marked`; the mark comes before
            // the byte, so that whoever reads the byte finds the mark.
            signal.marked.store(true, Ordering::Release);
            // A full socket is as good: there is something to read.
            let _ = (&self.sender).write(&[1]);
        };
        // SAFETY: the action may interrupt anything at any point. It stores to an atomic and calls
        // write(2) on a socket that does not block and is never closed: it allocates nothing, takes
        // no lock and cannot panic. The registry preserves `errno`.
        unsafe { register(number, action) }?;
        signals.insert(number, signal);
        Ok(signal)
    }

    /// Another handle on the end for reading, for a runtime's driver to watch.
    pub(super) fn receiver(&self) -> io::Result<UnixStream> {
        self.receiver.try_clone()
    }

    /// Empties the socket and reports what the handlers have marked, to the listeners of all
    /// runtimes. Runtimes may do so at the same time.
    pub(super) fn report(&self) {
        let mut bytes = [0; 128];
        loop {
            match (&self.receiver).read(&mut bytes) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // After the bytes: a handler that marks its signal later than this writes a byte later than
        // this, too, and that is another event.
        let marked: Vec<&Signal> = self
            .all()
            .into_iter()
            .filter(|signal| signal.marked.swap(false, Ordering::Acquire))
            .collect();
        for signal in marked {
            signal.reports.fetch_add(1, Ordering::Release);
            signal.wake_listeners();
        }
    }

    /// Wakes every listener to look around: a runtime has ended.
    pub(super) fn wake_everybody(&self) {
        for signal in self.all() {
            signal.wake_listeners();
        }
    }

    fn all(&self) -> Vec<&'static Signal> {
        self.signals.lock().values().copied().collect()
    }
}

impl Signal {
    /// How often the signal was reported.
    pub(super) fn reports(&self) -> usize {
        // Ordering: Acquire pairs with the Release in `report`.
        self.reports.load(Ordering::Acquire)
    }

    /// Makes an id for a new listener.
    pub(super) fn new_listener(&self) -> ListenerId {
        let mut listeners = self.listeners.lock();
        listeners.next += 1;
        ListenerId(listeners.next)
    }

    /// Pending, and the task will be woken, unless `done` says that there is no need to wait.
    ///
    /// `done` is asked with the list locked, and the list is emptied after what it asks about has
    /// changed: so either it says yes or the waker is found.
    pub(super) fn poll_wait(
        &self,
        id: ListenerId,
        cx: &mut Context<'_>,
        done: impl FnOnce() -> bool,
    ) -> Poll<()> {
        // Cloned before and dropped after the list is locked: wakers are the code of others.
        let waker = cx.waker().clone();
        let _replaced: Option<Waker>;
        let mut listeners = self.listeners.lock();
        let entry = listeners.waiting.iter_mut().find(|(waiting, _)| *waiting == id);
        if let Some((_, entry)) = entry {
            _replaced = Some(mem::replace(entry, waker));
        } else {
            listeners.waiting.push((id, waker));
        }
        if done() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Forgets a listener.
    pub(super) fn remove_listener(&self, id: ListenerId) {
        let mut listeners = self.listeners.lock();
        let place = listeners.waiting.iter().position(|(waiting, _)| *waiting == id);
        let removed = place.map(|place| listeners.waiting.swap_remove(place));
        drop(listeners);
        drop(removed);
    }

    fn wake_listeners(&self) {
        let waiting = mem::take(&mut self.listeners.lock().waiting);
        for (_, waker) in waiting {
            contain(|| waker.wake());
        }
    }
}
