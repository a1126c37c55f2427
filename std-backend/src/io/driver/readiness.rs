//! What is known about one registered resource, and who waits for it.
//!
//! # The word
//! ```text
//! ┌──────────────── tick ────────────────┬ shutdown ┬──── Ready ────┐
//! ```
//! The driver adds what the system reports and counts the tick up, in one step. An operation that
//! found nothing to do removes what it had seen, provided that the tick is still the same.
//!
//! # Why no wake-up is lost
//! The system reports only *changes* (edge-triggered), so a report must never be wiped out by
//! somebody who has not seen it. An operation goes: (1) read the word, (2) system call,
//! `WouldBlock`, (3) clear what (1) saw, if the tick is unchanged, (4) wait. Let the resource become
//! ready after (2); the driver then changes the word at some point.
//!
//! - Before (3): the tick differs, (3) does nothing, and (4) finds the bits set.
//! - After (3): it sets the bits again. What follows is between the driver and (4).
//!
//! The driver sets the word and *then* takes the wakers out of the locked list. A waiter puts its
//! waker into the list and, still under the lock, reads the word again. Whoever of the two locks
//! second sees what the other did: the driver finds the waker, or the waiter finds the bits.
//!
//! Clearing before any `WouldBlock`, after a read that filled only a part of its buffer, is the same
//! step (3): the resource was empty when that read returned, so whatever comes later is a new edge.
//! After a read that filled its buffer that is not known; `doubts.rs` has what makes up for it.
//! The tick would have to wrap within one operation to deceive it, which takes 2^25 events on a
//! single resource even on a 32-bit machine.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use super::{habit::Habit, interest::Interest, ready::Ready, wake_list::WakeList};
use crate::primitives::{AtomicUsize, Mutex, Ordering};

const SHUTDOWN: usize = 1 << Ready::BITS;
const TICK_SHIFT: u32 = Ready::BITS + 1;
const ONE_TICK: usize = 1 << TICK_SHIFT;

/// What an operation saw before it made its system call: the proof to clear no more than that.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What is ready, among what was asked for.
    pub ready: Ready,
    /// The driver is gone; nothing will ever be reported again.
    pub shutdown: bool,
    tick: usize,
}

impl Event {
    fn of(word: usize, mask: Ready) -> Self {
        Self {
            ready: Ready::from_low_bits(word) & mask,
            shutdown: word & SHUTDOWN != 0,
            tick: word >> TICK_SHIFT,
        }
    }

    fn ends_wait(self) -> bool {
        self.shutdown || !self.ready.is_empty()
    }
}

/// The two waker slots of the `poll_*` functions: one task reads, one task writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// For the task that reads.
    Read,
    /// For the task that writes.
    Write,
}

impl Direction {
    /// The readiness that ends a wait in this direction.
    pub fn mask(self) -> Ready {
        match self {
            Self::Read => Interest::READABLE.mask(),
            Self::Write => Interest::WRITABLE.mask(),
        }
    }
}

/// The readiness of one resource. Shared by the driver and the resource's registration.
pub struct Readiness {
    word: AtomicUsize,
    habit: Habit,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The [`WaitUntilReady`] futures; rarely more than two.
    others: Vec<Waiter>,
    next_key: u64,
}

struct Waiter {
    key: u64,
    mask: Ready,
    waker: Waker,
}

impl Readiness {
    /// Nothing is known yet, and nobody waits.
    pub fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            habit: Habit::default(),
            waiters: Mutex::new(Waiters::default()),
        }
    }

    /// Records a report of the system and collects those who wait for it.
    pub fn set(&self, ready: Ready, wakers: &mut WakeList) {
        // Ordering: Release pairs with the Acquire in `event`. Between this and a waiter's second look
        // the lock of the list decides.
        let advance = |word: usize| Some((word | ready.bits()).wrapping_add(ONE_TICK));
        let _ = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, advance);
        self.take_waiters(ready, wakers);
    }

    /// Takes for ready what nobody has reported yet: the first operation finds out. For a resource
    /// that nobody waits for.
    pub fn assume(&self, ready: Ready) {
        // Ordering: Relaxed; it reports nothing, so there is nothing to be seen behind it. No tick: a
        // report that has come already stays newer than what is assumed.
        self.word.fetch_or(ready.bits(), Ordering::Relaxed);
    }

    pub(super) fn habit(&self) -> &Habit {
        &self.habit
    }

    /// Whether a doubt that was left after `event` is settled, for the driver: there has been a report
    /// that nobody has dealt with yet, or it `is_late` and this is the report.
    pub(super) fn settle(&self, event: Event, is_late: bool, wakers: &mut WakeList) -> bool {
        // Ordering: Relaxed; the driver itself sets the bits and counts the ticks.
        let word = self.word.load(Ordering::Relaxed);
        // With the old tick the bits may be about to be forgotten, and with a new one they may be those
        // of the other direction alone.
        let was_reported = word >> TICK_SHIFT != event.tick
            && Ready::from_low_bits(word).intersects(Direction::Read.mask());
        if was_reported || is_late {
            self.habit.learn(was_reported);
        }
        if is_late && !was_reported {
            self.set(Ready::READABLE, wakers);
        }
        was_reported || is_late
    }

    /// Ends all waits, now and in the future.
    pub fn shut_down(&self, wakers: &mut WakeList) {
        // Ordering: Relaxed, since it says no more than it says; for waiters as in `set`.
        self.word.fetch_or(SHUTDOWN, Ordering::Relaxed);
        self.take_waiters(Ready::ALL, wakers);
    }

    fn take_waiters(&self, ready: Ready, wakers: &mut WakeList) {
        let mut waiters = self.waiters.lock();
        if ready.intersects(Direction::Read.mask())
            && let Some(waker) = waiters.reader.take()
        {
            wakers.push(waker);
        }
        if ready.intersects(Direction::Write.mask())
            && let Some(waker) = waiters.writer.take()
        {
            wakers.push(waker);
        }
        for waiter in waiters.others.extract_if(.., |waiter| waiter.mask.intersects(ready)) {
            wakers.push(waiter.waker);
        }
    }

    /// What is known to be ready, among `mask`.
    pub fn event(&self, mask: Ready) -> Event {
        // Ordering: Acquire pairs with the Release of `set`.
        Event::of(self.word.load(Ordering::Acquire), mask)
    }

    /// Forgets what `event` saw, unless there was a report since. That a direction is closed stays.
    pub fn clear(&self, event: Event) {
        let seen = event.ready - Ready::READ_CLOSED - Ready::WRITE_CLOSED;
        let forget = |word: usize| (word >> TICK_SHIFT == event.tick).then(|| word & !seen.bits());
        // Ordering: Relaxed, the word alone is at stake; an exchange does not break the chain from
        // `set` to `event`.
        let _ = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, forget);
    }

    /// What is ready in a direction, or the promise to wake the task when something is. Each
    /// direction remembers one task, the last.
    pub fn poll(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<Event> {
        let mask = direction.mask();
        let event = self.event(mask);
        if event.ends_wait() {
            return Poll::Ready(event);
        }
        // The new waker is cloned before the lock is taken and the old one, declared before the
        // guard, dropped after: both run the code of others, who may come back to this resource.
        let waker = cx.waker().clone();
        let _replaced: Option<Waker>;
        let mut waiters = self.waiters.lock();
        let slot = match direction {
            Direction::Read => &mut waiters.reader,
            Direction::Write => &mut waiters.writer,
        };
        _replaced = slot.replace(waker);
        let event = self.event(mask);
        if event.ends_wait() { Poll::Ready(event) } else { Poll::Pending }
    }

    /// Waits until something of `interest` is ready. Any number of tasks may.
    pub fn wait_until_ready(&self, interest: Interest) -> WaitUntilReady<'_> {
        WaitUntilReady { readiness: self, mask: interest.mask(), key: None }
    }

    /// Forgets the tasks of the `poll_*` functions; their futures are gone or about to be.
    pub fn forget_tasks(&self) {
        let mut waiters = self.waiters.lock();
        let forgotten = mem::take(&mut *waiters);
        drop(waiters);
        drop(forgotten);
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event(Ready::ALL).fmt(f)
    }
}

/// Resolves when something of its interest is ready.
///
/// Every waiter whose interest matches is woken, not just one, and no waiter consumes readiness.
/// So a future that is dropped after it was woken takes nothing from the others.
#[derive(Debug)]
pub struct WaitUntilReady<'a> {
    readiness: &'a Readiness,
    mask: Ready,
    /// The entry in the list, which the driver removes when it wakes this future.
    key: Option<u64>,
}

impl WaitUntilReady<'_> {
    fn withdraw(&mut self) {
        if let Some(key) = self.key.take() {
            let mut waiters = self.readiness.waiters.lock();
            let place = waiters.others.iter().position(|waiter| waiter.key == key);
            let withdrawn = place.map(|place| waiters.others.swap_remove(place));
            drop(waiters);
            drop(withdrawn);
        }
    }

    fn enter(&mut self, waker: Waker) -> Poll<Event> {
        // Declared before the guard, hence dropped without the lock.
        let _replaced: Option<Waker>;
        let mut waiters = self.readiness.waiters.lock();
        let entry = waiters.others.iter_mut().find(|waiter| Some(waiter.key) == self.key);
        if let Some(entry) = entry {
            _replaced = Some(mem::replace(&mut entry.waker, waker));
        } else {
            let key = waiters.next_key;
            waiters.next_key += 1;
            waiters.others.push(Waiter { key, mask: self.mask, waker });
            self.key = Some(key);
        }
        let event = self.readiness.event(self.mask);
        if event.ends_wait() { Poll::Ready(event) } else { Poll::Pending }
    }
}

impl Future for WaitUntilReady<'_> {
    type Output = Event;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        let event = self.readiness.event(self.mask);
        let event = if event.ends_wait() { event } else { ready!(self.enter(cx.waker().clone())) };
        self.withdraw();
        Poll::Ready(event)
    }
}

impl Drop for WaitUntilReady<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
