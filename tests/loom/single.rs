//! The executor for one core: interrupts against the way into sleep, on chips with
//! read-modify-writes and on chips without.
//!
//! An interrupt is a thread that holds the processor while it runs. Masking interrupts is to hold
//! the processor, too, and WFI gives it away until an interrupt has run: whatever the executor does
//! between its last look and its sleep, an interrupt gets in between if the mask leaves a gap.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, Waker},
};

use jenny_core::{
    single::{Board, Executor, Idle, TaskPool, ThreadMode},
    task::id_of,
    without_compare_and_swap,
};
use loom::{
    lazy_static,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::harness::{Bounds, check};

lazy_static! {
    static ref PROCESSOR: Mutex<()> = Mutex::new(());
    static ref INTERRUPTED: Condvar = Condvar::new();
}

loom::thread_local! {
    static DEPTH: Cell<u32> = Cell::new(0);
    static HELD: RefCell<Option<MutexGuard<'static, ()>>> = RefCell::new(None);
}

struct Processor;
critical_section::set_impl!(Processor);

/// The statics of loom live as long as the execution.
fn lock() -> MutexGuard<'static, ()> {
    PROCESSOR.lock().unwrap()
}

// SAFETY: loom's mutex excludes and orders; sections of one thread nest.
unsafe impl critical_section::Impl for Processor {
    unsafe fn acquire() -> bool {
        let nested = DEPTH.with(|depth| depth.replace(depth.get() + 1)) > 0;
        if !nested {
            let guard = lock();
            HELD.with(|held| held.replace(Some(guard)));
        }
        nested
    }

    unsafe fn release(nested: bool) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
        if !nested {
            drop(HELD.with(RefCell::take));
        }
    }
}

#[derive(Default)]
struct Chip(ThreadMode);

impl Board for Chip {
    fn wait(&self, _: Idle<'_>) {
        let guard = HELD.with(RefCell::take).expect("the wait is under the mask");
        let guard = INTERRUPTED.wait(guard).unwrap();
        HELD.with(|held| held.replace(Some(guard)));
    }

    fn thread_mode(&self) -> &ThreadMode {
        &self.0
    }
}

/// Runs a handler as an interrupt: not while they are masked.
pub(crate) fn interrupt(handler: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        critical_section::with(|_| handler());
        INTERRUPTED.notify_one();
    })
}

/// Large enough for the futures here, with what loom keeps beside them.
const PLACE: usize = 1024;

/// What the interrupts of a model tell, and the executor that hears of it.
struct Machine {
    executor: Executor<Chip>,
    pool: TaskPool<PLACE, 1>,
    count: AtomicUsize,
    waker: critical_section::Mutex<RefCell<Option<Waker>>>,
}

impl Machine {
    /// Runs the model on a machine of its own.
    fn run(model: impl FnOnce(&'static Self)) {
        let machine = Box::into_raw(Box::new(Self {
            executor: Executor::new(Chip::default()),
            pool: TaskPool::new(),
            count: AtomicUsize::new(0),
            waker: critical_section::Mutex::new(RefCell::new(None)),
        }));
        // SAFETY: the model joins its threads, and leaves no task behind.
        model(unsafe { &*machine });
        // SAFETY: as above; the box is made again once.
        drop(unsafe { Box::from_raw(machine) });
    }

    /// The handler: counts, and wakes who waits.
    fn raise(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let waker = critical_section::with(|cs| self.waker.borrow(cs).take());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Runs the executor until its task has left a waker.
    fn run_until_it_waits(&'static self) -> Waker {
        self.executor.block_on(poll_fn(|context| {
            match critical_section::with(|cs| self.waker.borrow(cs).borrow().clone()) {
                Some(waker) => Poll::Ready(waker),
                None => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }))
    }

    fn poll(&self, context: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        critical_section::with(|cs| self.waker.borrow(cs).replace(Some(context.waker().clone())));
        let count = self.count.load(Ordering::Relaxed);
        if count >= wanted { Poll::Ready(count) } else { Poll::Pending }
    }
}

fn root_against_interrupt() {
    Machine::run(|machine| {
        let handler = interrupt(|| machine.raise());
        let count = machine.executor.block_on(poll_fn(|context| machine.poll(context, 1)));
        assert_eq!(count, 1);
        handler.join().unwrap();
        drop(critical_section::with(|cs| machine.waker.borrow(cs).take()));
    });
}

/// A waker that is used on another core, which no mask holds up.
fn woken_by_another_core() -> impl Future<Output = ()> {
    let (made, mut other) = (Arc::new(AtomicBool::new(false)), None);
    poll_fn(move |context| {
        if other.is_none() {
            let (announcement, waker) = (Arc::clone(&made), context.waker().clone());
            other = Some(thread::spawn(move || {
                // Relaxed: the wake has to order it.
                announcement.store(true, Ordering::Relaxed);
                waker.wake();
                critical_section::with(|_| INTERRUPTED.notify_one());
            }));
        }
        if !made.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        other.take().map_or(Poll::Ready(()), |other| Poll::Ready(other.join().unwrap()))
    })
}

/// Nothing but the executor's flag orders the wake before the poll that answers.
#[test]
fn another_core_wakes() {
    check("single: another core wakes the root", Bounds::preemptions(3), || {
        Machine::run(|machine| machine.executor.block_on(woken_by_another_core()));
    });
}

fn task_against_interrupts(interrupts: usize) {
    Machine::run(|machine| {
        let task =
            machine.executor.spawn(poll_fn(move |context| machine.poll(context, interrupts)));
        let handlers: Vec<_> = (0..interrupts).map(|_| interrupt(|| machine.raise())).collect();
        let count = machine.executor.block_on(async { pin!(task).await.unwrap() });
        assert_eq!(count, interrupts);
        for handler in handlers {
            handler.join().unwrap();
        }
        drop(critical_section::with(|cs| machine.waker.borrow(cs).take()));
        machine.executor.close();
        machine.executor.run(|_| {});
    });
}

/// Thread mode wakes, with interrupts unmasked, the task that an interrupt wakes: between the two
/// steps of the one wake, the other would find a task that is scheduled and in no queue, or be
/// forgotten.
fn thread_mode_against_interrupt() {
    Machine::run(|machine| {
        let task = machine.executor.spawn(poll_fn(move |context| machine.poll(context, 2)));
        let other = machine.run_until_it_waits();
        let handler = interrupt(|| machine.raise());
        machine.count.fetch_add(1, Ordering::Relaxed);
        other.wake();
        let count = machine.executor.block_on(task).unwrap();
        assert_eq!(count, 2);
        handler.join().unwrap();
        drop(critical_section::with(|cs| machine.waker.borrow(cs).take()));
        machine.executor.close();
        machine.executor.run(|_| {});
    });
}

/// A wake finds the task being polled, or on its way to idle, or idle.
fn close_against_interrupt() {
    Machine::run(|machine| {
        let task = machine.executor.spawn(poll_fn(move |context| machine.poll(context, 2)));
        drop(machine.run_until_it_waits());
        let handler = interrupt(|| machine.raise());
        machine.executor.close();
        machine.executor.run(|_| {});
        handler.join().unwrap();
        drop(critical_section::with(|cs| machine.waker.borrow(cs).take()));
        assert!(machine.executor.block_on(task).unwrap_err().is_cancelled());
        machine.executor.block_on(async {});
    });
}

/// The waker of a task in a place that stays wakes on another core while the task ends, the place
/// is given to the next one, and that waits for a wake of its own.
fn waker_outlives_its_task() {
    Machine::run(|machine| {
        let first = machine.pool.spawn(
            &machine.executor,
            poll_fn(|context| {
                let stale = context.waker().clone();
                Poll::Ready(thread::spawn(move || {
                    stale.wake();
                    critical_section::with(|_| INTERRUPTED.notify_one());
                }))
            }),
        );
        let stale = machine.executor.block_on(first.unwrap()).unwrap();
        let reserved = machine.pool.reserve().expect("wakers do not hold a place");
        let second = reserved.spawn(&machine.executor, poll_fn(|context| machine.poll(context, 1)));
        let handler = interrupt(|| machine.raise());
        assert_eq!(machine.executor.block_on(second).unwrap(), 1);
        handler.join().unwrap();
        stale.join().unwrap();
        drop(critical_section::with(|cs| machine.waker.borrow(cs).take()));
        assert_eq!(machine.pool.free(), 1);
        machine.executor.close();
        machine.executor.run(|_| {});
    });
}

/// As above, with a waker that reads the id; and the task in the place has no handle.
fn waker_outlives_a_detached_task() {
    Machine::run(|machine| {
        let ended = Arc::new(Mutex::new(None));
        let told = Arc::clone(&ended);
        let first = poll_fn(move |context| {
            let stale = context.waker().clone();
            *told.lock().unwrap() = Some(thread::spawn(move || {
                stale.wake_by_ref();
                critical_section::with(|_| INTERRUPTED.notify_one());
                assert!(id_of(&stale).is_some());
            }));
            Poll::Ready(())
        });
        machine.pool.spawn_detached(&machine.executor, first).unwrap();
        let stale = machine.executor.block_on(poll_fn(|context| {
            context.waker().wake_by_ref();
            ended.lock().unwrap().take().map_or(Poll::Pending, Poll::Ready)
        }));
        // The place is free when the poll that has told has returned.
        let next = || machine.pool.spawn(&machine.executor, async { 2 });
        let second = match next() {
            Ok(second) => second,
            Err(_) => {
                machine.executor.block_on(async {});
                next().expect("the first has ended")
            }
        };
        assert_eq!(machine.executor.block_on(second).unwrap(), 2);
        stale.join().unwrap();
        machine.executor.close();
        machine.executor.run(|_| {});
    });
}

#[test]
fn a_waker_outlives_its_task() {
    let name = "single: a stale waker";
    check(name, Bounds::preemptions(3), waker_outlives_its_task);
    check(&format!("{name}, without compare-and-swap"), Bounds::preemptions(2), || {
        without_compare_and_swap(waker_outlives_its_task);
    });
    check(&format!("{name}, of a detached task"), Bounds::preemptions(2), || {
        waker_outlives_a_detached_task();
    });
}

#[test]
fn the_root_hears_of_an_interrupt() {
    let name = "single: root against interrupt";
    check(name, Bounds::preemptions(3), root_against_interrupt);
    check(&format!("{name}, without compare-and-swap"), Bounds::preemptions(3), || {
        without_compare_and_swap(root_against_interrupt);
    });
}

#[test]
fn a_task_hears_of_two_interrupts() {
    let name = "single: task against two interrupts";
    check(name, Bounds::preemptions(2), || task_against_interrupts(2));
    check(&format!("{name}, without compare-and-swap"), Bounds::preemptions(2), || {
        without_compare_and_swap(|| task_against_interrupts(2));
    });
}

#[test]
fn two_wakes_of_one_task() {
    let name = "single: thread mode against interrupt";
    check(name, Bounds::preemptions(3), thread_mode_against_interrupt);
    check(&format!("{name}, without compare-and-swap"), Bounds::preemptions(3), || {
        without_compare_and_swap(thread_mode_against_interrupt);
    });
}

#[test]
fn a_close_meets_a_wake() {
    let name = "single: close against interrupt";
    check(name, Bounds::preemptions(2), close_against_interrupt);
    check(&format!("{name}, without compare-and-swap"), Bounds::preemptions(2), || {
        without_compare_and_swap(close_against_interrupt);
    });
}

/// Two executors that share places, as those of two cores may.
struct Neighbours {
    closing: Executor<Chip>,
    other: Executor<Chip>,
    pool: TaskPool<PLACE, 2>,
}

impl Neighbours {
    /// Closes one executor while the other, on another core, runs a task in the pool.
    fn run(before: impl FnOnce(&'static Self)) {
        let both = Box::into_raw(Box::new(Self {
            closing: Executor::new(Chip::default()),
            other: Executor::new(Chip::default()),
            pool: TaskPool::new(),
        }));
        // SAFETY: the model joins its thread, and leaves no task behind.
        let machine: &'static Self = unsafe { &*both };
        before(machine);
        let other = thread::spawn(|| {
            let task = machine.pool.spawn(&machine.other, async { 7 }).unwrap();
            machine.other.block_on(task)
        });
        machine.closing.close();
        machine.closing.run(|_| {});
        assert_eq!(other.join().unwrap().unwrap(), 7, "cancelled by another executor's shutdown");
        assert_eq!(machine.pool.free(), 2, "missed by the shutdown");
        // SAFETY: as above; the box is made again once.
        drop(unsafe { Box::from_raw(both) });
    }
}

/// The place had a task of the executor that closes, and gets one of the other meanwhile.
#[test]
fn a_shutdown_leaves_the_tasks_of_others_alone() {
    check("single: a place changes hands in a shutdown", Bounds::preemptions(2), || {
        Neighbours::run(|both| {
            let ended = both.pool.spawn(&both.closing, async {}).unwrap();
            both.closing.block_on(ended).unwrap();
        });
    });
}

/// The other's task is the first in its place, which so comes before the one with a task that
/// waits.
#[test]
fn a_shutdown_sees_all_places() {
    check("single: a place is listed in a shutdown", Bounds::preemptions(2), || {
        Neighbours::run(|both| {
            both.pool.spawn_detached(&both.closing, std::future::pending::<()>()).unwrap();
            let mut has_waited = false;
            both.closing.block_on(poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut has_waited, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        });
    });
}
