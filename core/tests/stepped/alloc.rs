//! An allocator that knows how much each thread has taken and not given back.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static MADE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator. The counter neither allocates nor has a
// destructor, so it can be used here and for as long as the thread lives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + 1);
        MADE.set(MADE.get() + 1);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - 1);
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many allocations this thread has made.
pub(crate) fn made() -> usize {
    MADE.get()
}

/// How many allocations this thread holds.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// Runs the scenario and expects that nothing it allocated is left. It runs twice: what the standard
/// library makes once for each thread does not count.
#[track_caller]
pub(crate) fn no_leaks(scenario: impl Fn()) {
    scenario();
    let before = live();
    scenario();
    assert_eq!(live() - before, 0, "allocations were leaked");
}

#[test]
fn a_leak_is_noticed() {
    let before = live();
    let leaked = Box::into_raw(Box::new(7));
    assert_eq!(live() - before, 1);
    // SAFETY: it came from `into_raw` just above.
    drop(unsafe { Box::from_raw(leaked) });
    assert_eq!(live() - before, 0);
}
