//! A critical section for threads: one lock, and whoever has it may take it again.

use std::{
    cell::{Cell, RefCell},
    sync::{Mutex, MutexGuard, PoisonError},
};

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static INTERRUPT: RefCell<Option<(usize, Interrupt)>> = const { RefCell::new(None) };
    static HELD: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}
type Interrupt = Box<dyn FnOnce()>;

static LOCK: Mutex<()> = Mutex::new(());

struct Threads;

critical_section::set_impl!(Threads);

// SAFETY: between the first acquire of a thread and its last release it has the lock.
unsafe impl critical_section::Impl for Threads {
    unsafe fn acquire() -> bool {
        if DEPTH.replace(DEPTH.get() + 1) == 0 {
            let guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
            HELD.with_borrow_mut(|held| *held = Some(guard));
        }
        true
    }

    unsafe fn release(_: bool) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            HELD.with_borrow_mut(|held| *held = None);
            if let Some(interrupt) = pending() {
                interrupt();
            }
        }
    }
}

/// Whether this thread is in a critical section.
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Calls the closure on this thread in a gap between two of its critical sections: in the first with
/// 0, and so on.
pub(crate) fn interrupt_in_gap(gap: usize, interrupt: impl FnOnce() + 'static) {
    INTERRUPT.set(Some((gap, Box::new(interrupt))));
}

/// The interrupt, if its gap has not come yet.
pub(crate) fn take_interrupt() -> Option<Interrupt> {
    INTERRUPT.take().map(|(_, interrupt)| interrupt)
}

/// Counts a gap, and takes the interrupt if this is its.
fn pending() -> Option<Interrupt> {
    let (gap, interrupt) = INTERRUPT.take()?;
    if gap == 0 {
        return Some(interrupt);
    }
    INTERRUPT.set(Some((gap - 1, interrupt)));
    None
}
