//! The std [`Platform`]: threads, parking_lot's lock, unwinding panics.

use std::{
    any::Any,
    cell::Cell,
    hash::{BuildHasher, Hasher, RandomState},
    marker::PhantomData,
    num::NonZeroU64,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use jenny_core::{
    lock::RawLock,
    platform::{Frame, Platform, Unpark},
};

thread_local! {
    /// What this thread does for a scheduler. Const and without a destructor: one addressing mode.
    static SLOT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// Ids are unique in the process, so this is the one static of the scheduler. Workers reserve blocks.
static NEXT_TASK_ID: AtomicU64 = AtomicU64::new(1);

/// The platform of all runtimes, over the unpark handle of the runtime's parkers.
#[derive(Debug)]
pub(crate) struct Std<U> {
    _unpark: PhantomData<fn(U)>,
}

impl<U> Std<U> {
    pub(crate) fn new() -> Self {
        Self { _unpark: PhantomData }
    }
}

/// For looking at the current frame, where there is nobody to unpark.
pub(crate) type AnyRuntime = Std<Nobody>;

/// Unparks nobody.
#[derive(Debug)]
pub(crate) enum Nobody {}

impl Unpark for Nobody {
    fn unpark(&self) {
        match *self {}
    }
}

// SAFETY: the slot is a thread-local cell, which nothing else writes; no code of ours runs in a
// signal handler. `catch_unwind` runs its closure once, here and now. The ids come from a counter
// that would take centuries to wrap.
unsafe impl<U: Unpark> Platform for Std<U> {
    type Lock = Lock;
    type Unpark = U;

    #[inline]
    fn slot() -> *const Frame {
        SLOT.get()
    }

    unsafe fn set_slot(frame: *const Frame) -> *const Frame {
        SLOT.replace(frame)
    }

    #[inline]
    fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
        // Nothing that a panic may have left half-done is looked at again: the future is dropped.
        catch_unwind(AssertUnwindSafe(f))
    }

    fn abort() -> ! {
        std::process::abort()
    }

    fn affinity(&self) -> usize {
        // Every live thread has its slot at an address of its own.
        SLOT.with(|slot| ptr::from_ref(slot).addr() / align_of::<usize>())
    }

    fn seed(&self) -> u64 {
        // The standard library seeds its hash maps from the operating system.
        RandomState::new().build_hasher().finish()
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        let first = NEXT_TASK_ID.fetch_add(u64::from(count), Ordering::Relaxed);
        NonZeroU64::new(first).expect("2^64 task ids have been used up")
    }
}

/// A parking_lot mutex: one compare-and-swap to lock, one to unlock, fair to sleepers in the end.
pub(crate) struct Lock(parking_lot::Mutex<()>);

// SAFETY: the mutex excludes others until the guard is dropped, also when the closure unwinds.
unsafe impl RawLock for Lock {
    fn new() -> Self {
        Self(parking_lot::Mutex::new(()))
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        let _held = self.0.lock();
        critical()
    }
}
