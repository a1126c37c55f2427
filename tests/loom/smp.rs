//! Several cores: a wake from another core or from a device against the way into sleep.
//!
//! An interrupt stays pending while its core masks interrupts, and its handler runs when the mask is
//! lifted, or at any moment before it is put up. WFI ends when one is pending, masked or not.

use std::{
    cell::Cell,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use jenny_core::{
    lock,
    platform::Unpark,
    scheduler::stealing::Config,
    smp::{self, Board, Core, SpinLock, Unparker},
};
use loom::{
    lazy_static,
    sync::{
        Mutex, Notify,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::harness::{Bounds, check, check_fails};

lazy_static! {
    static ref CORES: [Core<Modelled>; 2] = [Core::new(), Core::new()];
    static ref LINES: [Line; 2] = [Line::new(), Line::new()];
}

loom::thread_local! {
    static THIS: Cell<usize> = Cell::new(0);
    static MASKED: Cell<bool> = Cell::new(false);
}

/// The interrupts of one core.
struct Line {
    pending: Mutex<bool>,
    raised: Notify,
}

impl Line {
    fn new() -> Self {
        Self { pending: Mutex::new(false), raised: Notify::new() }
    }

    fn of_this_core() -> &'static Self {
        &LINES[THIS.with(Cell::get)]
    }

    /// Its handlers run: they only acknowledge.
    fn take(&self) {
        *self.pending.lock().unwrap() = false;
    }
}

struct Modelled;

// SAFETY: each thread of a model that is a core has a number of its own; handlers wake nobody.
unsafe impl Board for Modelled {
    fn cores() -> &'static [Core<Self>] {
        &*CORES
    }

    fn this() -> usize {
        THIS.with(Cell::get)
    }

    fn interrupt(core: usize) {
        // What was written before is in memory when the interrupt comes: the lock orders it.
        *LINES[core].pending.lock().unwrap() = true;
        LINES[core].raised.notify();
    }

    fn mask() -> bool {
        let unmasked = !MASKED.with(|masked| masked.replace(true));
        if unmasked {
            // What came until now has been handled.
            Line::of_this_core().take();
        }
        unmasked
    }

    fn unmask() {
        Line::of_this_core().take();
        MASKED.with(|masked| masked.set(false));
    }

    fn wait() {
        assert!(MASKED.with(Cell::get), "the wait is not under the mask");
        let line = Line::of_this_core();
        while !*line.pending.lock().unwrap() {
            line.raised.wait();
        }
    }
}

/// Runs the closure on a core of its own, and core 0 here.
fn on_two_cores(first: impl FnOnce(), second: impl FnOnce() + 'static) {
    THIS.with(|this| this.set(0));
    let other = thread::spawn(|| {
        THIS.with(|this| this.set(1));
        second();
    });
    first();
    other.join().unwrap();
}

/// What one core has published is seen by the other when it has parked, whenever the unpark comes.
fn park_against_unparks(unparks: usize) {
    let published = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&published);
    on_two_cores(
        move || {
            while published.load(Ordering::Relaxed) < unparks {
                smp::park::<Modelled>();
            }
        },
        move || {
            for _ in 0..unparks {
                count.fetch_add(1, Ordering::Relaxed);
                Unparker::<Modelled>::new(0).unpark();
            }
        },
    );
}

#[test]
fn no_unpark_is_lost() {
    check("smp: park against an unpark", Bounds::ALL, || park_against_unparks(1));
    check("smp: park against two unparks", Bounds::preemptions(3), || park_against_unparks(2));
}

/// An unpark that meets another one must not hide what came before that.
#[test]
fn no_unparker_hides_the_writes_of_another() {
    check("smp: park against two unparkers", Bounds::preemptions(2), || {
        let published = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let unpark = |number: usize| {
            let published = Arc::clone(&published);
            move || {
                THIS.with(|this| this.set(number + 1));
                published[number].store(1, Ordering::Relaxed);
                Unparker::<Modelled>::new(0).unpark();
            }
        };
        let third = thread::spawn(unpark(1));
        let seen = Arc::clone(&published);
        on_two_cores(
            move || {
                while seen.iter().any(|published| published.load(Ordering::Relaxed) == 0) {
                    smp::park::<Modelled>();
                }
            },
            unpark(0),
        );
        third.join().unwrap();
    });
}

/// The same park, but the look comes before the mask.
fn park_that_looks_too_early(unparked: &AtomicBool) {
    if !unparked.load(Ordering::Relaxed) {
        Modelled::mask();
        Modelled::wait();
        Modelled::unmask();
    }
    unparked.swap(false, Ordering::Acquire);
}

#[test]
fn a_look_before_the_mask_loses_an_unpark() {
    check_fails("smp: a look before the mask", Bounds::ALL, || {
        let unparked = Arc::new(AtomicBool::new(false));
        let raise = Arc::clone(&unparked);
        on_two_cores(
            move || park_that_looks_too_early(&unparked),
            move || {
                raise.store(true, Ordering::Release);
                Modelled::interrupt(0);
            },
        );
    });
}

#[test]
fn a_lock_excludes_the_other_core() {
    check("smp: lock", Bounds::ALL, || {
        let sum = Arc::new(lock::Mutex::<usize, SpinLock<Modelled>>::new(0));
        let same = Arc::clone(&sum);
        on_two_cores(move || sum.with(|sum| *sum += 1), move || same.with(|sum| *sum += 1));
    });
}

/// Core 1 waits for the start and keeps a task, which hears from one that either core runs, and then
/// ends the program.
fn woken_from_the_other_core() {
    let rung = Arc::new((AtomicBool::new(false), Mutex::new(None::<Waker>)));
    let heard = Arc::clone(&rung);
    let handle = Arc::new(Mutex::new(None));
    let closing = Arc::clone(&handle);
    on_two_cores(
        move || {
            let started = smp::start::<Modelled>(Config::default());
            *handle.lock().unwrap() = Some(started.clone());
            drop(started.spawn(async move {
                rung.0.store(true, Ordering::Relaxed);
                let waker = rung.1.lock().unwrap().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }));
            drop(started);
            smp::run::<Modelled>(|_| {});
        },
        move || {
            smp::run::<Modelled>(move |spawner| {
                let home = Rc::new(Cell::new(1));
                drop(spawner.spawn_local(poll_fn(move |context| {
                    assert_eq!(Modelled::this(), home.get());
                    *heard.1.lock().unwrap() = Some(context.waker().clone());
                    // Looked at after the waker is in place. The lock orders it.
                    if !heard.0.load(Ordering::Relaxed) {
                        return Poll::Pending;
                    }
                    heard.1.lock().unwrap().take();
                    if let Some(handle) = closing.lock().unwrap().take() {
                        handle.close();
                    }
                    Poll::Ready(())
                })));
            });
        },
    );
}

#[test]
fn a_core_is_woken_for_the_task_that_it_keeps() {
    let name = "smp: a task that stays, woken from the other core";
    check(name, Bounds::preemptions(1), woken_from_the_other_core);
}
