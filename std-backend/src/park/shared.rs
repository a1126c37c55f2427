//! One driver, many parkers.
//!
//! # The four states
//! ```text
//!                     ┌── park, driver busy ──▶ PARKED_CONDVAR ──┐
//!            EMPTY ───┤                                          ├── unpark ──▶ NOTIFIED
//!              ▲      └── park, driver free ──▶ PARKED_DRIVER ───┘                 │
//!              │                                                                  │
//!              └────────────────────── park returns ◀─────────────────────────────┘
//! ```
//! A parker whose owner may leave it has a fifth, VACANT: `berth.rs`. For the others:
//!
//! Only the owner of the [`Parker`] leaves EMPTY for a PARKED state, and only the owner returns to
//! EMPTY. Everybody else only ever stores NOTIFIED.
//!
//! # Why no unpark is lost
//! Every change of the word is a read-modify-write, so all of them stand in one order. An
//! [`unpark`](Unpark::unpark) stands either
//!
//! - *before* the owner's `EMPTY → PARKED`: that exchange fails, and the park ends without sleeping;
//! - or *after* it: the swap returns the PARKED state, which says where the owner sleeps.
//!   - PARKED_CONDVAR: the owner holds the lock from before the exchange until it waits on the
//!     condition variable. The unparker passes through the lock before it notifies, hence notifies
//!     an owner who waits.
//!   - PARKED_DRIVER: a [`DriverWaker`] is sticky, so it ends a wait that has not yet begun, too.
//!
//! Unparks after the first swap find NOTIFIED and do nothing: they collapse into one. Each is still
//! a read-modify-write, hence continues the release sequence of those before it, and the owner's
//! acquiring swap sees the writes that preceded every one of them.
//!
//! # Who polls the driver
//! At most one parker is inside it. When the holder leaves to run tasks, sleepers on a condition
//! variable stay there. The holder must look after the driver itself: with
//! [`turn_now`](Parker::turn_now) at its event interval while it is busy, by parking again when it
//! is not. Any other worker that goes to sleep meanwhile finds the driver free and enters it.
//!
//! Of the workers that want to turn it one may wait for the holder, for a moment, if that dispatches
//! and does not sleep ([`turn_next_around`](Parker::turn_next_around)). The word for that and the
//! one that tells a holder who sleeps are hints: they decide who loses a moment, and nothing else.

use std::{
    fmt,
    time::{Duration, Instant},
};

use jenny_core::platform::Unpark;

use super::{
    Driver, DriverWaker,
    patience::{Patience, wait_for_a_moment},
    try_lock::TryLock,
};
use crate::primitives::{Arc, AtomicBool, AtomicUsize, Condvar, Mutex, Ordering, fence, thread};

pub(super) const EMPTY: usize = 0;
const PARKED_CONDVAR: usize = 1;
const PARKED_DRIVER: usize = 2;
const NOTIFIED: usize = 3;
/// Nobody owns the parker: it lies in a [berth](super::berth), which has the states beyond this.
pub(super) const VACANT: usize = 4;

/// The driver of a runtime, taken in turns by its parkers.
pub struct SharedDriver<D: Driver> {
    driver: Option<Held<D>>,
}

struct Held<D: Driver> {
    lock: TryLock<D>,
    waker: D::Waker,
    /// Whoever has the driver waits in it.
    is_asleep: AtomicBool,
    /// For the one who has it next.
    next: TryLock<()>,
}

impl<D: Driver> Held<D> {
    fn new(driver: D) -> Self {
        let waker = driver.waker();
        let (is_asleep, next) = (AtomicBool::new(false), TryLock::new(()));
        Self { lock: TryLock::new(driver), waker, is_asleep, next }
    }

    /// Whether somebody has the driver and does not sleep in it.
    fn is_dispatched(&self) -> bool {
        self.lock.is_locked() && !self.is_asleep.load(Ordering::Relaxed)
    }
}

impl<D: Driver> SharedDriver<D> {
    /// Shares a driver.
    pub fn new(driver: D) -> Arc<Self> {
        Arc::new(Self { driver: Some(Held::new(driver)) })
    }

    /// For a runtime without I/O: all its parkers sleep on their condition variables.
    pub fn without_driver() -> Arc<Self> {
        Arc::new(Self { driver: None })
    }

    /// Whether somebody is inside the driver, at some moment of the call; true if there is none.
    pub fn is_held(&self) -> bool {
        self.driver.as_ref().is_none_or(|held| held.lock.is_locked())
    }

    /// Shuts the driver down: operations that wait for it end with an error.
    ///
    /// Call it when no worker will park again. One that is still inside the driver is woken.
    pub fn shutdown(&self) {
        if let Some(held) = &self.driver {
            while held.lock.try_with(D::shutdown).is_none() {
                held.waker.wake();
                thread::yield_now();
            }
        }
    }
}

impl<D: Driver> SharedDriver<D> {
    /// Runs the closure on the driver, if there is one and nobody has it.
    fn try_with<R>(&self, closure: impl FnOnce(&Held<D>, &mut D) -> R) -> Option<R> {
        let held = self.driver.as_ref()?;
        held.lock.try_with(|driver| closure(held, driver))
    }
}

#[cfg(test)]
impl<D: Driver> SharedDriver<D> {
    /// Wakes whoever waits in the driver.
    pub(super) fn wake(&self) {
        self.driver.as_ref().expect("a driver").waker.wake();
    }
}

impl<D: Driver> fmt::Debug for SharedDriver<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDriver").field("present", &self.driver.is_some()).finish()
    }
}

pub(super) struct Inner<D: Driver> {
    pub(super) state: AtomicUsize,
    lock: Mutex<()>,
    condvar: Condvar,
    shared: Arc<SharedDriver<D>>,
    pub(super) resident: Option<Resident<D>>,
}

/// The thread that is woken for a parker that nobody owns.
pub(super) struct Resident<D: Driver> {
    unparker: Unparker<D>,
    /// The parker is its own again.
    pub(super) called: AtomicBool,
}

/// Lets its owner sleep: one per worker.
pub struct Parker<D: Driver> {
    inner: Arc<Inner<D>>,
    patience: Patience,
}

/// Wakes the owner of one [`Parker`], from any thread.
pub struct Unparker<D: Driver> {
    pub(super) inner: Arc<Inner<D>>,
}

impl<D: Driver> Parker<D> {
    /// Makes a parker that sleeps in the given driver when it can.
    pub fn new(shared: Arc<SharedDriver<D>>) -> Self {
        Self::with(shared, None)
    }

    /// Makes a parker for a [berth](super::Berth), and the one that its resident sleeps in.
    pub fn with_bed(shared: Arc<SharedDriver<D>>) -> (Self, Self) {
        let bed = Self::new(Arc::clone(&shared));
        let resident = Resident { unparker: bed.unparker(), called: AtomicBool::new(false) };
        (Self::with(shared, Some(resident)), bed)
    }

    fn with(shared: Arc<SharedDriver<D>>, resident: Option<Resident<D>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: AtomicUsize::new(EMPTY),
                lock: Mutex::new(()),
                condvar: Condvar::new(),
                shared,
                resident,
            }),
            patience: Patience::default(),
        }
    }

    /// Makes a handle that wakes this parker.
    pub fn unparker(&self) -> Unparker<D> {
        Unparker { inner: Arc::clone(&self.inner) }
    }

    /// Sleeps until there is an unpark, or I/O was dispatched.
    pub fn park(&mut self) {
        self.park_for(None);
    }

    /// As [`park`](Self::park), for at most `timeout`.
    pub fn park_timeout(&mut self, timeout: Duration) {
        self.park_for(Some(timeout));
    }

    /// As [`park`](Self::park), for at most `timeout` if there is one. True if I/O was dispatched.
    pub fn park_for(&mut self, timeout: Option<Duration>) -> bool {
        self.park_around(timeout, |dispatch| dispatch())
    }

    /// As [`park_for`](Self::park_for); the closure is called where the park dispatches I/O and may
    /// call wakers, and does that by what it is given.
    pub(crate) fn park_around(
        &mut self,
        timeout: Option<Duration>,
        around: impl FnOnce(&mut dyn FnMut()),
    ) -> bool {
        let Self { inner, patience } = self;
        !inner.take_notification() && inner.park(patience, timeout, around)
    }

    /// Dispatches the I/O events that are there, without sleeping; false if there were none. Does
    /// nothing while another parker has the driver, for that one dispatches them. Consumes no unpark.
    pub fn turn_now(&mut self) -> bool {
        self.turn_around(|dispatch| dispatch())
    }

    /// As [`turn_now`](Self::turn_now), with a closure as in [`park_around`](Self::park_around).
    pub(crate) fn turn_around(&mut self, around: impl FnOnce(&mut dyn FnMut())) -> bool {
        let turned = self.inner.shared.try_with(|_, driver| {
            let wakes = driver.wait(Some(Duration::ZERO));
            dispatch(driver, wakes, around)
        });
        turned.unwrap_or(false)
    }

    /// As [`turn_around`](Self::turn_around), for an owner who has nothing else to do: if another one
    /// dispatches, waits for a moment until that has finished.
    pub(crate) fn turn_next_around(&mut self, around: impl FnOnce(&mut dyn FnMut())) -> bool {
        if let Some(held) = &self.inner.shared.driver
            && held.is_dispatched()
        {
            held.next.try_with(|()| wait_for_a_moment(|| !held.is_dispatched()));
        }
        self.turn_around(around)
    }
}

/// Whether a dispatch would call wakers. If it would not, it is done.
fn has_events<D: Driver>(driver: &mut D) -> bool {
    let wakes = driver.wait(Some(Duration::ZERO));
    if !wakes {
        driver.dispatch();
    }
    wakes
}

/// Dispatches I/O; false if there was none.
fn dispatch<D: Driver>(driver: &mut D, wakes: bool, around: impl FnOnce(&mut dyn FnMut())) -> bool {
    if !wakes {
        return driver.dispatch();
    }
    let mut dispatched = false;
    around(&mut || dispatched = driver.dispatch());
    dispatched
}

impl<D: Driver> Inner<D> {
    fn park(
        &self,
        patience: &mut Patience,
        mut timeout: Option<Duration>,
        around: impl FnOnce(&mut dyn FnMut()),
    ) -> bool {
        let in_driver = self.shared.try_with(|held, driver| {
            held.is_asleep.store(true, Ordering::Relaxed);
            let waited = self.wait_in_driver(driver, patience, timeout);
            held.is_asleep.store(false, Ordering::Relaxed);
            // Even without an unpark the park ends here, because what is dispatched may have made tasks
            // of this very worker runnable.
            waited.is_some_and(|wakes| dispatch(driver, wakes, around))
        });
        in_driver.unwrap_or_else(|| {
            let paid = patience.look_within(&mut timeout, || self.is_notified());
            if !(paid && self.take_notification()) {
                self.park_on_condvar(timeout);
                patience.slept();
            }
            false
        })
    }

    fn is_notified(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Spares the read-modify-write when there is nothing to take, which is the usual case.
    fn take_notification(&self) -> bool {
        self.is_notified() && self.reset() == NOTIFIED
    }

    /// Returns to EMPTY and tells what was there.
    pub(super) fn reset(&self) -> usize {
        // Ordering: Acquire pairs with the Release swaps of `unpark`. A swap, not a store: a store
        // could overwrite an unpark that came after the last load without seeing its writes.
        self.state.swap(EMPTY, Ordering::Acquire)
    }

    /// Announces where the owner is about to sleep; false, and EMPTY again, if it was unparked.
    fn announce(&self, place: usize) -> bool {
        // Ordering: Relaxed, the word carries no data in this direction: the unparker goes on
        // through the lock or the driver's waker, both of which synchronize by themselves.
        if self.state.compare_exchange(EMPTY, place, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return true;
        }
        let previous = self.reset();
        debug_assert_eq!(previous, NOTIFIED, "two threads park on one parker");
        false
    }

    /// As [`Driver::wait`]; `None` if there was an unpark before.
    fn wait_in_driver(
        &self,
        driver: &mut D,
        patience: &mut Patience,
        mut timeout: Option<Duration>,
    ) -> Option<bool> {
        let mut wakes = false;
        patience.look_within(&mut timeout, || {
            wakes = has_events(driver);
            wakes || self.is_notified()
        });
        if wakes {
            self.take_notification();
            return Some(true);
        }
        if !self.announce(PARKED_DRIVER) {
            return None;
        }
        let wakes = driver.wait(timeout);
        // Before the dispatch: from here on the owner is awake, and an unpark is for its next park.
        self.reset();
        patience.slept();
        Some(wakes)
    }

    fn park_on_condvar(&self, timeout: Option<Duration>) {
        // A deadline beyond the clock's range is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut guard = self.lock.lock();
        if !self.announce(PARKED_CONDVAR) {
            return;
        }
        // A condition variable may return for no reason; only the word tells.
        loop {
            let Some(deadline) = deadline else {
                self.condvar.wait(&mut guard);
                if self.take_notification() {
                    return;
                }
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let timed_out = self.condvar.wait_for(&mut guard, left).timed_out();
            if timed_out {
                self.reset();
                return;
            }
            if self.take_notification() {
                return;
            }
        }
    }
}

impl<D: Driver> Unpark for Unparker<D> {
    fn unpark(&self) {
        let inner = &*self.inner;
        // Ordering: Release pairs with the Acquire swap in `reset`, so that what happened before
        // the unpark happens before the park that it ends returns.
        match inner.state.swap(NOTIFIED, Ordering::Release) {
            PARKED_CONDVAR => {
                // The owner keeps the lock until it waits; a notification before that is lost.
                drop(inner.lock.lock());
                inner.condvar.notify_one();
            }
            PARKED_DRIVER => {
                if let Some(held) = &inner.shared.driver {
                    held.waker.wake();
                }
            }
            VACANT => inner.call_resident(),
            // Not asleep: the next park sees it. Or somebody else was first to wake it.
            _ => {}
        }
    }
}

impl<D: Driver> Clone for Unparker<D> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<D: Driver> Inner<D> {
    /// Makes the resident the owner. For whoever owns the parker, or has ended its vacancy.
    #[cold]
    pub(super) fn call_resident(&self) {
        if let Some(resident) = &self.resident {
            // Ordering: Acquire, for an unparker, whose swap has read what `Berth::vacate`
            // released: the store comes after the one by which the resident has answered the call
            // before.
            fence(Ordering::Acquire);
            // Ordering: Release pairs with the Acquire of `Berth::regain`.
            resident.called.store(true, Ordering::Release);
            resident.unparker.unpark();
        }
    }

    fn describe(&self) -> &'static str {
        match self.state.load(Ordering::Relaxed) {
            EMPTY => "EMPTY",
            PARKED_CONDVAR => "PARKED_CONDVAR",
            PARKED_DRIVER => "PARKED_DRIVER",
            VACANT => "VACANT",
            _ => "NOTIFIED",
        }
    }
}

impl<D: Driver> fmt::Debug for Parker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").field("state", &self.inner.describe()).finish()
    }
}

impl<D: Driver> fmt::Debug for Unparker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unparker").field("state", &self.inner.describe()).finish()
    }
}
