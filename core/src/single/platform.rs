//! What tasks need of a chip, beside its executor: a lock, ids, and the end of the program.

use core::{num::NonZeroU64, ptr};

use crate::{
    lock::RawLock,
    platform::{Frame, PanicPayload, Platform, Unpark},
    task,
};

/// The lock of a single core: interrupts are masked while the closure runs.
///
/// For [`Timers`](crate::time::Timers) and [`Mutex`](crate::lock::Mutex). It excludes what the
/// program's implementation of `critical-section` excludes.
#[derive(Debug, Default)]
pub struct CriticalSection;

// SAFETY: the contract of `critical_section::Impl` is that of a lock: sections exclude each other
// and happen one before the other. `with` leaves the section when the closure unwinds.
unsafe impl RawLock for CriticalSection {
    fn new() -> Self {
        Self
    }

    #[inline]
    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        critical_section::with(|_| critical())
    }
}

/// The platform of the task system. An executor finds its tasks' scheduler in a static, so there is
/// no slot: what is set is forgotten.
#[derive(Debug)]
pub struct Bare;

// SAFETY: the slot is always null, so that nothing is found in a frame, as in an interrupt. The
// closure runs here and now. Ids are counted up.
unsafe impl Platform for Bare {
    type Lock = CriticalSection;
    type OwnersLock = CriticalSection;
    type Unpark = Nobody;

    fn slot() -> *const Frame {
        ptr::null()
    }

    #[inline(always)]
    unsafe fn set_slot(_: *const Frame) -> *const Frame {
        ptr::null()
    }

    #[inline(always)]
    fn catch<R>(f: impl FnOnce() -> R) -> Result<R, PanicPayload> {
        Ok(f())
    }

    #[cold]
    fn abort() -> ! {
        panic!("a task was referred to too often, or retired twice: the program cannot go on")
    }

    fn affinity(&self) -> usize {
        0
    }

    fn seed(&self) -> u64 {
        0
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        task::take_ids(count)
    }
}

/// Wakes nobody: executors are woken by their boards.
#[derive(Debug)]
pub enum Nobody {}

impl Unpark for Nobody {
    fn unpark(&self) {
        match *self {}
    }
}
