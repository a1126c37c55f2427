//! Numbers of threads, which cost one load of a thread's own.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

#[cfg(not(jenny_loom))]
thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

#[cfg(jenny_loom)]
loom::thread_local! {
    static NUMBER: Cell<usize> = Cell::new(0);
}

/// The number of the calling thread: not 0, and no other thread's, not even of one that has ended.
#[inline]
pub(crate) fn thread_number() -> usize {
    match NUMBER.with(Cell::get) {
        0 => number_this_thread(),
        number => number,
    }
}

#[cold]
fn number_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number <= usize::MAX / 2, "the process has had too many threads to number them");
    NUMBER.with(|its| its.set(number));
    number
}
