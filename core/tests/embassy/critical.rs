//! A critical section for threads: one lock, and whoever has it may take it again.

use std::{
    cell::{Cell, RefCell},
    sync::{Mutex, MutexGuard, PoisonError},
};

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static HELD: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}
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
        }
    }
}

/// Whether this thread is in a critical section.
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}
