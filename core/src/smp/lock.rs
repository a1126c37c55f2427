//! Locks between cores, held with interrupts masked, so that no handler waits for the code below it.

use core::{fmt, marker::PhantomData};

use super::{Board, board::masked};
use crate::{
    lock::RawLock,
    sync::{AtomicUsize, Ordering, const_unless_checked, spin_loop},
};

/// A lock between cores and their interrupts, first come, first served (a ticket lock: Reed and
/// Kanodia, 1979).
pub struct SpinLock<B> {
    /// The next ticket to be drawn.
    next: AtomicUsize,
    /// The ticket whose holder has the lock.
    served: AtomicUsize,
    _board: PhantomData<fn() -> B>,
}

impl<B: Board> SpinLock<B> {
    const_unless_checked! {
        /// An open lock, for a static.
        pub fn new() -> Self {
            Self { next: AtomicUsize::new(0), served: AtomicUsize::new(0), _board: PhantomData }
        }
    }

    fn acquire(&self) {
        // Ordering: Relaxed; a ticket alone gives nothing.
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        // Ordering: Acquire, for the Release of whoever held it before.
        while self.served.load(Ordering::Acquire) != ticket {
            spin_loop();
        }
    }

    fn release(&self) {
        // Ordering: Relaxed; only the holder writes it. Release, for the Acquire of `acquire`.
        let ticket = self.served.load(Ordering::Relaxed);
        self.served.store(ticket.wrapping_add(1), Ordering::Release);
    }
}

// SAFETY: each ticket is drawn once and served after the one before, with a Release for an Acquire;
// masked interrupts keep this core from waiting for itself. The guard releases on unwinding.
unsafe impl<B: Board> RawLock for SpinLock<B> {
    fn new() -> Self {
        Self::new()
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        struct Release<'a, B: Board>(&'a SpinLock<B>);

        impl<B: Board> Drop for Release<'_, B> {
            fn drop(&mut self) {
                self.0.release();
            }
        }

        masked::<B, _>(|| {
            self.acquire();
            let _release = Release(self);
            critical()
        })
    }
}

impl<B: Board> Default for SpinLock<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> fmt::Debug for SpinLock<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

/// A lock that its holder may take again: for the program's implementation of `critical-section`,
/// where the chip's crate has none for several cores.
///
/// ```
/// # use jenny_core::smp::{Board, Section};
/// # fn example<Chip: Board>() {
/// // In a static; `acquire` and `release` of `critical_section::Impl` are these two.
/// let section: Section<Chip> = Section::new();
/// let before = section.acquire();
/// // SAFETY: the end of the section that has just begun.
/// unsafe { section.release(before) };
/// # }
/// ```
///
/// Its atomics are the chip's own. Where there is no compare-and-swap they would come from the critical
/// section that this makes: such chips have a spin lock in hardware, and a crate that uses it.
pub struct Section<B> {
    lock: SpinLock<B>,
    /// The core that is in the section, plus 1.
    holder: AtomicUsize,
}

/// What `acquire` found: the section was this core's already, or interrupts were masked, or not.
const NESTED: u8 = 0;
const MASKED: u8 = 1;
const UNMASKED: u8 = 2;

impl<B: Board> Section<B> {
    const_unless_checked! {
        /// A section that nobody is in, for a static.
        pub fn new() -> Self {
            Self { lock: SpinLock::new(), holder: AtomicUsize::new(0) }
        }
    }

    /// Enters the section; the result is for [`release`](Self::release). From any core and interrupt.
    pub fn acquire(&self) -> u8 {
        let unmasked = B::mask();
        let this = B::this() + 1;
        // Ordering: Relaxed; a core finds its own number only where it wrote it itself.
        if self.holder.load(Ordering::Relaxed) == this {
            return NESTED;
        }
        self.lock.acquire();
        self.holder.store(this, Ordering::Relaxed);
        if unmasked { UNMASKED } else { MASKED }
    }

    /// Leaves the section.
    ///
    /// # Safety
    /// This core is in the section, and `before` is what the call that is still open and was made last
    /// returned.
    pub unsafe fn release(&self, before: u8) {
        if before == NESTED {
            return;
        }
        self.holder.store(0, Ordering::Relaxed);
        self.lock.release();
        if before == UNMASKED {
            B::unmask();
        }
    }
}

impl<B: Board> Default for Section<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> fmt::Debug for Section<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section").finish_non_exhaustive()
    }
}
