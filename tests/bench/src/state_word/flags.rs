//! Flags and compare-and-swap, after Tokio's `runtime/task/state.rs` (an idea, not its code).
//!
//! `RUNNING` is exclusive access to the future, `NOTIFIED` a `Runnable` or the promise of one at
//! the end of the poll. The `Runnable` holds a reference, because `RUNNING` arbitrates between it
//! and a canceller: it may find its task complete.

use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire},
};

use crate::form::{End, Form, ShutDown, Start, Woken, Word};

const RUNNING: usize = 1;
const COMPLETE: usize = 1 << 1;
const NOTIFIED: usize = 1 << 2;
const CANCELLED: usize = 1 << 3;
const JOIN_INTEREST: usize = 1 << 4;
const JOIN_WAKER: usize = 1 << 5;
const REF: usize = 1 << 6;
const REFS: usize = !(REF - 1);

pub(crate) struct Flags<W = AtomicUsize>(W);

impl<W: Word + 'static> Form for Flags<W> {
    type Ticket = ();

    fn spawned() -> Self {
        Self(W::new(NOTIFIED | (3 * REF) | JOIN_INTEREST))
    }

    #[inline(always)]
    fn clone_waker(&self) {
        self.0.fetch_add(REF, AcqRel);
    }

    #[inline(always)]
    fn wake_by_ref(&self) -> bool {
        let found = self.0.update(|word| match word {
            _ if word & COMPLETE != 0 => None,
            // Writes the same value, as Tokio does: a load alone could run ahead of what the waker
            // wrote before, and the poll that answers this wake would miss it.
            _ if word & NOTIFIED != 0 => Some(word),
            _ if word & RUNNING != 0 => Some(word | NOTIFIED),
            _ => Some((word | NOTIFIED) + REF),
        });
        found.is_ok_and(|word| word & (RUNNING | NOTIFIED) == 0)
    }

    #[inline(always)]
    fn wake_by_val(&self) -> Woken {
        let found = self.0.update(|word| match word {
            _ if word & (COMPLETE | NOTIFIED) != 0 => Some(word - REF),
            _ if word & RUNNING != 0 => Some((word | NOTIFIED) - REF),
            _ => Some(word | NOTIFIED),
        });
        match found {
            Ok(word) if word & (COMPLETE | NOTIFIED | RUNNING) == 0 => Woken::Schedule,
            Ok(word) if word & REFS == REF => Woken::Free,
            _ => Woken::Nothing,
        }
    }

    #[inline(always)]
    fn drop_reference(&self) -> bool {
        self.0.fetch_sub(REF, AcqRel) & REFS == REF
    }

    #[inline(always)]
    fn start_poll(&self) -> Start<()> {
        let found = self.0.update(|word| match word {
            _ if word & (RUNNING | COMPLETE) != 0 => Some(word - REF),
            _ => Some((word & !NOTIFIED) | RUNNING),
        });
        match found {
            Ok(word) if word & (RUNNING | COMPLETE) != 0 => {
                Start::Stale { last: word & REFS == REF }
            }
            Ok(word) if word & CANCELLED != 0 => Start::Cancel,
            _ => Start::Poll(()),
        }
    }

    #[inline(always)]
    fn end_poll(&self, (): ()) -> End {
        let found = self.0.update(|word| match word {
            _ if word & CANCELLED != 0 => None,
            _ if word & NOTIFIED != 0 => Some(word & !RUNNING),
            _ => Some((word & !RUNNING) - REF),
        });
        match found {
            Ok(word) if word & NOTIFIED == 0 => End::Idle,
            _ => End::Again,
        }
    }

    #[inline(always)]
    fn complete(&self) -> bool {
        self.0.fetch_add(COMPLETE - RUNNING, AcqRel) & JOIN_WAKER != 0
    }

    #[inline(always)]
    fn release(&self) -> bool {
        self.0.fetch_sub(2 * REF, AcqRel) & REFS == 2 * REF
    }

    fn shut_down(&self) -> ShutDown {
        let found = self.0.update(|word| match word {
            _ if word & COMPLETE != 0 => None,
            _ if word & RUNNING != 0 => Some(word | CANCELLED),
            _ => Some(word | CANCELLED | RUNNING),
        });
        match found {
            Ok(word) if word & RUNNING == 0 => ShutDown::Mine,
            Ok(_) => ShutDown::Theirs,
            Err(_) => ShutDown::Complete,
        }
    }

    #[inline(always)]
    fn register_joiner(&self) -> bool {
        debug_assert!(self.0.load(Acquire) & JOIN_INTEREST != 0);
        self.0.update(|word| (word & COMPLETE == 0).then_some(word | JOIN_WAKER)).is_ok()
    }
}
