//! What each core has, what the schedulers need of it, and its loop.

use core::{fmt, marker::PhantomData, num::NonZeroU64, ptr};

use super::{Board, board::masked, lock::SpinLock};
use crate::{
    lock::Mutex,
    platform::{Frame, PanicPayload, Platform, Unpark},
    scheduler::{Tick, local, pinned, stealing},
    sync::{AtomicBool, AtomicPtr, CachePadded, Ordering, UnsafeCell, const_unless_checked},
};

/// Spawns on the common scheduler, from any core and interrupt.
pub type Handle<B> = stealing::Handle<Machine<B>>;

/// Spawns tasks that stay on one core: futures that are not `Send`.
pub type Spawner<B> = pinned::Spawner<Machine<B>>;

/// What one core has, in the board's static.
pub struct Core<B: Board>(CachePadded<Parts<B>>);

struct Parts<B: Board> {
    /// What the schedulers know of the code that runs here; null in an interrupt. Only this core
    /// touches it.
    frame: AtomicPtr<Frame>,
    /// Somebody wants this core to look again.
    unparked: AtomicBool,
    /// This core is in `run`.
    running: AtomicBool,
    /// How many task ids this core has handed out. Only this core touches it, masked.
    ids: UnsafeCell<u64>,
    /// The worker that `start` has made for this core, until `run` takes it.
    worker: Mutex<Option<stealing::Worker<Machine<B>>>, SpinLock<B>>,
}

// SAFETY: all of it but `ids` is `Sync`. That is touched by its core alone, one piece of code at a
// time, as interrupts are masked.
unsafe impl<B: Board> Sync for Core<B> {}

impl<B: Board> Core<B> {
    const_unless_checked! {
        /// A core that has not started.
        pub fn new() -> Self {
            Self(CachePadded(Parts {
                frame: AtomicPtr::new(ptr::null_mut()),
                unparked: AtomicBool::new(false),
                running: AtomicBool::new(false),
                ids: UnsafeCell::new(0),
                worker: Mutex::with_lock(None, SpinLock::new()),
            }))
        }
    }

    /// The core that this code runs on.
    fn this() -> &'static Self {
        &B::cores()[B::this()]
    }
}

impl<B: Board> Default for Core<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Board> fmt::Debug for Core<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ordering: Relaxed; the answer is out of date at once.
        let running = self.0.running.load(Ordering::Relaxed);
        f.debug_struct("Core").field("running", &running).finish_non_exhaustive()
    }
}

/// Makes the common scheduler, with one worker for each core, and wakes the cores that wait for theirs
/// in [`run`]. After a shutdown it may be called again.
///
/// # Panics
/// If some core has not taken its worker of the last call yet.
#[track_caller]
pub fn start<B: Board>(config: stealing::Config) -> Handle<B> {
    let cores = B::cores();
    let waits = |core: &Core<B>| core.0.worker.with(|place| place.is_some());
    assert!(
        !cores.iter().any(waits),
        "the cores have been started already, and one has not come to `run` yet: start them once, \
         and clone the handle"
    );
    let (handle, workers) =
        stealing::new(Machine::new(), (0..cores.len()).map(Unparker::new), config);
    for (index, worker) in workers.into_iter().enumerate() {
        cores[index].0.worker.with(|place| *place = Some(worker));
        Unparker::<B>::new(index).unpark();
    }
    handle
}

/// The loop of a core: waits for [`start`], then runs the tasks that it keeps and those that it shares,
/// and sleeps in between, until somebody has [closed](stealing::Handle::close) the scheduler and all
/// tasks have been cancelled.
///
/// To be called once on each core, with interrupts unmasked. `setup` spawns what has to stay here.
///
/// # Panics
/// If this core is in `run` already: in a task, or in an interrupt.
#[track_caller]
pub fn run<B: Board>(setup: impl FnOnce(Spawner<B>)) {
    struct Leave<'a>(&'a AtomicBool);

    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }

    let Core(CachePadded(core)) = Core::<B>::this();
    // Ordering: Relaxed, here and in `Leave`; only this core touches it.
    assert!(
        !core.running.swap(true, Ordering::Relaxed),
        "this core runs its tasks already: await the future inside of a task, or spawn it, instead \
         of calling `run` again"
    );
    let _leave = Leave(&core.running);
    let worker = loop {
        match core.worker.with(Option::take) {
            Some(worker) => break worker,
            None => park::<B>(),
        }
    };
    let unpark = Unparker::new(B::this());
    let mut worker = pinned::Worker::new(worker, Machine::new(), unpark, local::Config::default());
    setup(worker.spawner());
    worker.enter(|worker| {
        loop {
            match worker.tick() {
                Tick::Ran => {}
                Tick::Idle => park::<B>(),
                Tick::Stopped | Tick::HandedOff => break,
            }
        }
    });
}

/// Sleeps until this core is unparked, or interrupted by a device: what [`run`] does, for loops of
/// another kind.
///
/// The look and the sleep are under one mask. An unpark before the look is seen by it. One that comes
/// later leaves its interrupt pending, and that ends the sleep. Devices' handlers run when the mask is
/// lifted; what they wake sets the flag, at the latest for the next call.
pub fn park<B: Board>() {
    let unparked = &Core::<B>::this().0.unparked;
    masked::<B, _>(|| {
        // By a load: on some chips each read-modify-write sets the event that WFE waits for.
        if !unparked.load(Ordering::Relaxed) {
            B::wait();
        }
    });
    // Ordering: Acquire, for the Release of each `unpark` that this answers.
    unparked.swap(false, Ordering::Acquire);
}

/// Runs an interrupt handler: what it wakes goes to an inbox, never to the queue of the worker below,
/// which may be in the middle of a push.
///
/// It also ends an exchange that the handler came into the middle of. Where that is two instructions
/// (RISC-V: LR and SC), the second need not notice that a handler on its own core has changed the word by
/// other instructions (AMOs), nor has a trap or the return from one to end it: the task would lose a wake.
/// An SC in between does end it, which the privileged ISA asks for where it describes MRET.
pub fn in_interrupt<B: Board, R>(handler: impl FnOnce() -> R) -> R {
    struct Resume<B: Board>(*const Frame, PhantomData<B>);

    impl<B: Board> Drop for Resume<B> {
        fn drop(&mut self) {
            // An exchange, where a store would do: so that none below succeeds that this handler came
            // into the middle of. Ordering: as in `slot`. The frame is that of the code below, which
            // does not run and so cannot leave it.
            let (slot, relaxed) = (&Core::<B>::this().0.frame, Ordering::Relaxed);
            let resumed =
                slot.compare_exchange(ptr::null_mut(), self.0.cast_mut(), relaxed, relaxed);
            debug_assert!(resumed.is_ok(), "the handler has entered a scope and not left it");
        }
    }

    // SAFETY: null is no frame.
    let below = unsafe { Machine::<B>::set_slot(ptr::null()) };
    let _resume = Resume::<B>(below, PhantomData);
    handler()
}

/// Wakes one core.
pub struct Unparker<B> {
    core: usize,
    _board: PhantomData<fn() -> B>,
}

impl<B: Board> Unparker<B> {
    /// For the core with this index.
    pub fn new(core: usize) -> Self {
        Self { core, _board: PhantomData }
    }
}

impl<B: Board> Unpark for Unparker<B> {
    fn unpark(&self) {
        // Ordering: Release, for the Acquire of `park`. A swap, since a store would hide from
        // `park` what came before the unpark of somebody else that it overwrites.
        B::cores()[self.core].0.unparked.swap(true, Ordering::Release);
        // On this core, whoever calls is what `park` looks after: the interrupt that ended its sleep,
        // or code that runs instead of sleeping.
        if self.core != B::this() {
            B::interrupt(self.core);
        }
    }
}

impl<B> fmt::Debug for Unparker<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unparker").field("core", &self.core).finish()
    }
}

/// The platform of a board with several cores.
pub struct Machine<B>(PhantomData<fn() -> B>);

impl<B: Board> Machine<B> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

/// Where the index of the core is in a task's id.
const CORE: u32 = 48;

// SAFETY: the slot is the core's own, and null in `in_interrupt`, which the board promises for every
// handler that could look at it. The closure runs here and now. Each core counts its ids up.
unsafe impl<B: Board> Platform for Machine<B> {
    type Lock = SpinLock<B>;
    type OwnersLock = SpinLock<B>;
    type Unpark = Unparker<B>;

    #[inline]
    fn slot() -> *const Frame {
        // Ordering: Relaxed, here and below; only this core touches it.
        Core::<B>::this().0.frame.load(Ordering::Relaxed)
    }

    #[inline]
    unsafe fn set_slot(frame: *const Frame) -> *const Frame {
        let slot = &Core::<B>::this().0.frame;
        let before = slot.load(Ordering::Relaxed);
        slot.store(frame.cast_mut(), Ordering::Relaxed);
        before
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
        B::this()
    }

    /// Differs from worker to worker, so that they rob different victims.
    fn seed(&self) -> u64 {
        self.task_ids(1).get()
    }

    /// From the core's own numbers: no core waits for another, and none needs atomics of 64 bits.
    fn task_ids(&self, count: u32) -> NonZeroU64 {
        let number = masked::<B, _>(|| {
            Core::<B>::this().0.ids.with_mut(|ids| {
                // SAFETY: only this core touches it, with interrupts masked.
                let ids = unsafe { &mut *ids };
                let first = *ids + 1;
                *ids += u64::from(count);
                first
            })
        });
        NonZeroU64::new((B::this() as u64) << CORE | number).expect("ids are counted from 1 up")
    }
}

impl<B> fmt::Debug for Machine<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}
