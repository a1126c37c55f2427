//! The wake counter: a wake is one addition, whatever the task is doing.
//!
//! ```text
//! top                                     bottom
//! | wakes | references | COALESCED JOIN_WAKER JOIN_INTEREST CANCELLED COMPLETE |
//! ```
//! A `Runnable` exists if and only if `wakes > 0` and the task is not complete, so the wake that
//! finds zero makes it, and there is never a second one. The poller remembers the count from the
//! start of the poll and takes exactly that many away at its end: a remainder is a wake that came
//! meanwhile. The `Runnable` holds no reference; the owned list's lives until completion.
//!
//! The count sits at the top, where an overflow would leave the word without touching the rest. It
//! never comes to that: a wake that finds half of the field used folds the count to one and sets
//! `COALESCED`, which the end of the poll reads as "woken since".

use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire},
};

use crate::form::{End, Form, ShutDown, Start, Woken, Word};

const COMPLETE: usize = 1;
const CANCELLED: usize = 1 << 1;
const JOIN_INTEREST: usize = 1 << 2;
const JOIN_WAKER: usize = 1 << 3;
const COALESCED: usize = 1 << 4;
const REF: usize = 1 << 5;

/// A third of the word for wakes, about half for references.
pub(crate) const WAKE_BITS: u32 = usize::BITS / 3;

/// `BITS` is the width of the wake count; a stress test shrinks it until it saturates for real.
pub(crate) struct Counter<W = AtomicUsize, const BITS: u32 = WAKE_BITS>(W);

impl<W: Word, const BITS: u32> Counter<W, BITS> {
    const WAKE: usize = 1 << (usize::BITS - BITS);
    const HALF: usize = 1 << (usize::BITS - 1);
    const WAKES: usize = !(Self::WAKE - 1);
    const REFS: usize = (Self::WAKE - 1) & !(REF - 1);

    #[cold]
    fn coalesce(&self) {
        // `Err`: another wake folded the count first, and set the flag for both.
        let _ = self.0.update(|word| {
            (word & Self::HALF != 0).then_some((word & !Self::WAKES) | Self::WAKE | COALESCED)
        });
    }

    /// Whether the wake that found `word` made the `Runnable`.
    #[inline(always)]
    fn woke(&self, word: usize) -> bool {
        if word & Self::HALF != 0 {
            self.coalesce();
            return false;
        }
        word & (Self::WAKES | COMPLETE) == 0
    }
}

impl<W: Word + 'static, const BITS: u32> Form for Counter<W, BITS> {
    type Ticket = usize;

    fn spawned() -> Self {
        Self(W::new(Self::WAKE | (2 * REF) | JOIN_INTEREST))
    }

    #[inline(always)]
    fn clone_waker(&self) {
        self.0.fetch_add(REF, AcqRel);
    }

    #[inline(always)]
    fn wake_by_ref(&self) -> bool {
        let word = self.0.fetch_add(Self::WAKE, AcqRel);
        self.woke(word)
    }

    #[inline(always)]
    fn wake_by_val(&self) -> Woken {
        let word = self.0.fetch_add(Self::WAKE - REF, AcqRel);
        if self.woke(word) {
            Woken::Schedule
        } else if word & Self::REFS == REF {
            Woken::Free
        } else {
            Woken::Nothing
        }
    }

    #[inline(always)]
    fn drop_reference(&self) -> bool {
        self.0.fetch_sub(REF, AcqRel) & Self::REFS == REF
    }

    #[inline(always)]
    fn start_poll(&self) -> Start<usize> {
        let word = self.0.load(Acquire);
        if word & CANCELLED != 0 { Start::Cancel } else { Start::Poll(word & Self::WAKES) }
    }

    #[inline(always)]
    fn end_poll(&self, wakes: usize) -> End {
        let mut word = self.0.load(Acquire);
        loop {
            if word & COALESCED != 0 {
                self.0.fetch_and(!COALESCED, AcqRel);
                return End::Again;
            }
            if word & Self::WAKES != wakes || word & CANCELLED != 0 {
                return End::Again;
            }
            match self.0.cas(word, word - wakes, AcqRel) {
                Ok(_) => return End::Idle,
                Err(seen) => word = seen,
            }
        }
    }

    #[inline(always)]
    fn complete(&self) -> bool {
        self.0.fetch_add(COMPLETE, AcqRel) & JOIN_WAKER != 0
    }

    #[inline(always)]
    fn release(&self) -> bool {
        self.drop_reference()
    }

    fn shut_down(&self) -> ShutDown {
        let found = self.0.update(|word| {
            (word & (COMPLETE | CANCELLED) == 0).then(|| (word | CANCELLED) + Self::WAKE)
        });
        match found {
            Ok(word) if word & Self::WAKES == 0 => ShutDown::Mine,
            Ok(_) => ShutDown::Theirs,
            Err(_) => ShutDown::Complete,
        }
    }

    #[inline(always)]
    fn register_joiner(&self) -> bool {
        self.0.update(|word| (word & COMPLETE == 0).then_some(word | JOIN_WAKER)).is_ok()
    }
}
