//! Who polls a set and is woken for it.
//!
//! Usually that is one task or `block_on`. But several may wait in `run_until` on one set, each of
//! which runs the tasks of all: if only the last one to poll were woken and then went away, the
//! tasks would stop under the others.

use std::{
    mem,
    sync::atomic::{AtomicUsize, Ordering},
    task::Waker,
};

use jenny_core::platform::Unpark;

use crate::primitives::{Arc, Mutex, contain};

/// Who polls the set.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// The wakers of those who have polled it since it last woke them.
    wakers: Mutex<Wakers>,
    /// How many futures have polled it, and are neither ready nor gone. For those who look; it takes
    /// part in no protocol, hence a plain atomic also under a model checker.
    present: AtomicUsize,
}

/// The first one has its own place: with one host nothing is allocated.
#[derive(Debug, Default)]
struct Wakers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Hosts {
    /// Adds a host. From the set's thread only.
    pub(super) fn register(&self, waker: &Waker) {
        if self.wakers.lock().iter().any(|known| known.will_wake(waker)) {
            return;
        }
        // Cloned outside of the lock: it is foreign code. Nobody else adds anything meanwhile.
        let waker = waker.clone();
        let mut wakers = self.wakers.lock();
        if wakers.first.is_none() {
            wakers.first = Some(waker);
        } else {
            wakers.others.push(waker);
        }
    }

    /// Wakes all hosts. From any thread.
    pub(super) fn wake(&self) {
        self.take().into_iter().for_each(wake);
    }

    /// Removes a host that will not poll again. The others are woken: what was left to do for the
    /// one that leaves is theirs now.
    pub(super) fn leave(&self, waker: &Waker) {
        let others = self.take().into_iter().filter(|other| !other.will_wake(waker));
        others.for_each(wake);
    }

    /// Removes all hosts.
    pub(super) fn forget(&self) {
        drop(self.take());
    }

    /// Takes the wakers out of the lock, to be woken and dropped outside of it.
    fn take(&self) -> Wakers {
        mem::take(&mut *self.wakers.lock())
    }

    /// Counts one more future that polls the set.
    pub(super) fn arrive(&self) {
        self.present.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one less.
    pub(super) fn depart(&self) {
        self.present.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_anybody_here(&self) -> bool {
        self.present.load(Ordering::Relaxed) > 0
    }
}

/// Wakes a host. Its panic is no reason to keep the others waiting.
fn wake(host: Waker) {
    contain(|| host.wake());
}

impl Wakers {
    fn iter(&self) -> impl Iterator<Item = &Waker> {
        self.first.iter().chain(&self.others)
    }

    fn into_iter(self) -> impl Iterator<Item = Waker> {
        self.first.into_iter().chain(self.others)
    }
}

/// Has the set polled: the unpark handle of its scheduler.
#[derive(Debug)]
pub struct UnparkHosts(Arc<Hosts>);

impl UnparkHosts {
    pub(super) fn new(hosts: &Arc<Hosts>) -> Self {
        Self(Arc::clone(hosts))
    }
}

impl Unpark for UnparkHosts {
    fn unpark(&self) {
        self.0.wake();
    }
}

/// Whether anybody is going to poll a set, for other threads.
#[derive(Clone, Debug)]
pub struct Audience(Arc<Hosts>);

impl Audience {
    pub(super) fn of(hosts: &Arc<Hosts>) -> Self {
        Self(Arc::clone(hosts))
    }

    /// Whether some future has polled the set, and is neither ready nor gone, at some moment of the
    /// call. One of `&mut LocalSet` that is dropped counts on.
    pub fn is_there(&self) -> bool {
        self.0.is_anybody_here()
    }
}
