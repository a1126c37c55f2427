//! The waker of the future in `block_on`: a static executor's address, and so without a count.

use core::{
    ptr,
    task::{RawWaker, RawWakerVTable, Waker},
};

use super::{Board, Counters, Executor};

/// Wakes whatever future the executor blocks on, from anywhere.
pub(super) fn waker<B: Board, C: Counters>(executor: &'static Executor<B, C>) -> Waker {
    // SAFETY: the data is the executor that the functions expect; it is static and `Sync`, so each
    // may be called from anywhere, at any time.
    unsafe { Waker::from_raw(raw(executor)) }
}

fn raw<B: Board, C: Counters>(executor: &'static Executor<B, C>) -> RawWaker {
    let table = const { &RawWakerVTable::new(clone::<B, C>, wake::<B, C>, wake::<B, C>, forget) };
    RawWaker::new(ptr::from_ref(executor).cast(), table)
}

/// # Safety
/// The data is that of [`raw`].
unsafe fn of<B: Board, C: Counters>(data: *const ()) -> &'static Executor<B, C> {
    // SAFETY: it came from such a reference.
    unsafe { &*data.cast() }
}

unsafe fn clone<B: Board, C: Counters>(data: *const ()) -> RawWaker {
    // SAFETY: called by a waker with this table.
    raw(unsafe { of::<B, C>(data) })
}

unsafe fn wake<B: Board, C: Counters>(data: *const ()) {
    // SAFETY: called by a waker with this table.
    unsafe { of::<B, C>(data) }.wake_root();
}

unsafe fn forget(_: *const ()) {}
