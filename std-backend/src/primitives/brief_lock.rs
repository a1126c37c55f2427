//! The lock of the core's queues and of the driver's doubts: one read-modify-write, and a store to
//! open it.
//!
//! A mutex that lets threads sleep has to ask, when it is opened, whether somebody does: a second
//! read-modify-write, for what happens all but never here. A queue is locked by its own worker, now
//! and then by a thief, the doubts by whoever reads and by the driver: for some dozens of
//! nanoseconds, and never while code of a task or a waker runs. So whoever comes too late looks
//! again, and has itself woken by the clock if the holder's thread was interrupted: also where that
//! one runs only if this one sleeps.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::time::Duration;

use jenny_core::lock::RawLock;

use super::{AtomicBool, Ordering, nap, spin_loop, thread};

/// So many times to look at once: about as long as the longest use, a turn of a wheel.
const LOOKS: u32 = 64;
/// So many times to look, the last of them after others were let run.
const LOOKS_AND_YIELDS: u32 = 80;
/// How long to sleep after that.
const NAP: Duration = Duration::from_micros(50);

/// Waits for what takes a few dozen nanoseconds, unless a thread is interrupted in it.
#[cold]
pub(crate) fn wait_until(mut is_over: impl FnMut() -> bool) {
    for look in 1_u32.. {
        if is_over() {
            return;
        }
        match look {
            ..LOOKS => spin_loop(),
            LOOKS..LOOKS_AND_YIELDS => thread::yield_now(),
            _ => nap(NAP),
        }
    }
}

/// A lock for a few dozen nanoseconds.
#[derive(Debug)]
pub struct BriefLock {
    locked: AtomicBool,
}

impl BriefLock {
    #[inline]
    fn try_lock(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `Unlock`.
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: one at a time takes the flag from false to true, acquiring what the one before it has
// released; and it is put back when the closure has returned or unwinds.
unsafe impl RawLock for BriefLock {
    // They are counted where they are.
    const EXCHANGES: usize = 0;

    fn new() -> Self {
        Self { locked: AtomicBool::new(false) }
    }

    #[inline]
    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        if !self.try_lock() {
            // Loads take the cache line away from nobody.
            wait_until(|| !self.locked.load(Ordering::Relaxed) && self.try_lock());
        }
        let _unlock = Unlock(self);
        critical()
    }
}

struct Unlock<'a>(&'a BriefLock);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire in `try_lock`.
        self.0.locked.store(false, Ordering::Release);
    }
}

/// What any lock has to stand.
#[cfg(all(test, not(jenny_loom)))]
pub(crate) mod trials {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use jenny_core::lock::Mutex;

    use super::*;

    pub(crate) fn one_at_a_time_has_it<L: RawLock + Sync + Send>() {
        const THREADS: u64 = 4;
        const ROUNDS: u64 = if cfg!(miri) { 50 } else { 20_000 };
        let counts = Mutex::<_, L>::new((0, 0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        counts.with(|(first, second)| {
                            assert_eq!(first, second);
                            *first += 1;
                            if round % 1024 == 0 {
                                // Some have to wait for long.
                                thread::sleep(NAP);
                            }
                            *second += 1;
                        });
                    }
                });
            }
        });
        assert_eq!(counts.with(|counts| *counts), (THREADS * ROUNDS, THREADS * ROUNDS));
    }

    pub(crate) fn a_panic_opens_it<L: RawLock>() {
        let lock = L::new();
        let panics = || lock.with(|| panic!("in the critical section"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(lock.with(|| true));
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::{BriefLock, trials};

    #[test]
    fn one_at_a_time_has_it() {
        trials::one_at_a_time_has_it::<BriefLock>();
    }

    #[test]
    fn a_panic_opens_it() {
        trials::a_panic_opens_it::<BriefLock>();
    }
}
