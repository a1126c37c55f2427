//! A worker's timers: the wheel behind a lock, and the next deadline before it.
//!
//! Tasks register with the wheel of the worker they run on, so the lock is all but uncontended. It is
//! there because timers are dropped and reset on whatever thread their task runs by then, and because
//! somebody else has to fire them while their worker is stuck.
//!
//! # No deadline is missed
//!
//! The owner reads the published deadline and parks until then. Under the lock, the published
//! deadline is never later than any in the wheel: a registration lowers it if it has to, only
//! [`fire`](Timers::fire) raises it, to what is then in the wheel. So a deadline can be missed only
//! if it is registered after the owner's reading, and lowers what the owner has read. That
//! registration calls [`Home::earlier`](super::Home::earlier) *after* it has published; a sticky
//! unpark ends the park, and the owner reads again, what came before the unpark. Removing an entry
//! leaves the published deadline alone. It is too early then, which costs one turn that finds
//! nothing, at most one for each turn.

use core::{fmt, ptr::NonNull, task::Waker};

use super::{
    entry::{Entry, State},
    published::Published,
    wakers::{BATCH, Wakers},
    wheel::{Turn, Wheel},
};
use crate::{
    lock::{Mutex, RawLock},
    sync::const_unless_checked,
};

/// The timers that are registered with one worker.
///
/// Every method may be called from any thread; not from an interrupt, unless the lock masks it.
/// Times are ticks of whatever length, since whatever moment, by a clock that never goes back.
pub struct Timers<L> {
    next: Published,
    inner: Mutex<Inner, L>,
}

struct Inner {
    wheel: Wheel,
    /// What is published; never later than what is in the wheel.
    next: Option<u64>,
    closed: bool,
}

/// The timers have been closed: their runtime is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime of this timer is shutting down")
    }
}

impl core::error::Error for Closed {}

/// What became of a registration.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Registered {
    /// The entry is Armed.
    Armed {
        /// It is the first of all, and the owner may have to know.
        earlier: bool,
    },
    /// The deadline has been reached.
    Reached,
    /// The wheel is closed.
    Closed,
}

impl<L: RawLock> Default for Timers<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: RawLock> Timers<L> {
    /// An empty wheel. It takes 6 KiB, on 32-bit machines 1.5 KiB, and never allocates.
    pub fn new() -> Self {
        Self::with_lock(L::new())
    }

    const_unless_checked! {
        /// As [`new`](Self::new), for a static.
        pub fn with_lock(lock: L) -> Self {
            let inner = Inner { wheel: Wheel::new(), next: None, closed: false };
            Self { next: Published::new(), inner: Mutex::with_lock(inner, lock) }
        }
    }

    /// When to call [`fire`](Self::fire) next, without the lock: at a tick that may be too early and
    /// is never too late. `None` if no timer is registered.
    ///
    /// Where a word has 32 bits, it has to be asked before a deadline is 2^31 ticks overdue.
    #[inline]
    pub fn next(&self, now: u64) -> Option<u64> {
        self.next.load(now)
    }

    /// The first deadline itself, for a clock that is about to jump to it. Takes the lock and looks
    /// at the timers that are due about as soon.
    pub fn earliest(&self) -> Option<u64> {
        self.inner.with(|inner| inner.wheel.earliest())
    }

    /// Fires what is due: no timer whose deadline is later than `now`. In the order of deadlines,
    /// and of registration where they are equal; one that was put off by a reset comes somewhere
    /// among its equals. Returns how many wakers it has called.
    ///
    /// No lock is held while wakers are called, and none for longer than a batch of them takes. If
    /// one panics, those of its batch are still woken, and the next call goes on with the others;
    /// with [`fire_with`](Self::fire_with) a caller that can catch panics need not let them out.
    pub fn fire(&self, now: u64) -> usize {
        self.fire_with(now, Waker::wake)
    }

    /// Like [`fire`](Self::fire), but hands each waker to a closure, which is to wake it.
    pub fn fire_with(&self, now: u64, mut wake: impl FnMut(Waker)) -> usize {
        if self.next(now).is_none_or(|next| now < next) {
            return 0;
        }
        let (mut fired, mut wakers) = (0, Wakers::new());
        loop {
            let turn = self.inner.with(|inner| {
                let turn = inner.wheel.turn(now, BATCH, |entry| {
                    // SAFETY: the entry was in the wheel until now, and we have the lock.
                    wakers.push(unsafe { release(entry, State::Fired) });
                });
                if turn == Turn::Done {
                    inner.publish_next(&self.next);
                }
                turn
            });
            fired += wakers.wake_all(&mut wake);
            if turn == Turn::Done {
                return fired;
            }
        }
    }

    /// Refuses what is registered from now on, and ends the wait of all that is: their next poll
    /// returns [`Closed`].
    pub fn close(&self) {
        self.close_with(Waker::wake);
    }

    /// Like [`close`](Self::close), but hands each waker to a closure, which is to wake it.
    pub fn close_with(&self, mut wake: impl FnMut(Waker)) {
        let mut wakers = Wakers::new();
        loop {
            self.inner.with(|inner| {
                inner.closed = true;
                for _ in 0..BATCH {
                    let Some(entry) = inner.wheel.pop() else { break };
                    // SAFETY: the entry was in the wheel until now, and we have the lock.
                    wakers.push(unsafe { release(entry, State::Closed) });
                }
                inner.publish_next(&self.next);
            });
            if wakers.wake_all(&mut wake) == 0 {
                return;
            }
        }
    }

    /// How many timers are registered.
    pub fn len(&self) -> usize {
        self.inner.with(|inner| inner.wheel.len())
    }

    /// Whether no timer is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an entry into the wheel.
    ///
    /// # Safety
    /// The entry is not Armed and owns a waker, and the caller is its timer. If it becomes Armed it
    /// stays alive and in place until it is so no more.
    #[inline]
    pub(super) unsafe fn register(&self, entry: &Entry, deadline: u64, now: u64) -> Registered {
        self.inner.with(|inner| {
            if inner.closed {
                return Registered::Closed;
            }
            inner.wheel.catch_up(now);
            // SAFETY: passed on from the caller.
            unsafe { inner.arm(entry, deadline, &self.next) }
        })
    }

    /// Moves an Armed entry to another deadline. `None` if it is not Armed any more. If it is
    /// `Reached` the entry is Fired, and the caller takes its waker.
    ///
    /// # Safety
    /// The entry has been registered here, and the caller is its timer.
    pub(super) unsafe fn reset(&self, entry: &Entry, deadline: u64) -> Option<Registered> {
        self.inner.with(|inner| {
            if entry.state() != State::Armed {
                return None;
            }
            // SAFETY: an Armed entry is in the wheel; we have the lock, and the caller is its timer.
            unsafe {
                if deadline >= entry.deadline() {
                    // The common case, a time-out that is put off: its neighbours are not touched,
                    // which would cost a cache miss each. The wheel notices.
                    entry.set_deadline(deadline);
                    return Some(Registered::Armed { earlier: false });
                }
                inner.wheel.remove(NonNull::from(entry));
                let registered = inner.arm(entry, deadline, &self.next);
                if registered == Registered::Reached {
                    entry.set_state(State::Fired);
                }
                Some(registered)
            }
        })
    }

    /// Gives an Armed entry another waker, and takes the old one. `Err` if it is not Armed any more.
    ///
    /// # Safety
    /// The entry has been registered here, and the caller is its timer.
    pub(super) unsafe fn replace(&self, entry: &Entry, waker: Waker) -> Result<Waker, Waker> {
        self.inner.with(|_| {
            if entry.state() != State::Armed {
                return Err(waker);
            }
            // SAFETY: an Armed entry owns a waker; we have the lock, and the caller is its timer.
            unsafe {
                let old = entry.take_waker();
                entry.put_waker(waker);
                Ok(old)
            }
        })
    }

    /// Takes an Armed entry out of the wheel, and its waker. `None` if it is not Armed any more.
    ///
    /// # Safety
    /// The entry has been registered here, and the caller is its timer.
    #[inline]
    pub(super) unsafe fn cancel(&self, entry: &Entry) -> Option<Waker> {
        self.inner.with(|inner| {
            if entry.state() != State::Armed {
                return None;
            }
            // SAFETY: an Armed entry is in the wheel, and we have the lock.
            unsafe {
                inner.wheel.remove(NonNull::from(entry));
                Some(release(NonNull::from(entry), State::Idle))
            }
        })
    }
}

impl Inner {
    /// # Safety
    /// As for [`Timers::register`], but the entry may be Armed if it is in no wheel.
    #[inline]
    unsafe fn arm(&mut self, entry: &Entry, deadline: u64, published: &Published) -> Registered {
        // SAFETY: the caller is the timer, and we have the lock.
        unsafe { entry.set_deadline(deadline) };
        if deadline <= self.wheel.elapsed() {
            return Registered::Reached;
        }
        entry.set_state(State::Armed);
        // SAFETY: the deadline lies ahead; the rest is passed on from the caller.
        unsafe { self.wheel.insert(NonNull::from(entry)) };
        let earlier = self.next.is_none_or(|next| deadline < next);
        if earlier {
            self.publish(Some(deadline), published);
        }
        Registered::Armed { earlier }
    }

    fn publish_next(&mut self, published: &Published) {
        let next = self.wheel.next();
        self.publish(next, published);
    }

    #[inline]
    fn publish(&mut self, next: Option<u64>, published: &Published) {
        self.next = next;
        published.store(next, self.wheel.elapsed());
    }
}

/// Takes the waker of an entry that has just left the wheel, and lets the entry go: it may be freed
/// before this returns (rule 2).
///
/// # Safety
/// The entry is Armed and out of the wheel, and the caller has the lock.
#[inline]
unsafe fn release(entry: NonNull<Entry>, state: State) -> Waker {
    // SAFETY: an Armed entry is alive and owns a waker.
    unsafe {
        let entry = entry.as_ref();
        let waker = entry.take_waker();
        entry.set_state(state);
        waker
    }
}

impl<L: RawLock> fmt::Debug for Timers<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("next", &self.next).finish_non_exhaustive()
    }
}
