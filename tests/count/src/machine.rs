//! The stealing scheduler without threads: its workers are stepped by whoever has them, so what they
//! do is the same each time.

use std::{
    any::Any,
    cell::Cell,
    num::NonZeroU64,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jenny_core::{
    lock::RawLock,
    platform::{Frame, Keeps, Platform, Pocket, Unpark},
    scheduler::{Tick, local, stealing},
};

thread_local! {
    static SLOT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
    static POCKET: Pocket = const { Pocket::new() };
}

/// A platform on which nothing is left to chance.
#[derive(Debug, Default)]
pub struct Machine {
    next_id: AtomicU64,
}

// SAFETY: the slot is a thread-local cell, the closure runs here and now, ids are counted up. There is
// one thread, which sees its own stores without a fence.
unsafe impl Platform for Machine {
    type Lock = Lock;
    type OwnersLock = Lock;
    type Unpark = Nobody;

    // As the runtimes of std.
    const KEEPS: Keeps = Keeps { at_work: 1 << 20, asleep: 64 << 10 };

    #[inline]
    fn slot() -> *const Frame {
        SLOT.get()
    }

    unsafe fn set_slot(frame: *const Frame) -> *const Frame {
        SLOT.replace(frame)
    }

    #[inline]
    fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
        catch_unwind(AssertUnwindSafe(f))
    }

    fn abort() -> ! {
        std::process::abort()
    }

    // As the runtimes of std, too.
    fn has_fences() -> bool {
        true
    }

    fn heavy_fence() -> bool {
        true
    }

    #[inline]
    fn pocket() -> *const Pocket {
        POCKET.try_with(ptr::from_ref).unwrap_or(ptr::null())
    }

    fn affinity(&self) -> usize {
        0
    }

    fn seed(&self) -> u64 {
        1
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        let first = 1 + self.next_id.fetch_add(u64::from(count), Relaxed);
        NonZeroU64::new(first).expect("counted from 1 up")
    }
}

/// A mutex of the standard library.
#[derive(Debug)]
pub struct Lock(Mutex<()>);

// SAFETY: a mutex excludes, orders, and is released when the closure unwinds.
unsafe impl RawLock for Lock {
    fn new() -> Self {
        Self(Mutex::new(()))
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        critical()
    }
}

/// Nobody sleeps here: workers are stepped whether they were unparked or not.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Unpark for Nobody {
    fn unpark(&self) {}
}

/// A scheduler and its workers.
#[derive(Debug)]
pub struct Stepped {
    /// Spawns from wherever it is called.
    pub handle: stealing::Handle<Machine>,
    workers: Vec<stealing::Worker<Machine>>,
}

impl Stepped {
    /// A scheduler with so many workers, all awake.
    pub fn new(workers: usize) -> Self {
        let unpark = std::iter::repeat_n(Nobody, workers);
        let (handle, workers) =
            stealing::new(Machine::default(), unpark, stealing::Config::default());
        Self { handle, workers }
    }

    /// Runs a closure on the thread of a worker.
    pub fn on<R>(
        &mut self,
        worker: usize,
        scope: impl FnOnce(&stealing::Entered<'_, Machine>) -> R,
    ) -> R {
        self.workers[worker].enter(scope)
    }
}

/// As [`Stepped`], with the scheduler of one thread.
#[derive(Debug)]
pub struct SteppedLocal {
    /// Spawns from wherever it is called.
    pub handle: local::Handle<Machine>,
    worker: local::Worker<Machine>,
}

impl SteppedLocal {
    /// A scheduler whose worker is awake.
    pub fn new() -> Self {
        let (handle, worker) = local::new(Machine::default(), Nobody, local::Config::default());
        Self { handle, worker }
    }

    /// Runs a closure on the thread of the worker.
    pub fn on<R>(&self, scope: impl FnOnce(&local::Entered<'_, Machine>) -> R) -> R {
        self.worker.enter(scope)
    }
}

impl Default for SteppedLocal {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SteppedLocal {
    fn drop(&mut self) {
        self.handle.close();
        while self.on(|worker| worker.tick()) != Tick::Stopped {}
    }
}

/// Ticks until there is nothing left to do.
pub fn run(worker: &stealing::Entered<'_, Machine>) {
    while worker.tick() == Tick::Ran {}
}

impl Drop for Stepped {
    fn drop(&mut self) {
        self.handle.close();
        let mut running = self.workers.len();
        while running > 0 {
            running = 0;
            for worker in &mut self.workers {
                running += usize::from(worker.enter(|worker| worker.tick()) != Tick::Stopped);
            }
        }
    }
}
