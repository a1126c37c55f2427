//! A parker per thread, for `block_on` outside of the workers.

#![allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]

use std::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Wake, Waker},
};

use super::patience::Patience;
use crate::primitives::{AtomicBool, Ordering, thread, thread_local};

/// Lets one thread sleep until its waker is used.
///
/// It sleeps in [`std::thread::park`], one futex word on Linux, but does not rely on the token of
/// that: user code on the same thread may park too and would consume the wake-up of a future. The
/// flag says what happened; the token only ends the sleep. A token that somebody else consumed is
/// harmless, for whoever parks looks at its own condition afterwards, as we do.
pub struct ThreadParker {
    notified: AtomicBool,
    thread: thread::Thread,
}

impl ThreadParker {
    /// Makes a parker for the calling thread, the only one that may park on it.
    pub fn for_this_thread() -> Self {
        Self { notified: AtomicBool::new(false), thread: thread::current() }
    }

    /// Sleeps until there was an unpark since the last return. Absorbs spurious wake-ups.
    pub fn park(&self) {
        // Ordering: Acquire pairs with the Release of `unpark`.
        while !self.notified.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }

    /// Whether the next [`park`](Self::park) returns at once.
    fn is_notified(&self) -> bool {
        self.notified.load(Ordering::Relaxed)
    }

    /// As [`park`](Self::park), but does not sleep; false if there was no unpark.
    fn take_notification(&self) -> bool {
        // Ordering: Acquire as in `park`. The load spares the exchange if there was none.
        self.is_notified() && self.notified.swap(false, Ordering::Acquire)
    }

    /// Ends the current or the next [`park`](Self::park), from any thread.
    pub fn unpark(&self) {
        // Ordering: Release pairs with the Acquire of `park`. If the flag was up already, whoever
        // raised it hands over the token.
        if !self.notified.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

impl Wake for ThreadParker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

impl fmt::Debug for ThreadParker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadParker")
            .field("notified", &self.notified.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

thread_local! {
    static CACHED: Cell<Option<(Arc<ThreadParker>, Patience)>> = Cell::new(None);
}

/// This thread's parker and a waker for it. Allocates only for the first and for nested calls.
///
/// A `block_on` inside a `block_on` finds the cache empty and gets a parker of its own, so that
/// neither takes the other's notification. A waker that outlives its `block_on` costs a later one
/// at most a needless poll.
pub fn block_on_waker() -> (CachedParker, Waker) {
    let cached = CACHED.try_with(Cell::take).ok().flatten();
    let fresh = || (Arc::new(ThreadParker::for_this_thread()), Patience::default());
    let (parker, patience) = cached.unwrap_or_else(fresh);
    let waker = Waker::from(Arc::clone(&parker));
    (CachedParker { parker: Some(parker), patience, not_send: PhantomData }, waker)
}

/// A [`ThreadParker`] that goes back to its thread's cache when it is dropped.
#[derive(Debug)]
pub struct CachedParker {
    /// Taken only by drop.
    parker: Option<Arc<ThreadParker>>,
    patience: Patience,
    /// It parks and is cached on the thread that it was made for.
    not_send: PhantomData<*const ()>,
}

impl CachedParker {
    /// Sleeps until the waker was used since the last return.
    pub fn park(&mut self) {
        if let Some(parker) = &self.parker {
            self.patience.look(|| parker.is_notified());
            parker.park();
            self.patience.slept();
        }
    }
}

#[cfg(feature = "rt-multi-thread")]
impl CachedParker {
    /// Whether the waker was used since the last [`park`](Self::park) or
    /// [`take_notification`](Self::take_notification).
    pub fn is_notified(&self) -> bool {
        self.parker.as_ref().is_some_and(|parker| parker.is_notified())
    }

    /// Whether the waker was used; the next call needs another use.
    pub fn take_notification(&self) -> bool {
        self.parker.as_ref().is_some_and(|parker| parker.take_notification())
    }
}

impl Drop for CachedParker {
    fn drop(&mut self) {
        let parker = self.parker.take().map(|parker| (parker, self.patience));
        // A thread that is ending has no cache any more: then the parker is freed here.
        let _ = CACHED.try_with(|cached| cached.set(parker));
    }
}
