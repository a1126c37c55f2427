//! The platform of the models: loom's threads, and a park that loom sees.

use std::{
    cell::Cell,
    marker::PhantomData,
    num::NonZeroU64,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jenny_core::platform::{Frame, PanicPayload, Platform, Unpark};
use loom::{
    cell::UnsafeCell,
    sync::{Notify, atomic::fence},
};

use crate::harness::Lock;

loom::thread_local! {
    static SLOT: Cell<*const Frame> = Cell::new(ptr::null());
}

std::thread_local! {
    static CLOCK_STANDS: Cell<bool> = const { Cell::new(false) };
    static HAS_FENCES: Cell<bool> = const { Cell::new(false) };
}

/// Gives the platforms of the calling model a clock that stands still: whatever a worker does takes no
/// time. Loom runs a model's threads on one.
pub(crate) fn stop_clock() {
    CLOCK_STANDS.set(true);
}

/// Gives the platforms of the calling model a pair of fences.
pub(crate) fn add_fences() {
    HAS_FENCES.set(true);
}

/// Deterministic, so that loom can repeat an execution. What is no part of a model is std's: loom
/// does not see it.
pub(crate) struct Modelled<U = Unparker> {
    /// Where strangers push: with two workers, 0 is the first one's inbox and 1 the second's.
    affinity: usize,
    next_id: AtomicU64,
    in_use: DropCheck,
    _unpark: PhantomData<fn(U)>,
}

impl<U> Modelled<U> {
    pub(crate) fn new(affinity: usize) -> Self {
        Self {
            affinity,
            next_id: AtomicU64::new(1),
            in_use: DropCheck::new(),
            _unpark: PhantomData,
        }
    }
}

// SAFETY: the slot is a cell of the loom thread, which nothing else writes. The closure runs once,
// here and now. The ids are those of a counter.
unsafe impl<U: Unpark> Platform for Modelled<U> {
    type Lock = Lock;
    type OwnersLock = Lock;
    type Unpark = U;

    const TRACES: bool = true;

    fn slot() -> *const Frame {
        SLOT.with(Cell::get)
    }

    unsafe fn set_slot(frame: *const Frame) -> *const Frame {
        if std::thread::panicking() {
            // Loom has reported something, and its threads are no more.
            return ptr::null();
        }
        SLOT.with(|slot| slot.replace(frame))
    }

    fn catch<R>(f: impl FnOnce() -> R) -> Result<R, PanicPayload> {
        // A panic is loom's report or an assertion of the model: it has to get out.
        Ok(f())
    }

    fn abort() -> ! {
        panic!("an invariant of the core is broken")
    }

    fn affinity(&self) -> usize {
        self.in_use.check();
        self.affinity
    }

    fn seed(&self) -> u64 {
        1
    }

    fn nanos() -> Option<u64> {
        CLOCK_STANDS.get().then_some(0)
    }

    fn has_fences() -> bool {
        HAS_FENCES.get()
    }

    fn light_fence() {
        fence(Ordering::SeqCst);
    }

    fn heavy_fence() -> bool {
        fence(Ordering::SeqCst);
        true
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        self.in_use.check();
        let first = self.next_id.fetch_add(u64::from(count), Ordering::Relaxed);
        NonZeroU64::new(first).expect("ids start at 1")
    }
}

/// Where one thread sleeps until it is unparked. Loom also tries one wake-up for no reason.
#[derive(Clone)]
pub(crate) struct Parker(Arc<Notify>);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }

    pub(crate) fn park(&self) {
        self.0.wait();
    }

    pub(crate) fn unparker(&self) -> Unparker {
        Unparker { notify: Arc::clone(&self.0), in_use: DropCheck::new() }
    }
}

/// Ends a park, or makes the next one return at once.
pub(crate) struct Unparker {
    notify: Arc<Notify>,
    in_use: DropCheck,
}

impl Unpark for Unparker {
    fn unpark(&self) {
        self.in_use.check();
        self.notify.notify();
    }
}

/// A part of the scheduler whose drop must come after every use. Loom reports the drop as a write
/// that is not ordered behind a read, also in the executions where it is not too early.
struct DropCheck(UnsafeCell<()>);

impl DropCheck {
    fn new() -> Self {
        Self(UnsafeCell::new(()))
    }

    fn check(&self) {
        self.0.with(|_| ());
    }
}

impl Drop for DropCheck {
    fn drop(&mut self) {
        // After a report of loom's there is nothing left to check with.
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

// SAFETY: there is no value to share; loom is to see every access.
unsafe impl Sync for DropCheck {}
