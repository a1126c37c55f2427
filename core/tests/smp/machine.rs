//! A board whose cores are threads: interrupts that stay pending while they are masked, and that run on
//! the thread of their core.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use jenny_core::{
    scheduler::stealing::Config,
    smp::{self, Board, Core, Handle, Spawner},
};

pub(crate) const CORES: usize = 4;

type Handler = Box<dyn FnOnce() + Send>;

/// What interrupts one core.
struct Lines {
    pending: Mutex<Pending>,
    raised: Condvar,
}

struct Pending {
    /// From another core.
    software: bool,
    devices: VecDeque<Handler>,
}

static STATIC: [Core<Threads>; CORES] = [const { Core::new() }; CORES];
static LINES: [Lines; CORES] = [const { Lines::new() }; CORES];

thread_local! {
    static THIS: Cell<usize> = const { Cell::new(usize::MAX) };
    static MASKED: Cell<bool> = const { Cell::new(false) };
}

impl Lines {
    const fn new() -> Self {
        let pending = Pending { software: false, devices: VecDeque::new() };
        Self { pending: Mutex::new(pending), raised: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, raise: impl FnOnce(&mut Pending)) {
        raise(&mut self.lock());
        self.raised.notify_one();
    }
}

pub(crate) struct Threads;

// SAFETY: each thread has a number of its own while it is a core; handlers run when the mask is lifted,
// in `in_interrupt`.
unsafe impl Board for Threads {
    fn cores() -> &'static [Core<Self>] {
        &STATIC
    }

    fn this() -> usize {
        THIS.get()
    }

    fn interrupt(core: usize) {
        LINES[core].raise(|pending| pending.software = true);
    }

    fn mask() -> bool {
        !MASKED.replace(true)
    }

    fn unmask() {
        let lines = &LINES[THIS.get()];
        loop {
            let mut pending = lines.lock();
            pending.software = false;
            let Some(handler) = pending.devices.pop_front() else { break };
            drop(pending);
            smp::in_interrupt::<Self, _>(handler);
        }
        MASKED.set(false);
    }

    fn wait() {
        assert!(MASKED.get(), "the wait is not under the mask");
        let lines = &LINES[THIS.get()];
        let pending = lines.lock();
        let nothing = |pending: &mut Pending| !pending.software && pending.devices.is_empty();
        drop(lines.raised.wait_while(pending, nothing));
    }
}

/// Raises an interrupt of a device on a core, from wherever.
pub(crate) fn raise(core: usize, handler: impl FnOnce() + Send + 'static) {
    LINES[core].raise(|pending| pending.devices.push_back(Box::new(handler)));
}

/// Makes this thread a core of the machine, which is off.
pub(crate) fn become_core(core: usize) {
    THIS.set(core);
}

pub(crate) fn this_core() -> usize {
    THIS.get()
}

/// The only machine there is. A test has it from its start to its end: when the cores have stopped, the
/// test's thread is still one of them, and takes the interrupts of that core.
pub(crate) struct Machine(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Machine {
    /// Waits for the tests that have it.
    pub(crate) fn get() -> Self {
        static MACHINE: Mutex<()> = Mutex::new(());
        Self(MACHINE.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts the machine, runs all cores until the scheduler is closed, and turns it off.
    pub(crate) fn run(
        &self,
        conduct: impl FnOnce(&Handle<Threads>),
        setup: impl Fn(Spawner<Threads>) + Send + Sync,
    ) {
        let core = |number| {
            THIS.set(number);
            smp::run::<Threads>(&setup);
        };
        thread::scope(|scope| {
            // They wait for the start.
            (1..CORES).for_each(|number| drop(scope.spawn(move || core(number))));
            THIS.set(0);
            let handle = smp::start::<Threads>(Config::default());
            conduct(&handle);
            core(0);
        });
    }
}
