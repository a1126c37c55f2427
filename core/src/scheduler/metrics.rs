//! What a worker has done: counted on its own cache line, summed by whoever asks.
//!
//! Whoever ends a task counts it, and whoever spawns one does, so that each is counted once at each
//! end of its life, wherever that is. What comes from outside is counted by those who bring it, on
//! the cache line of the inbox, which they have just written.

use core::ops::Deref;

use crate::{
    queue::Inbox,
    sync::{AtomicUsize, Ordering},
    task::Runnable,
};

/// A number that one thread writes and every thread may read. It wraps around.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicUsize);

impl Counter {
    /// Not a read-modify-write: there is one writer.
    #[inline]
    pub(super) fn add(&self, count: usize) {
        // Ordering: Relaxed; the value stands for itself.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// For a number that goes up and down.
    #[inline]
    pub(super) fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// An inbox that counts what comes in.
#[derive(Debug, Default)]
pub(super) struct CountedInbox {
    inbox: Inbox<Runnable>,
    spawned: AtomicUsize,
    woken: AtomicUsize,
}

/// What brings a task into an inbox.
#[derive(Clone, Copy)]
pub(super) enum Arrival {
    Spawned,
    Woken,
}

impl CountedInbox {
    /// As [`Inbox::push`].
    pub(super) fn bring(&self, task: Runnable, arrival: Arrival) -> Result<(), Runnable> {
        self.inbox.push(task)?;
        let counter = match arrival {
            Arrival::Spawned => &self.spawned,
            Arrival::Woken => &self.woken,
        };
        // Ordering: Relaxed; the value stands for itself.
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How many tasks were spawned into it, and how many came in because they were woken.
    pub(super) fn arrivals(&self) -> (usize, usize) {
        (self.spawned.load(Ordering::Relaxed), self.woken.load(Ordering::Relaxed))
    }
}

impl Deref for CountedInbox {
    type Target = Inbox<Runnable>;

    fn deref(&self) -> &Inbox<Runnable> {
        &self.inbox
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A worker's counters.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: Counter,)* }

        /// What a worker has done so far. Each number wraps around at `usize::MAX`.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WorkerMetrics {
            $($(#[$doc])* pub $name: usize,)*
            /// Tasks that other threads spawned into this worker's inbox.
            pub remote_spawns: usize,
            /// Tasks that other threads woke into this worker's inbox.
            pub remote_wakes: usize,
        }

        impl Counters {
            pub(super) fn read(&self, inbox: &CountedInbox) -> WorkerMetrics {
                let (remote_spawns, remote_wakes) = inbox.arrivals();
                WorkerMetrics { $($name: self.$name.get(),)* remote_spawns, remote_wakes }
            }
        }
    };
}

counters! {
    /// Tasks polled or cancelled.
    polls,
    /// Polls in which a resource had to stop because the budget was used up.
    forced_yields,
    /// Times the worker found nothing to do and went to sleep.
    parks,
    /// Times the worker was woken and found nothing to do.
    empty_wakes,
    /// Tasks that this worker scheduled on itself: spawned here, woken here, or woken while they ran.
    local_schedules,
    /// Tasks that did not fit the ring.
    overflows,
    /// Tasks taken from other workers' queues.
    steals,
    /// Visits to another worker's queues that brought something.
    steal_operations,
    /// Tasks spawned on this worker.
    spawns,
    /// Tasks that ended on this worker.
    completions,
    /// Tasks that this worker took out of an inbox one by one: all that come in, where there is one
    /// worker, otherwise what the shutdown cancels there.
    inbox_takes,
}
