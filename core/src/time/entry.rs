//! What a timer leaves in the wheel: a node that the timer owns, pins and takes out again.
//!
//! ```text
//!              reset                    register                    fire
//!   Fired ───────────────▶ Idle ──────────────────────▶ Armed ───────────────▶ Fired
//!   Closed                  ▲                            │ │
//!                           └────────────────────────────┘ └─────────────────▶ Closed
//!                                       cancel                     close
//! ```
//!
//! Registering leads from Idle to Fired if the deadline has been reached, to Closed if the wheel is.
//!
//! | state | in the wheel | deadline and waker may be written by | the entry owns a waker |
//! |---|---|---|---|
//! | Idle, Fired, Closed | no | the timer, which is borrowed mutably | no |
//! | Armed | yes | the timer *and* under the wheel's lock | yes |
//!
//! Before it is Armed for the first time it has neither: a timer that nobody waits for writes its state
//! and no more.
//!
//! # Rules
//!
//! 1. *Armed is left under the lock*, whoever leaves it, and entered under the lock. So under the
//!    lock the state is what it says.
//! 2. *The store that leaves Armed is the last access* of a thread that fires or closes. It releases,
//!    and the timer's load acquires: a timer that finds itself fired has the entry to itself, needs no
//!    lock, and may be freed at once.
//! 3. *Only the timer writes the waker.* Whoever fires copies it out and leaves the bytes as they
//!    are. So the timer can compare them with its task's waker at any time, without the lock: a poll
//!    that changes nothing costs one load.
//! 4. *Links and position* are the wheel's, under its lock.

use core::{
    fmt,
    mem::MaybeUninit,
    ptr::{self, NonNull},
    task::{RawWakerVTable, Waker},
};

use crate::{
    list::{Linked, Pointers},
    sync::{AtomicU8, Ordering, UnsafeCell},
};

/// The phase of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Not registered.
    Idle,
    /// In the wheel.
    Armed,
    /// The deadline has passed.
    Fired,
    /// The wheel was closed before the deadline.
    Closed,
}

/// A waker taken apart: bytes that may be copied, compared, and be out of date.
#[derive(Clone, Copy)]
struct Parts {
    data: *const (),
    vtable: &'static RawWakerVTable,
}

impl Parts {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data(), vtable: waker.vtable() }
    }
}

/// The node of one timer.
pub(super) struct Entry {
    pointers: Pointers<Entry>,
    deadline: UnsafeCell<MaybeUninit<u64>>,
    waker: UnsafeCell<MaybeUninit<Parts>>,
    position: UnsafeCell<u16>,
    state: AtomicU8,
}

// SAFETY: the state is atomic; who may touch the rest when is in the table above, and the unsafe
// functions below ask for it. A waker is `Send` and `Sync`.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            pointers: Pointers::new(),
            deadline: UnsafeCell::new(MaybeUninit::uninit()),
            waker: UnsafeCell::new(MaybeUninit::uninit()),
            position: UnsafeCell::new(0),
            state: AtomicU8::new(State::Idle as u8),
        }
    }

    /// The state. From anywhere.
    #[inline]
    pub(super) fn state(&self) -> State {
        // Ordering: Acquire pairs with the Release in `set_state` (rule 2).
        match self.state.load(Ordering::Acquire) {
            0 => State::Idle,
            1 => State::Armed,
            2 => State::Fired,
            _ => State::Closed,
        }
    }

    /// Changes the state: under the lock from or to Armed (rule 1), else by the timer.
    #[inline]
    pub(super) fn set_state(&self, state: State) {
        // Ordering: Release pairs with the Acquire in `state`: all accesses come before (rule 2).
        self.state.store(state as u8, Ordering::Release);
    }

    /// # Safety
    /// It has been given a deadline, and the caller is the timer and not Armed, or has the lock.
    #[inline]
    pub(super) unsafe fn deadline(&self) -> u64 {
        // SAFETY: it was written, and nobody else may write it now, as the caller says.
        self.deadline.with(|deadline| unsafe { (*deadline).assume_init() })
    }

    /// # Safety
    /// The caller is the timer, and not Armed or with the lock.
    #[inline]
    pub(super) unsafe fn set_deadline(&self, deadline: u64) {
        // SAFETY: nobody else may access it now, as the caller says.
        self.deadline.with_mut(|its| unsafe { (*its).write(deadline) });
    }

    /// Whether this waker is the one that the entry was given last.
    ///
    /// # Safety
    /// The caller is the timer, and it has been given one.
    #[inline]
    pub(super) unsafe fn is_for(&self, waker: &Waker) -> bool {
        // SAFETY: it was written, and nobody but the caller writes it again (rule 3).
        let Parts { data, vtable } = self.waker.with(|parts| unsafe { (*parts).assume_init() });
        data == waker.data() && ptr::eq(vtable, waker.vtable())
    }

    /// Gives the entry a waker. What it owned before has been taken.
    ///
    /// # Safety
    /// The caller is the timer, and not Armed or with the lock.
    #[inline]
    pub(super) unsafe fn put_waker(&self, waker: Waker) {
        let parts = Parts::of(&waker);
        core::mem::forget(waker);
        // SAFETY: nobody else may access it now, as the caller says.
        self.waker.with_mut(|its| unsafe { (*its).write(parts) });
    }

    /// Takes the waker that the entry owns; its bytes stay (rule 3).
    ///
    /// # Safety
    /// The entry owns one, and the caller is the timer and not Armed, or it has the lock. Whoever has
    /// taken it leaves Armed before the lock is open, or puts another.
    #[inline]
    pub(super) unsafe fn take_waker(&self) -> Waker {
        // SAFETY: it was written, and nobody else may write it now, as the caller says.
        let Parts { data, vtable } = self.waker.with(|parts| unsafe { (*parts).assume_init() });
        // SAFETY: these are the parts of a waker that was forgotten in `put_waker`, and it is made
        // again once.
        unsafe { Waker::new(data, vtable) }
    }

    /// # Safety
    /// The caller has the lock.
    #[inline]
    pub(super) unsafe fn position(&self) -> u16 {
        // SAFETY: rule 4.
        self.position.with(|position| unsafe { *position })
    }

    /// # Safety
    /// The caller has the lock.
    #[inline]
    pub(super) unsafe fn set_position(&self, position: u16) {
        // SAFETY: rule 4.
        self.position.with_mut(|its| unsafe { *its = position });
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The kind of list that a slot of the wheel is. It borrows its entries: a timer takes its own out
/// before it goes.
pub(super) struct Link;

// SAFETY: an entry in the wheel stays alive and in place until it is taken out, which the wheel asks
// of those that insert. Its pointers are reached by address, without a reference to the entry.
unsafe impl Linked for Link {
    type Handle = NonNull<Entry>;
    type Target = Entry;

    fn into_raw(entry: NonNull<Entry>) -> NonNull<Entry> {
        entry
    }

    unsafe fn from_raw(entry: NonNull<Entry>) -> NonNull<Entry> {
        entry
    }

    unsafe fn pointers(entry: NonNull<Entry>) -> NonNull<Pointers<Entry>> {
        // SAFETY: the entry is alive, and so is its field.
        unsafe { NonNull::new_unchecked(&raw mut (*entry.as_ptr()).pointers) }
    }
}

#[cfg(all(test, target_pointer_width = "64", not(jenny_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_48_bytes() {
        assert_eq!(size_of::<Entry>(), 48);
    }
}
