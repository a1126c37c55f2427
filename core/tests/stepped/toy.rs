//! A machine with one thread, where parking is up to the test.

use std::{
    any::Any,
    cell::Cell,
    num::NonZeroU64,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use jenny_core::{
    lock::RawLock,
    platform::{Frame, Keeps, Platform, Pocket, Unpark},
};

thread_local! {
    static SLOT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

thread_local! {
    static POCKET: Cell<*const Pocket> = const { Cell::new(ptr::null()) };
}

thread_local! {
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What the clock of this thread's machines shows, in nanoseconds.
pub(crate) fn set_clock(nanos: Option<u64>) {
    CLOCK.set(nanos);
}

/// Runs the closure with a pocket for this thread, which has none otherwise.
pub(crate) fn with_pocket(f: impl FnOnce()) {
    let pocket = Pocket::new();
    POCKET.set(&pocket);
    f();
    POCKET.set(ptr::null());
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The machine.
pub(crate) struct Toy {
    /// Where strangers push: always the same inbox, or another one each time.
    scatter: bool,
    affinity: AtomicUsize,
    seed: u64,
}

impl Toy {
    pub(crate) fn new(seed: u64, scatter: bool) -> Self {
        Self { scatter, affinity: AtomicUsize::new(0), seed }
    }
}

// SAFETY: the slot is a thread-local cell, the closure runs here and now, ids are counted up.
unsafe impl Platform for Toy {
    type Lock = Flag;
    type OwnersLock = Flag;
    type Unpark = Unparked;

    const TRACES: bool = true;
    const KEEPS: Keeps = Keeps { at_work: 4 << 10, asleep: 0 };

    fn slot() -> *const Frame {
        SLOT.get()
    }

    unsafe fn set_slot(frame: *const Frame) -> *const Frame {
        SLOT.replace(frame)
    }

    fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
        catch_unwind(AssertUnwindSafe(f))
    }

    fn abort() -> ! {
        eprintln!("the scheduler found a broken invariant");
        std::process::abort()
    }

    fn affinity(&self) -> usize {
        if self.scatter { self.affinity.fetch_add(1, Relaxed) } else { 0 }
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn nanos() -> Option<u64> {
        CLOCK.get()
    }

    fn pocket() -> *const Pocket {
        POCKET.get()
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        NonZeroU64::new(NEXT_ID.fetch_add(u64::from(count), Relaxed)).expect("counted from 1 up")
    }
}

/// A lock on one thread is never contended: to find it taken is to reenter it.
pub(crate) struct Flag(AtomicBool);

// SAFETY: the flag excludes, by a panic, and is cleared when the closure unwinds; there is one thread.
unsafe impl RawLock for Flag {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        struct Clear<'a>(&'a AtomicBool);
        impl Drop for Clear<'_> {
            fn drop(&mut self) {
                self.0.store(false, Relaxed);
            }
        }
        assert!(!self.0.swap(true, Relaxed), "a lock was entered twice");
        let _clear = Clear(&self.0);
        critical()
    }
}

/// Sticky and idempotent, as an unpark has to be.
#[derive(Clone, Default)]
pub(crate) struct Unparked(Arc<AtomicBool>);

impl Unparked {
    /// Takes the unpark, if there was one.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
    }
}

impl Unpark for Unparked {
    fn unpark(&self) {
        self.0.store(true, Relaxed);
    }
}
