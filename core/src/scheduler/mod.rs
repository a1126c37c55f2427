//! The schedulers: `README.md` in this folder has the protocols and their proofs.

pub mod budget;
mod counted;
mod dump;
mod frame;
pub mod idle;
pub mod local;
mod metrics;
pub mod pinned;
pub mod stealing;

pub use self::counted::{Counted, Shared};
pub use self::dump::{Running, WorkerDump};
pub use self::frame::Current;
pub use self::metrics::WorkerMetrics;

/// What a backend has to do after a worker's tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Tick {
    /// Tasks have run and there may be more. Give the driver a chance, without waiting.
    Ran,
    /// There is nothing to do, and the worker is registered as asleep: park until its unpark.
    Idle,
    /// The worker was [taken out](stealing::Handle::detached) of this scope during a poll and works
    /// elsewhere: leave the loop.
    HandedOff,
    /// The scheduler has shut down and this worker has nothing left to do.
    Stopped,
}

/// How many tasks a tick runs before the driver and the inbox get a turn: prime, so that it does not
/// beat in time with the task counts of a program.
const TICK: u32 = crate::sync::shrunk(61, 2);

/// The looks at the inbox within a tick.
struct Looks {
    interval: u32,
    /// The next is due when so many tasks of the tick are left.
    next: u32,
}

impl Looks {
    /// For a tick of so many tasks, a look after every `interval` of them.
    fn new(tasks: u32, interval: u32) -> Self {
        let interval = interval.max(1);
        // Below zero it wraps to what is never left.
        Self { interval, next: tasks.wrapping_sub(interval) }
    }

    #[inline]
    fn is_due(&mut self, left: u32) -> bool {
        let is_due = left == self.next;
        if is_due {
            self.restart(left);
        }
        is_due
    }

    /// There was a look now, due or not.
    fn restart(&mut self, left: u32) {
        self.next = left.wrapping_sub(self.interval);
    }
}

/// How many task ids a worker takes at once.
const IDS: u32 = 512;
