//! A worker's seat, left where another thread may take it while the worker's own thread sleeps.
//!
//! Two kinds of threads sit in a seat. Its **resident** sleeps when there is no work, in a parker
//! of its own, the *bed*, and leaves the seat in the berth meanwhile. A **guest** finds it there,
//! works in it for a while, and leaves it in the berth again or brings it to the resident. The
//! resident sleeps on, and nobody wakes anybody, as long as there is nothing to do for it.
//!
//! # Who has the seat
//! The word of the seat's parker (`shared.rs`) says it. A seat is in the hands of whoever took its
//! parker out of VACANT; nobody else touches it.
//! ```text
//!                  ┌────────── vacate ──────────▶ VACANT ── unpark ──▶ NOTIFIED, resident called
//!  seat taken:     │                               │  │                         │
//!  EMPTY, NOTIFIED ◀── occupy (guest, resident) ───┘  │                         ▼
//!                  ◀── occupy (resident) ─────────────┘         resident takes the seat: EMPTY
//! ```
//! All of that are read-modify-writes on one word, so VACANT is ended once: by a guest, by a resident
//! that has awoken by itself, or by an unparker. An unparker does not want the seat; it *calls* the
//! resident, by a flag and an unpark of the bed. That call is a message to the resident alone, and
//! only it says so: the word, which it finds NOTIFIED, would look the same if a guest had taken the
//! seat and was unparked. A guest that brings the seat calls the resident as well. Between two calls
//! the resident has answered the first, taken the seat and left it, so no call is lost in another.
//!
//! # Why no unpark is lost
//! It finds the word
//!
//! - VACANT: then the resident is called, and comes.
//! - EMPTY or NOTIFIED, that is in somebody's hands: whoever that is cannot leave the seat, since
//!   `vacate` fails. A guest then brings it to the resident, who goes to work; the resident goes to
//!   work itself.
//!
//! # Why nothing is missed that the resident sleeps for
//! It sleeps until its next timer is due, and perhaps in the driver. When it awakes by itself it
//! tries to take the seat. If a guest has it, the resident unparks it, so that the guest has to
//! bring it, and sleeps until it is called. It does that before it dispatches what it found in the
//! driver, too: a waker may keep it there, and then nobody may take the worker for one that sleeps.
//! A guest that leaves the seat instead came before that unpark, which then finds VACANT, and
//! calls. A timer that became due *earlier* while a guest had the seat is what the guest has to
//! look for before it leaves: the resident does not know of it. And so is the driver, if the guest
//! was in it, since others may have found it held and sleep beside it.

use std::time::Duration;

use jenny_core::platform::Unpark;

use super::{
    Driver,
    shared::{EMPTY, Parker, Unparker, VACANT},
};
use crate::primitives::{Ordering, UnsafeCell, contain};

/// The place of a seat `T`, which is what a thread needs to be a certain worker. Its parker is one of
/// [`Parker::with_bed`].
pub struct Berth<T, D: Driver> {
    seat: UnsafeCell<Option<T>>,
    /// Of the seat's parker.
    unparker: Unparker<D>,
}

// SAFETY: the cell is accessed only by who has the seat in its hands, which is one thread at a time,
// and which comes to it by an acquire of what the one before has released.
unsafe impl<T: Send, D: Driver> Sync for Berth<T, D> {}

impl<T, D: Driver> Berth<T, D> {
    /// The berth of a seat that somebody has, with this parker.
    pub fn new(parker: &Parker<D>) -> Self {
        Self { seat: UnsafeCell::new(None), unparker: parker.unparker() }
    }

    // ---- guests ----

    /// Takes the seat, if its resident sleeps and nobody else has it. What was registered for its sleep
    /// is registered still.
    pub fn claim(&self) -> Option<T> {
        let state = &self.unparker.inner.state;
        // The load spares the exchange, which would take the cache line away from whoever uses it.
        // Ordering: Acquire pairs with the Release of `vacate`.
        let is_ours = state.load(Ordering::Relaxed) == VACANT
            && state.compare_exchange(VACANT, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // SAFETY: the word was VACANT, and this thread has ended that.
        is_ours.then(|| unsafe { self.take() })
    }

    /// Leaves the seat, which is registered as asleep, if its resident may sleep on; otherwise gives it
    /// back, to be brought. To be called by a guest.
    #[must_use]
    pub fn leave(&self, seat: T) -> Option<T> {
        // SAFETY: the caller has the seat.
        unsafe { self.put(seat) };
        // SAFETY: if it was not left, it is the caller's.
        if self.vacate() { None } else { Some(unsafe { self.take() }) }
    }

    /// Has the resident go on with the seat, which is not registered as asleep: the resident may be in
    /// a waker that it has called in the driver, and take its time. To be called by a guest.
    pub fn bring(&self, seat: T) {
        // SAFETY: the caller has the seat.
        unsafe { self.put(seat) };
        self.unparker.inner.call_resident();
    }

    // ---- the resident ----

    /// Sleeps until the seat, which is registered as asleep, was unparked, or something has happened
    /// in the driver, or `timeout` is over, and no guest has the seat.
    ///
    /// Where the bed's park dispatches I/O and may call wakers, `turn` is called to do so, if the
    /// resident has got the seat. A panic in that ends the sleep.
    pub fn sleep(
        &self,
        seat: T,
        bed: &mut Parker<D>,
        mut timeout: Option<Duration>,
        turn: impl Fn(&mut T, &mut dyn FnMut()),
    ) -> T {
        // SAFETY: the caller has the seat.
        unsafe { self.put(seat) };
        if !self.vacate() {
            self.unparker.inner.reset();
            // SAFETY: the seat was not left.
            return unsafe { self.take() };
        }
        loop {
            let mut seat = None;
            contain(|| {
                bed.park_around(timeout, |dispatch| {
                    // Without the seat it says so first: a guest that left it now, registered as asleep,
                    // would leave it to a thread that may be in a waker for long.
                    seat = self.regain().or_else(|| self.recall());
                    match &mut seat {
                        Some(seat) => turn(seat, dispatch),
                        None => dispatch(),
                    }
                });
            });
            if let Some(seat) = seat.or_else(|| self.regain()) {
                return seat;
            }
            // A guest has it. Whoever it is shall bring it and not leave it: nobody waits for the
            // deadline any more.
            self.unparker.unpark();
            timeout = None;
        }
    }

    /// Has the guest that has the seat bring it. Takes it, if it was left or brought meanwhile.
    fn recall(&self) -> Option<T> {
        self.unparker.unpark();
        self.regain()
    }

    /// Takes the seat, if it was left or brought.
    fn regain(&self) -> Option<T> {
        let resident = self.unparker.inner.resident.as_ref()?;
        // Ordering: Acquire pairs with the Release of `call_resident`.
        if !resident.called.load(Ordering::Acquire) {
            return self.claim();
        }
        // Nobody calls again before the resident has left.
        resident.called.store(false, Ordering::Relaxed);
        // What it is called for is no reason to end its next sleep, too. Ordering: the Acquire in there
        // pairs with the Release of each unpark.
        self.unparker.inner.reset();
        // SAFETY: the one who called had the seat, or has ended its being VACANT, for this thread.
        Some(unsafe { self.take() })
    }

    // ---- whoever has the seat ----

    /// Ends the caller's having the seat; false if it was unparked.
    fn vacate(&self) -> bool {
        let state = &self.unparker.inner.state;
        // Ordering: Release; what an owner has done is seen by the next, also if an unpark comes in
        // between, which continues the release sequence.
        state.compare_exchange(EMPTY, VACANT, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// # Safety
    /// The caller has the seat.
    unsafe fn put(&self, seat: T) {
        // SAFETY: nobody else accesses the cell.
        self.seat.with_mut(|place| unsafe { *place = Some(seat) });
    }

    /// # Safety
    /// The caller has the seat, and it was put here.
    unsafe fn take(&self) -> T {
        // SAFETY: nobody else accesses the cell.
        self.seat.with_mut(|place| unsafe { (*place).take() }).expect("who leaves a seat puts it")
    }
}

impl<T, D: Driver> std::fmt::Debug for Berth<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Berth").field("parker", &self.unparker).finish_non_exhaustive()
    }
}
