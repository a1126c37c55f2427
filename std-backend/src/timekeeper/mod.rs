//! The timers of a runtime: a clock, and a wheel for each worker.
//!
//! # Who fires a wheel
//! Each wheel has an owner: the loop of one worker. It fires the wheel between two ticks, and sleeps
//! no longer than until the wheel's next deadline. Timers are in the wheel of the worker on which
//! they began to wait, so that workers share nothing here; a thread that is no worker uses the wheel
//! that its affinity selects. Anybody may fire a wheel, which is how timers go on when its owner is
//! stuck.
//!
//! # Why no deadline is slept through
//! Before it parks, the owner reads the wheel's next deadline `d` and makes that its time-out. Take a
//! timer whose deadline is before `d`, registered by
//!
//! - *the owner's own thread*: its code runs in the loop, between the reads of two parks, so the next
//!   park sees it. [`Owner::is_here`] is true, and nobody is unparked.
//! - *another thread*, before the read: the read sees it.
//! - *another thread*, after the read: the wheel tells that it became the earliest, and
//!   [`Owner::unpark`] follows. Unparks are sticky: it ends the park, or the park does not begin, and
//!   the owner reads again. The unpark's Release and the park's Acquire make the new deadline visible
//!   to that read.
//!
//! The wheel's side of this, that what it says is never too late, is in `jenny_core::time`. A
//! deadline that goes away lets the owner wake up in vain, once.

use std::{fmt, ops::Deref, sync::OnceLock, time::Duration};

use jenny_core::time::{self, Timers};

use crate::primitives::{BiasedLock, COUNTED, Mark, asymmetric, contain, own, unmodelled::Arc};

pub(crate) mod clock;
#[cfg(feature = "embassy-time-driver")]
pub(crate) mod thread;
#[cfg(feature = "embassy-time-driver")]
mod wake_queue;
#[cfg(feature = "embassy-time-driver")]
mod wakes;

use clock::Clock;
#[cfg(feature = "embassy-time-driver")]
pub(crate) use wakes::Wakes;

/// How many ticks, milliseconds, after its deadline a timer counts as neglected by its owner.
#[cfg(feature = "rt-multi-thread")]
const NEGLECTED_AFTER: u64 = 2;

/// The loop that fires a wheel.
pub(crate) trait Owner: Send + Sync + 'static {
    /// Whether this thread is in that loop, and will look at the wheel before it parks.
    fn is_here(&self) -> bool;

    /// Ends its park, or the next one.
    fn unpark(&self);

    /// The wheel is about to have its first timer.
    fn has_timers(&self);
}

/// The clock of a runtime and the wheels of its workers.
pub(crate) struct Timekeeper<O: Owner> {
    clock: Arc<Clock>,
    /// One for each worker; none if the runtime has no timers.
    wheels: Arc<[Home<O>]>,
    /// One for each wheel.
    #[cfg(feature = "embassy-time-driver")]
    wakes: Arc<[Arc<Wakes<O>>]>,
}

impl<O: Owner> Timekeeper<O> {
    /// Makes a wheel for each owner.
    pub(crate) fn new(clock: Clock, owners: impl IntoIterator<Item = O>) -> Self {
        let clock = Arc::new(clock);
        let wheel = |owner| {
            let clock = Arc::clone(&clock);
            Home(Arc::new(Wheel { timers: OnceLock::new(), clock, owner }))
        };
        let wheels: Arc<[Home<O>]> = owners.into_iter().map(wheel).collect();
        if !wheels.is_empty() {
            // For their locks, and now: before it has threads, a process gets it at once.
            asymmetric::prepare();
        }
        Self {
            #[cfg(feature = "embassy-time-driver")]
            wakes: wheels.iter().cloned().map(Wakes::new).collect(),
            clock,
            wheels,
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The wheel of each worker.
    pub(crate) fn wheels(&self) -> &[Home<O>] {
        &self.wheels
    }

    /// What wakers wait for with each worker.
    #[cfg(feature = "embassy-time-driver")]
    pub(crate) fn wakes(&self) -> &[Arc<Wakes<O>>] {
        &self.wakes
    }

    /// Fires what is due in any wheel, on behalf of all owners. From any thread.
    pub(crate) fn fire_due(&self) {
        for wheel in &*self.wheels {
            wheel.fire_due();
        }
    }

    /// Makes every owner look at the clock again: it was stopped, started or moved.
    pub(crate) fn clock_changed(&self) {
        for wheel in &*self.wheels {
            wheel.call_owner();
        }
    }

    /// The blocking pool has nothing to do any more: if that is what a stopped clock waited for, its
    /// owner goes on.
    pub(crate) fn pool_is_quiet(&self) {
        // The owner asks first whether the clock stands, then whether the pool works. So either it
        // saw the pool quiet, or the clock was stopped before this look, which sees it.
        if self.clock.is_stopped() {
            self.clock_changed();
        }
    }

    /// Ends all timers: those that wait are woken, and find out.
    pub(crate) fn close(&self) {
        for wheel in &*self.wheels {
            // Made only to be closed, it may be: that is no news for its owner.
            let timers = wheel.timers.get_or_init(Box::default);
            timers.close_with(|waker| contain(|| waker.wake()));
        }
    }
}

impl<O: Owner> Clone for Timekeeper<O> {
    fn clone(&self) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            wheels: Arc::clone(&self.wheels),
            #[cfg(feature = "embassy-time-driver")]
            wakes: Arc::clone(&self.wakes),
        }
    }
}

impl<O: Owner> fmt::Debug for Timekeeper<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeper")
            .field("clock", &self.clock)
            .field("wheels", &self.wheels)
            .finish()
    }
}

/// The wheel of one worker.
pub(crate) struct Wheel<O: Owner> {
    /// Made by the first timer. They take 6 KiB, and many workers have none.
    timers: OnceLock<Box<Timers<BiasedLock>>>,
    clock: Arc<Clock>,
    owner: O,
}

impl<O: Owner> Wheel<O> {
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[inline]
    pub(crate) fn timers(&self) -> &Timers<BiasedLock> {
        self.timers.get_or_init(|| {
            self.owner.has_timers();
            Box::default()
        })
    }

    /// The timers, unless there has been none.
    #[inline]
    fn used(&self) -> Option<&Timers<BiasedLock>> {
        self.timers.get().map(|timers| &**timers)
    }

    /// Makes the owner look again before it sleeps on.
    pub(crate) fn call_owner(&self) {
        if !self.owner.is_here() {
            self.owner.unpark();
        }
    }

    /// Lets the calling thread have the wheel as its own.
    pub(crate) fn own(&self) -> (Mark, Option<Mark>) {
        // Whose memory it is can be said of memory that is there.
        let timers = if COUNTED { Some(self.timers()) } else { None };
        (own(self), timers.map(own))
    }

    /// Fires what is due. Where no timer waits this is one load, and the clock is not read.
    pub(crate) fn fire_due(&self) {
        self.fire_due_around(|fire| fire());
    }

    /// As [`fire_due`](Self::fire_due); the closure is called if something is due, and fires it by
    /// what it is given.
    pub(crate) fn fire_due_around(&self, around: impl FnOnce(&mut dyn FnMut())) {
        // At any time whatever there is a next deadline, or there is none.
        let Some(timers) = self.used().filter(|timers| timers.next(0).is_some()) else { return };
        let now = self.clock.tick();
        if timers.next(now).is_some_and(|next| next <= now) {
            around(&mut || {
                // A panic is that of a stranger's waker, and no reason to keep the others waiting.
                timers.fire_with(now, |waker| contain(|| waker.wake()));
            });
        }
    }

    /// Fires what is overdue by so much that the owner cannot be on its way, or if that is stuck, what
    /// is due; true if there are timers left.
    #[cfg(feature = "rt-multi-thread")]
    pub(crate) fn fire_neglected(&self, is_stuck: bool) -> bool {
        let Some(timers) = self.used().filter(|timers| timers.next(0).is_some()) else {
            return false;
        };
        let now = self.clock.tick();
        let patience = if is_stuck { 0 } else { NEGLECTED_AFTER };
        if timers.next(now).is_some_and(|next| next + patience <= now) {
            timers.fire_with(now, |waker| contain(|| waker.wake()));
        }
        timers.next(now).is_some()
    }

    /// The first deadline, as a tick. Takes the lock.
    pub(crate) fn earliest(&self) -> Option<u64> {
        self.used()?.earliest()
    }

    /// The tick until which the owner may sleep; `None` for ever. Takes no lock, and reads the clock
    /// only if there is a timer.
    #[cfg(feature = "rt-multi-thread")]
    pub(crate) fn deadline(&self) -> Option<u64> {
        let timers = self.used()?;
        timers.next(0)?;
        timers.next(self.clock.tick())
    }

    /// How long the owner may sleep; `None` for ever. Takes no lock, and reads the clock only if
    /// there is a timer.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let timers = self.used()?;
        timers.next(0)?;
        let now = self.clock.now();
        timers.next(self.clock.tick_of(now)).and_then(|next| self.clock.time_until(next, now))
    }
}

impl<O: Owner> fmt::Debug for Wheel<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timers = self.used().map_or(0, Timers::len);
        f.debug_struct("Wheel").field("timers", &timers).finish_non_exhaustive()
    }
}

/// A worker's wheel, as those hold it who keep it alive.
pub(crate) struct Home<O: Owner>(Arc<Wheel<O>>);

impl<O: Owner> Clone for Home<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Owner> Deref for Home<O> {
    type Target = Wheel<O>;

    #[inline]
    fn deref(&self) -> &Wheel<O> {
        &self.0
    }
}

// SAFETY: the wheel is in an `Arc` that the home holds and never exchanges.
unsafe impl<O: Owner> time::Home for Home<O> {
    type Lock = BiasedLock;

    #[inline]
    fn with<R>(&self, use_timers: impl FnOnce(&Timers<BiasedLock>) -> R) -> Option<R> {
        Some(use_timers(self.timers()))
    }

    fn earlier(&self) {
        self.call_owner();
    }
}

impl<O: Owner> fmt::Debug for Home<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
