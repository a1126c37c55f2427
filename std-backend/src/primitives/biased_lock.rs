//! The lock of a worker's wheel and overflow: no read-modify-write for the thread that has it again and
//! again, one for others.
//!
//! Both are locked by their own worker, now and then by a thief or by one that a task has moved to, for as
//! short a time as any queue, and whoever comes too late waits in the same way
//! (`brief_lock.rs`). But the thread that has come so many times in a row without another in
//! between becomes the *favourite*, and goes a way of its own.
//!
//! # The short way
//! The favourite says that it is inside, looks whether it is the favourite still, and if so, it has the
//! lock. Anybody else takes the flag `locked`; finds that there is a favourite, and ends that; and waits
//! until it is not inside.
//!
//! ```text
//!   the favourite                        another, with `locked`
//!   inside = true                        favourite = NOBODY
//!   light fence                          knows ? has the lock
//!   favourite == me ? has the lock       heavy fence
//!   inside = false, knows = true         inside ? wait : has the lock
//! ```
//!
//! By the fences, which are a pair (`asymmetric.rs`), one of the two sees the other's store. If it is the
//! favourite, it goes the long way. If it is the other, it waits for the end of what the favourite does,
//! and sees all that it has done, by the Release of its leaving. Only a thread that has `locked` makes
//! itself the favourite; so the favourite is one thread, nobody has `locked` at that moment who has not
//! seen it, and what others did before lies before its short ways.
//!
//! A favourite that is none any more may not know, and be about to write `inside`. So another one is
//! chosen only when the former has come the long way ([`former`](BiasedLock::former)). If it never comes
//! again, since its worker was handed to another thread, nobody is preferred any more.
//!
//! # An answer instead of the fence
//! The heavy fence is a system call that interrupts the other processors: some microseconds, on a virtual
//! machine fifteen. A favourite that comes all the time finds out sooner. On its way to `locked` it
//! answers that it knows, by a Release: all its short ways lie before that, and it makes no other before
//! it has had `locked` itself, since it has seen that it is none, and only who has `locked` makes one. So
//! who sees the answer, by an Acquire, needs no fence. It looks for it a moment ([`LOOKS`]).
//!
//! # How often
//! A favourite that is found to be the wrong one has to come twice as often as before until it is one
//! again ([`AT_FIRST`], [`AT_LAST`]), so tasks that move all the time pay next to nothing for that. One
//! that has answered, not so often ([`AT_LAST_ANSWERED`]).

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::sync::atomic::{AtomicU32, AtomicUsize as Note};

use jenny_core::lock::RawLock;

use super::{AtomicBool, AtomicUsize, Ordering, asymmetric, spin_loop, thread_number, wait_until};

/// So many times in a row makes a thread the favourite of a lock that never had one.
const AT_FIRST: u32 = if cfg!(jenny_loom) { 1 } else { 64 };
/// So many times at the most, whatever became of earlier favourites.
const AT_LAST: u32 = if cfg!(jenny_loom) { 1 } else { 1 << 16 };
/// So many times at the most if the last one has answered: what that took is made up for by then.
const AT_LAST_ANSWERED: u32 = if cfg!(jenny_loom) { 1 } else { 1 << 10 };
/// How often to look for the answer, in about a microsecond.
const LOOKS: u32 = if cfg!(jenny_loom) { 1 } else { 32 };

const NOBODY: usize = 0;

/// A lock for a few dozen nanoseconds.
#[derive(Debug)]
pub struct BiasedLock {
    /// Who may go the short way. Written with `locked`.
    favourite: AtomicUsize,
    /// The favourite is inside. Written by it alone, also once more when it is none any more.
    inside: AtomicBool,
    /// Somebody is inside who went the long way.
    locked: AtomicBool,
    /// Who was the last to do so, and how often before, since another did. With `locked`.
    last: Note,
    in_a_row: AtomicU32,
    /// So many make a favourite. With `locked`.
    enough: AtomicU32,
    /// Who became the favourite, until it has come the long way since. With `locked`.
    former: Note,
    /// The former favourite knows that it is none any more. Written by it alone.
    knows: AtomicBool,
}

impl BiasedLock {
    /// Has the lock when it returns, until the flag that it returns is put back.
    #[inline]
    fn enter(&self) -> &AtomicBool {
        let me = thread_number();
        if self.favourite.load(Ordering::Relaxed) == me && self.goes_the_short_way(me) {
            return &self.inside;
        }
        self.lock(me);
        &self.locked
    }

    #[inline]
    fn goes_the_short_way(&self, me: usize) -> bool {
        self.inside.store(true, Ordering::Relaxed);
        asymmetric::light();
        if self.favourite.load(Ordering::Relaxed) == me {
            return true;
        }
        self.inside.store(false, Ordering::Release);
        false
    }

    // Not inlined, nor cold: where nobody is the favourite this is the way.
    #[inline(never)]
    fn lock(&self, me: usize) {
        // Its own number is written by a thread itself.
        if self.former.load(Ordering::Relaxed) == me {
            // Ordering: Release pairs with the Acquire in `is_answered`.
            self.knows.store(true, Ordering::Release);
        }
        if !self.try_lock() {
            // Loads take the cache line away from nobody.
            wait_until(|| !self.locked.load(Ordering::Relaxed) && self.try_lock());
        }
        // Whoever is the favourite is so by a store with the lock.
        if self.favourite.load(Ordering::Relaxed) != NOBODY {
            self.end_preference();
        }
        if self.former.load(Ordering::Relaxed) == me {
            self.former.store(NOBODY, Ordering::Relaxed);
        }
        if self.last.load(Ordering::Relaxed) != me {
            self.last.store(me, Ordering::Relaxed);
            self.in_a_row.store(0, Ordering::Relaxed);
            return;
        }
        let in_a_row = self.in_a_row.load(Ordering::Relaxed) + 1;
        self.in_a_row.store(in_a_row, Ordering::Relaxed);
        if in_a_row >= self.enough.load(Ordering::Relaxed) {
            self.prefer(me);
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `Leave`.
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// With `locked`, which keeps others away until the next `enter`.
    #[cold]
    fn prefer(&self, me: usize) {
        self.in_a_row.store(0, Ordering::Relaxed);
        if self.former.load(Ordering::Relaxed) == NOBODY && asymmetric::prepare() {
            self.former.store(me, Ordering::Relaxed);
            self.knows.store(false, Ordering::Relaxed);
            self.favourite.store(me, Ordering::Relaxed);
        }
    }

    /// With `locked`.
    #[cold]
    fn end_preference(&self) {
        self.favourite.store(NOBODY, Ordering::Relaxed);
        let is_answered = self.is_answered();
        if !is_answered {
            asymmetric::heavy();
            // Ordering: Acquire pairs with the Release in `Leave`, and takes over what the favourite did.
            wait_until(|| !self.inside.load(Ordering::Acquire));
        }
        self.last.store(NOBODY, Ordering::Relaxed);
        let enough = self.enough.load(Ordering::Relaxed);
        let at_last = if is_answered { AT_LAST_ANSWERED } else { AT_LAST };
        self.enough.store((2 * enough).min(at_last), Ordering::Relaxed);
    }

    /// Whether the favourite has found out in time that it is none any more.
    fn is_answered(&self) -> bool {
        (0..LOOKS).any(|look| {
            if look > 0 {
                spin_loop();
            }
            // Ordering: Acquire takes over what the favourite did on its short ways.
            self.knows.load(Ordering::Acquire)
        })
    }
}

// SAFETY: the one at a time who has taken `locked` and has seen the favourite leave is alone, as the head
// of this file argues, and so is the favourite; each of the flags is put back when the closure has
// returned or unwinds, by a Release that the next one acquires.
unsafe impl RawLock for BiasedLock {
    // They are counted where they are.
    const EXCHANGES: usize = 0;

    fn new() -> Self {
        Self {
            favourite: AtomicUsize::new(NOBODY),
            inside: AtomicBool::new(false),
            locked: AtomicBool::new(false),
            last: Note::new(NOBODY),
            in_a_row: AtomicU32::new(0),
            enough: AtomicU32::new(AT_FIRST),
            former: Note::new(NOBODY),
            knows: AtomicBool::new(false),
        }
    }

    #[inline]
    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        let _leave = Leave(self.enter());
        critical()
    }
}

struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    #[inline]
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire in `try_lock` or in `end_preference`.
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use std::thread;

    use super::*;
    use crate::primitives::trials;

    #[test]
    fn one_at_a_time_has_it() {
        trials::one_at_a_time_has_it::<BiasedLock>();
    }

    #[test]
    fn a_panic_opens_it() {
        trials::a_panic_opens_it::<BiasedLock>();
    }

    #[test]
    fn whoever_comes_again_and_again_goes_the_short_way_until_another_comes() {
        let lock = BiasedLock::new();
        let is_short = || {
            let (inside, locked) = lock.with(|| {
                (lock.inside.load(Ordering::Relaxed), lock.locked.load(Ordering::Relaxed))
            });
            assert_ne!(inside, locked);
            inside
        };
        let uses_before_short = || (0..).find(|_| is_short()).unwrap_or_default();
        if !asymmetric::prepare() {
            return assert!((0..2 * AT_FIRST).all(|_| !is_short()));
        }
        assert_eq!(uses_before_short(), AT_FIRST + 1);
        thread::scope(|scope| {
            scope.spawn(|| assert!(!is_short()));
        });
        assert!(!is_short());
        assert_eq!(uses_before_short(), 2 * AT_FIRST);
        assert!(lock.enough.load(Ordering::Relaxed) <= AT_LAST);
    }
}
