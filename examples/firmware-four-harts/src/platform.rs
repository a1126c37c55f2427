//! What `jenny_core` is owed by four harts: see `jenny_core::platform`.

extern crate alloc;

use alloc::boxed::Box;
use core::{
    any::Any,
    num::NonZeroU64,
    ptr,
    sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use jenny_core::{
    lock::RawLock,
    platform::{Frame, Platform, Unpark},
};

use crate::harts::{self, HARTS, SpinLock, hart};

pub struct Harts;

/// One word per hart, which only that hart touches.
static SLOTS: [AtomicPtr<Frame>; HARTS] = [const { AtomicPtr::new(ptr::null_mut()) }; HARTS];

// SAFETY: the slot is the hart's own, and null in `in_interrupt`, which every handler that wakes
// uses; the closure runs here and now; ids are counted up.
unsafe impl Platform for Harts {
    type Lock = Lock;
    type Unpark = Unparker;

    fn slot() -> *const Frame {
        SLOTS[hart()].load(Relaxed)
    }

    unsafe fn set_slot(frame: *const Frame) -> *const Frame {
        let slot = &SLOTS[hart()];
        let outer = slot.load(Relaxed);
        slot.store(frame.cast_mut(), Relaxed);
        outer
    }

    fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
        Ok(run())
    }

    fn abort() -> ! {
        panic!("an invariant of the scheduler is broken")
    }

    fn affinity(&self) -> usize {
        hart()
    }

    fn seed(&self) -> u64 {
        0
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NonZeroU64::new(NEXT.fetch_add(count.into(), Relaxed))
            .expect("2^64 tasks are never spawned")
    }
}

/// Runs an interrupt handler: what it wakes goes to an inbox, never to the queue of the worker below,
/// which may be in the middle of a push.
pub fn in_interrupt(handler: impl FnOnce()) {
    // SAFETY: null is no frame; and the frame below stays, since the code below it does not run.
    let below = unsafe { Harts::set_slot(ptr::null()) };
    handler();
    // SAFETY: as above.
    unsafe { Harts::set_slot(below) };
}

pub struct Lock(SpinLock);

// SAFETY: one hart at a time holds a `SpinLock`, with its interrupts masked. Panics do not unwind.
unsafe impl RawLock for Lock {
    fn new() -> Self {
        Self(SpinLock::new())
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        self.0.with(critical)
    }
}

/// Wakes one hart.
pub struct Unparker(pub usize);

static UNPARKED: [AtomicBool; HARTS] = [const { AtomicBool::new(false) }; HARTS];

impl Unpark for Unparker {
    fn unpark(&self) {
        // Ordering: Release gives what came before to the `park` that this ends.
        UNPARKED[self.0].store(true, Release);
        if self.0 != hart() {
            harts::interrupt(self.0);
        }
    }
}

/// Sleeps until this hart is unparked, or interrupted by a device.
///
/// Masked interrupts stay pending and end WFI, so nothing is lost between the look and the sleep.
/// After that they are taken.
pub fn park() {
    let unparked = &UNPARKED[hart()];
    harts::masked(|| {
        if !unparked.load(Relaxed) {
            riscv::asm::wfi();
        }
    });
    // Ordering: Acquire pairs with the Release of `unpark`.
    unparked.swap(false, Acquire);
}
