//! The std [`Platform`]: threads, a lock of few instructions, unwinding panics.

use std::{
    any::Any,
    cell::Cell,
    hash::{BuildHasher, Hasher, RandomState},
    marker::PhantomData,
    num::NonZeroU64,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{OnceLock, atomic::Ordering},
    time::Instant,
};

use jenny_core::platform::{Frame, Keeps, Platform, Pocket, Unpark};

#[cfg(feature = "rt-multi-thread")]
use crate::primitives::{BiasedLock, asymmetric};
use crate::primitives::{BriefLock, Company, unmodelled::AtomicU64};

thread_local! {
    /// What this thread does for a scheduler. Const and without a destructor: one addressing mode.
    static SLOT: Cell<*const Frame> = const { Cell::new(ptr::null()) };

    /// The next id for a task that this thread spawns as a stranger, and how many it has. As `SLOT`.
    static OWN_IDS: Cell<(u64, u32)> = const { Cell::new((0, 0)) };

    /// Memory for tasks that this thread spawns as a stranger.
    static POCKET: Pocket = const { Pocket::new() };
}

/// Ids are unique in the process, so this is the one static of the scheduler. Workers reserve blocks,
/// and so do other threads.
static NEXT_TASK_ID: AtomicU64 = AtomicU64::new(1);

/// How many ids a thread takes that is no worker: a write to the line of all in so many spawns.
const OWN_BLOCK: u32 = 64;

/// The platform of all runtimes, over the unpark handle of the runtime's parkers.
#[derive(Debug)]
pub(crate) struct Std<U> {
    /// What the workers' seeds are made of; the system's randomness if there is nothing.
    seeds: Option<AtomicU64>,
    /// Who is told when there is more than one task.
    company: Company,
    _unpark: PhantomData<fn(U)>,
}

impl<U> Std<U> {
    pub(crate) fn new() -> Self {
        Self { seeds: None, company: Company::default(), _unpark: PhantomData }
    }

    /// Gives the same sequence of seeds for the same number.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seeds: Some(AtomicU64::new(seed)), ..Self::new() }
    }

    /// Whoever is to be told when there is more than one task.
    #[allow(dead_code, reason = "who uses it depends on the features")]
    pub(crate) fn company(&self) -> &Company {
        &self.company
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

// SAFETY: the slot is a thread-local cell, which nothing else writes, and so is the pocket; no code of
// ours runs in a signal handler. `catch_unwind` runs its closure once, here and now. The ids come from
// a counter that would take centuries to wrap. The fences are a pair (`asymmetric.rs`).
unsafe impl<U: Unpark> Platform for Std<U> {
    type Lock = BriefLock;
    #[cfg(feature = "rt-multi-thread")]
    type OwnersLock = BiasedLock;
    #[cfg(not(feature = "rt-multi-thread"))]
    type OwnersLock = BriefLock;
    type Unpark = U;

    const TRACES: bool = true;
    // Some ten thousand small tasks, and some hundred.
    const KEEPS: Keeps = Keeps { at_work: 1 << 20, asleep: 64 << 10 };

    #[inline]
    fn slot() -> *const Frame {
        SLOT.get()
    }

    #[inline]
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
        match &self.seeds {
            // SplitMix64 (Steele, Lea, Flood 2014): neighbours give unlike seeds.
            Some(seeds) => {
                let mut z = seeds.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                z ^ (z >> 31)
            }
            // The standard library seeds its hash maps from the operating system.
            None => RandomState::new().build_hasher().finish(),
        }
    }

    #[inline]
    fn nanos() -> Option<u64> {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        u64::try_from(EPOCH.get_or_init(Instant::now).elapsed().as_nanos()).ok()
    }

    fn yield_now() {
        std::thread::yield_now();
    }

    // Not under a model checker, where every fence makes more executions: the core's models have them.
    #[cfg(feature = "rt-multi-thread")]
    fn has_fences() -> bool {
        !cfg!(jenny_loom) && asymmetric::prepare()
    }

    #[cfg(feature = "rt-multi-thread")]
    #[inline]
    fn light_fence() {
        asymmetric::light();
    }

    #[cfg(feature = "rt-multi-thread")]
    fn heavy_fence() -> bool {
        asymmetric::try_heavy()
    }

    #[inline]
    fn pocket() -> *const Pocket {
        // A thread that ends has none any more.
        POCKET.try_with(ptr::from_ref).unwrap_or(ptr::null())
    }

    fn task_ids(&self, count: u32) -> NonZeroU64 {
        // A worker's first task is here, too.
        self.company.comes();
        let reserve = |count| NEXT_TASK_ID.fetch_add(u64::from(count), Ordering::Relaxed);
        let first = if count > 1 {
            reserve(count)
        } else {
            let (next, left) = match OWN_IDS.get() {
                (_, 0) => (reserve(OWN_BLOCK), OWN_BLOCK),
                own => own,
            };
            OWN_IDS.set((next.wrapping_add(1), left - 1));
            next
        };
        NonZeroU64::new(first).expect("2^64 task ids have been used up")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_every_worker_its_own_and_the_same_every_time() {
        let seeds =
            |platform: AnyRuntime| -> Vec<u64> { (0..8).map(|_| platform.seed()).collect() };
        let first = seeds(AnyRuntime::seeded(7));
        assert_eq!(first, seeds(AnyRuntime::seeded(7)));
        assert_ne!(first, seeds(AnyRuntime::seeded(8)));
        assert_ne!(seeds(AnyRuntime::new()), seeds(AnyRuntime::new()));
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), first.len());
    }
}
