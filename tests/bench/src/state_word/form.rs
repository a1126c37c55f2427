//! What a task's state word must answer, whichever form it has.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The atomic operations that the two forms use, so that a counting word can stand in.
pub(crate) trait Word: Send + Sync {
    fn new(value: usize) -> Self;
    fn load(&self, order: Ordering) -> usize;
    fn fetch_add(&self, value: usize, order: Ordering) -> usize;
    fn fetch_sub(&self, value: usize, order: Ordering) -> usize;
    fn fetch_and(&self, value: usize, order: Ordering) -> usize;
    /// Acquire on failure.
    fn cas(&self, old: usize, new: usize, success: Ordering) -> Result<usize, usize>;

    /// Repeats a transition until it lands; `None` leaves the word alone and returns it as `Err`.
    #[inline(always)]
    fn update(&self, mut next: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize> {
        let mut word = self.load(Ordering::Acquire);
        loop {
            let Some(new) = next(word) else { return Err(word) };
            match self.cas(word, new, Ordering::AcqRel) {
                Ok(old) => return Ok(old),
                Err(seen) => word = seen,
            }
        }
    }
}

impl Word for AtomicUsize {
    #[inline(always)]
    fn new(value: usize) -> Self {
        AtomicUsize::new(value)
    }
    #[inline(always)]
    fn load(&self, order: Ordering) -> usize {
        AtomicUsize::load(self, order)
    }
    #[inline(always)]
    fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        AtomicUsize::fetch_add(self, value, order)
    }
    #[inline(always)]
    fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        AtomicUsize::fetch_sub(self, value, order)
    }
    #[inline(always)]
    fn fetch_and(&self, value: usize, order: Ordering) -> usize {
        AtomicUsize::fetch_and(self, value, order)
    }
    #[inline(always)]
    fn cas(&self, old: usize, new: usize, success: Ordering) -> Result<usize, usize> {
        self.compare_exchange_weak(old, new, success, Ordering::Acquire)
    }
}

thread_local! {
    static RMWS: Cell<u64> = const { Cell::new(0) };
}

/// A word that counts the read-modify-writes of this thread, failed ones included.
pub(crate) struct Counted(AtomicUsize);

impl Counted {
    pub(crate) fn rmws() -> u64 {
        RMWS.get()
    }
}

fn count() {
    RMWS.set(RMWS.get() + 1);
}

impl Word for Counted {
    fn new(value: usize) -> Self {
        Self(AtomicUsize::new(value))
    }
    fn load(&self, order: Ordering) -> usize {
        self.0.load(order)
    }
    fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        count();
        self.0.fetch_add(value, order)
    }
    fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        count();
        self.0.fetch_sub(value, order)
    }
    fn fetch_and(&self, value: usize, order: Ordering) -> usize {
        count();
        self.0.fetch_and(value, order)
    }
    fn cas(&self, old: usize, new: usize, success: Ordering) -> Result<usize, usize> {
        count();
        self.0.compare_exchange_weak(old, new, success, Ordering::Acquire)
    }
}

/// What a wake that gives up its reference leaves to do.
#[must_use]
#[derive(Debug, PartialEq)]
pub(crate) enum Woken {
    /// The caller made the `Runnable` and has to schedule it.
    Schedule,
    /// Somebody else will poll, or nobody needs to.
    Nothing,
    /// The caller held the last reference.
    Free,
}

#[must_use]
#[derive(Debug)]
pub(crate) enum Start<T> {
    Poll(T),
    /// Drop the future instead of polling it.
    Cancel,
    /// The task was completed behind this `Runnable`'s back; `last` says that it held the cell.
    Stale {
        last: bool,
    },
}

#[must_use]
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Idle,
    Again,
}

/// What the owner found when it cancelled a task at shutdown.
#[must_use]
#[derive(Debug, PartialEq)]
pub(crate) enum ShutDown {
    /// The canceller now has exclusive access to the future.
    Mine,
    /// A `Runnable` is under way; whoever has it drops the future.
    Theirs,
    Complete,
}

/// One task's state: life cycle, notification, join flags, references.
pub(crate) trait Form: Send + Sync + 'static {
    /// What the poller keeps from the start of a poll to its end.
    type Ticket: Copy;

    /// Scheduled, on an owned list, with a `JoinHandle`.
    fn spawned() -> Self;

    fn clone_waker(&self);
    /// True: the caller made the `Runnable` and has to schedule it.
    #[must_use]
    fn wake_by_ref(&self) -> bool;
    /// A wake on the worker's own thread, where the `Runnable` may be the cell's only keeper. A
    /// foreign wake keeps its reference until it has scheduled: `wake_by_ref`, `drop_reference`.
    fn wake_by_val(&self) -> Woken;
    /// True: it was the last.
    #[must_use]
    fn drop_reference(&self) -> bool;

    fn start_poll(&self) -> Start<Self::Ticket>;
    fn end_poll(&self, ticket: Self::Ticket) -> End;
    /// True: a joiner waits for its waker to be called.
    #[must_use]
    fn complete(&self) -> bool;
    /// Drops what the owned list and the `Runnable` held of a task that completed in `run`.
    #[must_use]
    fn release(&self) -> bool;

    /// The owner's cancellation at shutdown. After `Mine` it drops the future, `complete`s, and
    /// drops the owned list's reference alone.
    fn shut_down(&self) -> ShutDown;
    /// False: the task has completed, take the output instead.
    #[must_use]
    fn register_joiner(&self) -> bool;
}
