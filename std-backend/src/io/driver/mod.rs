//! The I/O driver: asks the system which resources are ready, and wakes those who wait for them.
//!
//! Bottom up: [`ready`] and [`interest`] name the states, [`readiness`] keeps them for one resource
//! together with its waiters, [`slots`] finds it by the token of an event, the driver here brings
//! the events, and [`registration`] and [`evented`] are what sockets hold on to.
//!
//! Resources are registered once, for their whole life, edge-triggered, and for reading and writing
//! at the same time. So waiting costs no system call, and an operation goes to the system only when
//! it has reason to believe that there is something to do.

use std::{error::Error, fmt, io, time::Duration};

use mio::event::Source;

use crate::{
    park::{Driver, DriverWaker},
    primitives::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering},
};

mod doubts;
mod evented;
mod habit;
mod interest;
mod readiness;
mod ready;
mod registration;
mod slots;
mod wake_list;

pub(crate) use evented::Evented;
pub use interest::Interest;
pub(crate) use readiness::{Direction, Event, Readiness};
pub use ready::Ready;
pub(crate) use registration::Registration;

use doubts::{Doubt, Doubts};
use slots::{Mailbox, Table, Token};
use wake_list::WakeList;

/// Events taken from the system at once at most, unless the user says how many; more remain for the
/// next turn.
const MOST_EVENTS: usize = 1024;

/// Where workers take turns: none shall get what would do for two.
const MOST_EVENTS_OF_MANY: usize = 32;

/// Room for events at first. A turn that fills it makes it twice as large: 12 KiB from the start would be
/// a fifth of what a runtime of two workers takes, and most never have so many events at once.
const FIRST_EVENTS: usize = 64;

/// Freed slots for which a sleeping driver gets up: what a foreign thread registers and deregisters
/// in a loop may not pile up.
const MAX_DEPARTED: usize = 64;

/// The driver itself, held by the one who turns it.
pub(crate) struct IoDriver {
    poll: mio::Poll,
    events: mio::Events,
    most_events: usize,
    table: Table,
    wakers: WakeList,
    doubts: Vec<Doubt<Token>>,
    shared: Arc<Shared>,
}

/// Registers resources with the driver, from any thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    registry: mio::Registry,
    waker: mio::Waker,
    mailbox: Mutex<Mailbox>,
    doubts: Doubts<Token>,
    /// Hints for the driver, written under the lock, read without: what the mailbox would say.
    registered: AtomicUsize,
    departed: AtomicUsize,
    counts: Counts,
}

/// What has happened so far.
#[derive(Default)]
struct Counts {
    registrations: AtomicU64,
    deregistrations: AtomicU64,
    events: AtomicU64,
}

/// What has happened to a driver so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DriverMetrics {
    /// Resources that were registered.
    pub(crate) registrations: u64,
    /// Those of them that were deregistered.
    pub(crate) deregistrations: u64,
    /// Events of resources that the system reported.
    pub(crate) events: u64,
}

impl IoDriver {
    /// Makes a driver for so many workers, which takes up to `most_events` at once.
    ///
    /// # Errors
    /// The system is out of file descriptors.
    pub(crate) fn new(workers: usize, most_events: Option<usize>) -> io::Result<Self> {
        let by_default = if workers > 1 { MOST_EVENTS_OF_MANY } else { MOST_EVENTS };
        let most_events = most_events.unwrap_or(by_default);
        let poll = mio::Poll::new()?;
        let shared = Shared {
            registry: poll.registry().try_clone()?,
            waker: mio::Waker::new(poll.registry(), Token::WAKER.into())?,
            mailbox: Mutex::new(Mailbox::default()),
            doubts: Doubts::new(workers),
            registered: AtomicUsize::new(0),
            departed: AtomicUsize::new(0),
            counts: Counts::default(),
        };
        Ok(Self {
            poll,
            events: mio::Events::with_capacity(most_events.min(FIRST_EVENTS)),
            most_events,
            table: Table::default(),
            wakers: WakeList::default(),
            doubts: Vec::new(),
            shared: Arc::new(shared),
        })
    }

    /// What sockets register with.
    pub(crate) fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Lets the next turn take twice as many events. Those of this one are forgotten.
    #[cold]
    fn make_room(&mut self) {
        let room = self.events.capacity();
        if room < self.most_events {
            self.events = mio::Events::with_capacity(self.most_events.min(2 * room));
        }
    }
}

impl Driver for IoDriver {
    type Waker = Handle;

    fn waker(&self) -> Handle {
        self.handle()
    }

    fn wait(&mut self, timeout: Option<Duration>) -> bool {
        // Ordering: Relaxed, a hint. A resource registered this moment has its turn in the next.
        let nothing_to_ask = self.shared.registered.load(Ordering::Relaxed) == 0;
        if timeout == Some(Duration::ZERO) && nothing_to_ask {
            self.events.clear();
            return !self.doubts.is_empty();
        }
        let doubts = &self.shared.doubts;
        let waits = doubts.take(&mut self.doubts, timeout != Some(Duration::ZERO));
        let timeout = if waits { timeout } else { Some(Duration::ZERO) };
        let result = self.poll.poll(&mut self.events, timeout);
        if waits {
            doubts.has_waited();
        }
        if let Err(error) = result {
            // The buffer holds whatever it did before.
            self.events.clear();
            assert_eq!(
                error.kind(),
                io::ErrorKind::Interrupted,
                "the system refuses to report I/O events: {error}"
            );
        }
        let mut tokens = self.events.iter().map(|event| Token::from(event.token()));
        tokens.any(|token| token != Token::WAKER) || !self.doubts.is_empty()
    }

    fn dispatch(&mut self) -> bool {
        let Self { events, table, wakers, doubts, shared, .. } = self;
        // Often a wait ends by a time-out: then this is all. Ordering: as below.
        if events.is_empty() && doubts.is_empty() && shared.departed.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let (mut settled, mut told, mut count) = (false, false, 0);
        for event in events.iter() {
            let token = Token::from(event.token());
            if token == Token::WAKER {
                continue;
            }
            count += 1;
            // Unknown: registered since the last look into the mailbox, or gone.
            if table.get(token).is_none() && !settled {
                shared.settle(table);
                settled = true;
            }
            if let Some(readiness) = table.get(token) {
                told = true;
                readiness.set(Ready::from_event(event), wakers);
                if wakers.is_full() {
                    wakers.wake_all();
                }
            }
        }
        let total = &shared.counts.events;
        // Not a read-modify-write: one at a time holds the driver.
        total.store(total.load(Ordering::Relaxed) + count, Ordering::Relaxed);
        if !settled && doubts.iter().any(|doubt| table.get(doubt.resource).is_none()) {
            shared.settle(table);
            settled = true;
        }
        doubts.retain_mut(|doubt| {
            let readiness = table.get(doubt.resource);
            readiness.is_some_and(|readiness| !doubt.settle(readiness, count == 0, wakers))
        });
        wakers.wake_all();
        // Ordering: Relaxed, a hint; what is missed now is freed by a later turn.
        if !settled && shared.departed.load(Ordering::Relaxed) > 0 {
            shared.settle(table);
        }
        // One may have been the driver's own waker's.
        if count as usize + 1 >= self.events.capacity() {
            self.make_room();
        }
        told
    }

    fn shutdown(&mut self) {
        let Self { table, wakers, shared, .. } = self;
        shared.mailbox.lock().close();
        // What arrived before the mailbox was closed is in the table now; nothing comes after.
        shared.settle(table);
        for readiness in table.take_all() {
            readiness.shut_down(wakers);
            wakers.wake_all();
        }
    }
}

impl Drop for IoDriver {
    fn drop(&mut self) {
        // A runtime that could not be built, or that was leaked and freed in pieces, leaves nobody
        // waiting.
        self.shutdown();
    }
}

impl Shared {
    fn settle(&self, table: &mut Table) {
        let mut mailbox = self.mailbox.lock();
        let freed = table.settle(&mut mailbox);
        self.departed.store(0, Ordering::Relaxed);
        drop(mailbox);
        drop(freed);
    }

    fn depart(&self, token: Token) {
        let mut mailbox = self.mailbox.lock();
        let departed = mailbox.depart(token);
        self.departed.store(departed, Ordering::Relaxed);
        self.registered.store(mailbox.registered(), Ordering::Relaxed);
        drop(mailbox);
        // Once per pile, so that a busy driver is not called again and again.
        if departed == MAX_DEPARTED {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            panic!("the I/O driver cannot be woken: {error}");
        }
    }
}

impl Handle {
    /// Starts to report the readiness of `source`, until [`deregister`](Self::deregister).
    ///
    /// # Errors
    /// The runtime is shutting down, or the system does not take the resource.
    fn register(
        &self,
        source: &mut impl Source,
        interest: Interest,
    ) -> io::Result<(Token, Arc<Readiness>)> {
        let shared = &*self.shared;
        let readiness = Arc::new(Readiness::new());
        let mut mailbox = shared.mailbox.lock();
        let token = mailbox.arrive(Arc::clone(&readiness))?;
        shared.registered.store(mailbox.registered(), Ordering::Relaxed);
        drop(mailbox);
        // After the mailbox: whenever an event comes, the driver finds out whom it is about.
        if let Err(error) = shared.registry.register(source, token.into(), interest.to_mio()) {
            shared.depart(token);
            return Err(error);
        }
        shared.counts.registrations.fetch_add(1, Ordering::Relaxed);
        Ok((token, readiness))
    }

    /// Ends the reports. The slot is freed by the driver, after the events that it has in hand.
    fn deregister(
        &self,
        source: &mut impl Source,
        token: Token,
        readiness: &Readiness,
    ) -> io::Result<()> {
        let result = self.shared.registry.deregister(source);
        self.shared.counts.deregistrations.fetch_add(1, Ordering::Relaxed);
        self.shared.depart(token);
        readiness.forget_tasks();
        result
    }

    /// Reads the counts, each for itself.
    pub(crate) fn metrics(&self) -> DriverMetrics {
        let Counts { registrations, deregistrations, events } = &self.shared.counts;
        // Ordering: Relaxed. What is deregistered is read first, so that no difference is negative.
        let deregistrations = deregistrations.load(Ordering::Relaxed);
        DriverMetrics {
            registrations: registrations.load(Ordering::Relaxed),
            deregistrations,
            events: events.load(Ordering::Relaxed),
        }
    }

    /// Whether both register with the same driver.
    #[cfg(feature = "signal")]
    pub(crate) fn same_driver(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl DriverWaker for Handle {
    fn wake(&self) {
        self.shared.wake();
    }
}

/// What operations end with when there is no driver any more.
#[derive(Debug)]
struct ShuttingDown;

impl fmt::Display for ShuttingDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime is shutting down, its I/O driver reports nothing any more")
    }
}

impl Error for ShuttingDown {}

fn shutting_down() -> io::Error {
    io::Error::other(ShuttingDown)
}

/// Whether an operation has failed because its driver is gone.
pub(crate) fn is_shutting_down(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ShuttingDown>())
}

impl fmt::Debug for IoDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoDriver").field("handle", &self.handle()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered = self.shared.registered.load(Ordering::Relaxed);
        f.debug_struct("Handle").field("registered", &registered).finish()
    }
}

#[cfg(test)]
mod tests;
