//! What a worker has done: counted on its own cache line, summed by whoever asks.

use crate::sync::{AtomicUsize, Ordering};

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

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
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
        pub struct WorkerMetrics { $($(#[$doc])* pub $name: usize,)* }

        impl Counters {
            pub(super) fn read(&self) -> WorkerMetrics {
                WorkerMetrics { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Tasks polled or cancelled.
    polls,
    /// Times the worker found nothing to do and went to sleep.
    parks,
    /// Times the worker was woken and found nothing to do.
    empty_wakes,
    /// Tasks that this worker scheduled on itself.
    local_schedules,
    /// Tasks that did not fit the ring.
    overflows,
    /// Visits to another worker's queues that brought something.
    steals,
    /// Tasks bound to this worker: those spawned on it, and those from outside that it polled first.
    spawns,
    /// Bound tasks that completed on this worker.
    completions,
}
