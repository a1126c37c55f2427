//! What every thread may use of a local scheduler.

use alloc::boxed::Box;

use crate::{
    platform::{Platform, Unpark},
    scheduler::{
        TICK,
        dump::{Desk, Running},
        metrics::{Arrival, CountedInbox, Counter, Counters},
    },
    sync::{AtomicBool, CachePadded, Ordering, fence},
    task::{Observer, Runnable},
};

/// What every thread may use of a local scheduler.
pub(super) struct Shared<P: Platform> {
    pub(super) platform: P,
    pub(super) unpark: P::Unpark,
    pub(super) inbox: CachePadded<CountedInbox>,
    /// The worker is parked, or about to.
    pub(super) asleep: AtomicBool,
    pub(super) closing: AtomicBool,
    pub(super) dumps: Desk<P::Lock>,
    pub(super) own: CachePadded<OwnSide>,
    pub(super) observer: Option<Box<dyn Observer>>,
}

/// What the worker writes with every task, on a cache line that others only read when they ask for
/// metrics.
#[derive(Default)]
pub(super) struct OwnSide {
    pub(super) running: Running,
    pub(super) counters: Counters,
    /// The length of the queue.
    pub(super) queued: Counter,
}

/// How a scheduler behaves. `Default` is right for most.
#[derive(Debug)]
pub struct Config {
    /// How many tasks run before the driver and the inbox get a turn. At least 1.
    pub event_interval: u32,
    /// How many tasks run at most between two looks at the inbox, within a tick, which always starts
    /// with one. At least 1.
    pub inbox_interval: u32,
    /// Who is told of the life of every task.
    pub observer: Option<Box<dyn Observer>>,
}

impl Default for Config {
    fn default() -> Self {
        Self { event_interval: TICK, inbox_interval: u32::MAX, observer: None }
    }
}

impl<P: Platform> Shared<P> {
    pub(super) fn new(platform: P, unpark: P::Unpark, observer: Option<Box<dyn Observer>>) -> Self {
        Self {
            platform,
            unpark,
            inbox: CachePadded::default(),
            asleep: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            dumps: Desk::new(1),
            own: CachePadded::default(),
            observer,
        }
    }

    /// Queues a task from outside. From any thread, core or interrupt.
    pub(super) fn inject(&self, task: Runnable, arrival: Arrival) {
        match self.inbox.bring(task, arrival) {
            Ok(()) => self.unpark_sleeper(),
            // Only a spawner gets here (scheduler/README.md), and the future is its own.
            Err(task) => drop(task),
        }
    }

    pub(super) fn unpark_sleeper(&self) {
        // Ordering: pairs with the fence in `Core::sleep`: either this load sees that the worker
        // sleeps, or the worker's second look sees what was published before.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.unpark.unpark();
        }
    }
}
