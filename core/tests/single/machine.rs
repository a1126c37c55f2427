//! A core for each test thread: interrupts that can be masked, and an allocator that can be empty.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    ptr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Poll, Waker},
    thread,
};

use jenny_core::single::{Board, Counting, Executor, Idle, ThreadMode};

type Handler = Box<dyn FnOnce()>;

thread_local! {
    static MASKED: Cell<u32> = const { Cell::new(0) };
    static IN_INTERRUPT: Cell<bool> = const { Cell::new(false) };
    /// An interrupt that needs no memory to be pending.
    static LINE: Cell<Option<fn()>> = const { Cell::new(None) };
    static PENDING: RefCell<VecDeque<Handler>> = const { RefCell::new(VecDeque::new()) };
    /// What wakes the core from its next sleeps.
    static SCRIPT: RefCell<VecDeque<Handler>> = const { RefCell::new(VecDeque::new()) };
    static NO_MEMORY: Cell<bool> = const { Cell::new(false) };
    static FREED_IN_INTERRUPT: Cell<usize> = const { Cell::new(0) };
    static THREAD: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// Keeps the cores of different tests apart where they share a static.
static BUS: AtomicBool = AtomicBool::new(false);

struct Mask;
critical_section::set_impl!(Mask);

// SAFETY: while the mask is up no interrupt of this thread runs, and the bus keeps other threads out.
unsafe impl critical_section::Impl for Mask {
    unsafe fn acquire() -> bool {
        let nested = MASKED.replace(MASKED.get() + 1) > 0;
        // Masked first: an interrupt that comes here must not wait for what it has interrupted.
        if !nested {
            while BUS.swap(true, Ordering::Acquire) {
                thread::yield_now();
            }
        }
        nested
    }

    unsafe fn release(nested: bool) {
        if !nested {
            BUS.store(false, Ordering::Release);
        }
        MASKED.set(MASKED.get() - 1);
        deliver();
    }
}

/// Runs what is pending, unless interrupts are masked.
fn deliver() {
    while MASKED.get() == 0 && !IN_INTERRUPT.get() {
        let line = LINE.take();
        let next = if line.is_some() { None } else { PENDING.with_borrow_mut(VecDeque::pop_front) };
        IN_INTERRUPT.set(true);
        match (line, next) {
            (Some(handler), _) => handler(),
            (None, Some(handler)) => handler(),
            (None, None) => {
                IN_INTERRUPT.set(false);
                return;
            }
        }
        IN_INTERRUPT.set(false);
    }
}

/// Raises an interrupt: now, or when the mask is lifted.
pub(crate) fn interrupt(handler: impl FnOnce() + 'static) {
    PENDING.with_borrow_mut(|pending| pending.push_back(Box::new(handler)));
    deliver();
}

/// Raises an interrupt without allocating, for a signal handler.
pub(crate) fn raise(handler: fn()) {
    LINE.set(Some(handler));
    deliver();
}

/// Raises an interrupt in the next sleep that no other is scripted for.
pub(crate) fn when_asleep(handler: impl FnOnce() + 'static) {
    SCRIPT.with_borrow_mut(|script| script.push_back(Box::new(handler)));
}

pub(crate) fn in_interrupt() -> bool {
    IN_INTERRUPT.get()
}

/// The chip: asleep it does what the script says.
#[derive(Default)]
pub(crate) struct Chip;

impl Board for Chip {
    fn wait(&self, _: Idle<'_>) {
        assert!(MASKED.get() > 0 && !in_interrupt(), "the wait is not under the mask");
        if LINE.get().is_some() || PENDING.with_borrow(|pending| !pending.is_empty()) {
            return;
        }
        let event = SCRIPT.with_borrow_mut(VecDeque::pop_front);
        let event = event.expect("the core sleeps for ever: a wake was lost");
        PENDING.with_borrow_mut(|pending| pending.push_back(event));
    }

    fn thread_mode(&self) -> &ThreadMode {
        thread_mode()
    }

    fn cycles(&self) -> u32 {
        7
    }
}

/// Where the executors of this thread run.
pub(crate) fn thread_mode() -> &'static ThreadMode {
    // More than there are tests; their machines allocate nothing that the tests could count.
    static THREADS: [ThreadMode; 256] = [const { ThreadMode::new() }; 256];
    &THREADS[THREAD.with(|number| *number)]
}

pub(crate) type Core = Executor<Chip, Counting>;

/// An executor in memory that stays.
pub(crate) fn executor() -> &'static Core {
    Box::leak(Box::new(Executor::new(Chip)))
}

/// Returns how many allocations are left of those that the scenario makes on this thread.
pub(crate) fn left_by(scenario: impl FnOnce()) -> isize {
    // What the machine itself allocates stays.
    PENDING.with_borrow_mut(|pending| pending.reserve(16));
    SCRIPT.with_borrow_mut(|script| script.reserve(16));
    let before = LIVE.get();
    scenario();
    LIVE.get() - before
}

/// Runs the closure while the allocator is empty.
pub(crate) fn without_memory<R>(f: impl FnOnce() -> R) -> R {
    NO_MEMORY.set(true);
    let result = f();
    NO_MEMORY.set(false);
    result
}

pub(crate) fn freed_in_interrupts() -> usize {
    FREED_IN_INTERRUPT.get()
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: passes on to the system's allocator, or has no memory. It counts in cells without drops.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NO_MEMORY.get() {
            return ptr::null_mut();
        }
        LIVE.set(LIVE.get() + 1);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - 1);
        if in_interrupt() {
            FREED_IN_INTERRUPT.set(FREED_IN_INTERRUPT.get() + 1);
        }
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What an interrupt tells a task.
#[derive(Default)]
pub(crate) struct Signal {
    raised: Cell<u32>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::default())
    }

    pub(crate) fn raise(&self) {
        self.raised.set(self.raised.get() + 1);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The waker that waits, for whoever wants to do something else with it.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.waker.take()
    }

    pub(crate) async fn wait(&self) -> u32 {
        poll_fn(|context| match self.raised.take() {
            0 => {
                self.waker.replace(Some(context.waker().clone()));
                Poll::Pending
            }
            raised => Poll::Ready(raised),
        })
        .await
    }
}

// SAFETY: each test has its signals on its own thread, which is all of its machine.
unsafe impl Sync for Signal {}
