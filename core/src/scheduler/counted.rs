//! The lifetime of a scheduler: one count per handle, per worker and per task cell.
//!
//! A waker may outlive its runtime and still has to find the inbox and the unpark handle. A raw
//! pointer without a count would be a use after free: a foreign waker wins the race to make a task's
//! `Runnable` and stalls, the scheduler shuts down, and then the waker pushes. So each cell owns one
//! count on the scheduler, given back when the cell is freed, and a foreign waker keeps its
//! reference to the cell until it is done with the scheduler.
//!
//! A worker pays for its spawns from a [`Credit`]: it takes [`CREDIT`] counts at once, and spawning
//! and freeing on the worker is then plain arithmetic. What others free, they give back one by one.

use alloc::boxed::Box;
use core::{cell::Cell, fmt, ops::Deref, ptr::NonNull};

use crate::sync::{AtomicUsize, LeakCheck, Ordering, shrunk};

/// How many counts a worker takes at once.
const CREDIT: usize = shrunk(4096, 2);

/// A value with the number of its users.
#[derive(Debug)]
pub struct Counted<T> {
    count: AtomicUsize,
    value: T,
    _leak: LeakCheck,
}

impl<T> Counted<T> {
    pub(super) fn value(&self) -> &T {
        &self.value
    }

    fn acquire(&self, counts: usize) {
        // Ordering: Relaxed; new counts are made from one that keeps the value alive.
        let previous = self.count.fetch_add(counts, Ordering::Relaxed);
        assert!(previous < usize::MAX / 2, "too many handles to one scheduler");
    }

    /// # Safety
    /// The caller owns the counts and uses `this` no more on their behalf.
    pub(super) unsafe fn release(this: NonNull<Self>, counts: usize) {
        // SAFETY: the caller's counts keep the value alive until the subtraction.
        let previous = unsafe { this.as_ref() }.count.fetch_sub(counts, Ordering::AcqRel);
        // Ordering: Release ends this user's accesses; Acquire puts the drop after everybody's.
        if previous == counts {
            // SAFETY: these were the last counts, and the memory came from `Box::into_raw`.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }
}

/// A handle that owns one count.
pub struct Shared<T>(NonNull<Counted<T>>);

// SAFETY: as for `Arc`: handles share the value, and the last one drops it, on any thread.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        let counted = Counted { count: AtomicUsize::new(1), value, _leak: LeakCheck::new() };
        Self(NonNull::from(Box::leak(Box::new(counted))))
    }

    pub(super) fn pointer(&self) -> NonNull<Counted<T>> {
        self.0
    }

    /// The scheduler's identity, for frames.
    pub(super) fn address(&self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    /// Takes a count for a task cell.
    pub(super) fn lend(&self) -> NonNull<Counted<T>> {
        self.counted().acquire(1);
        self.0
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: the handle's count keeps the value alive.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        self.counted().acquire(1);
        Self(self.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.counted().value()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: gives back the count that this handle is.
        unsafe { Counted::release(self.0, 1) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Counts that a worker has taken in advance. Its owner has to [`settle`](Self::settle).
#[derive(Debug, Default)]
pub(super) struct Credit(Cell<usize>);

impl Credit {
    /// Takes a count for a task cell, without a shared write but once in [`CREDIT`] times.
    #[inline]
    pub(super) fn lend<T>(&self, shared: &Shared<T>) -> NonNull<Counted<T>> {
        if self.0.get() == 0 {
            shared.counted().acquire(CREDIT);
            self.0.set(CREDIT);
        }
        self.0.set(self.0.get() - 1);
        shared.0
    }

    /// Takes back the count of a cell that this worker has freed.
    #[inline]
    pub(super) fn give_back<T>(&self, shared: &Shared<T>) {
        self.0.set(self.0.get() + 1);
        if self.0.get() >= 2 * CREDIT {
            self.0.set(self.0.get() - CREDIT);
            // SAFETY: the counts were this credit's; the handle keeps the value alive.
            unsafe { Counted::release(shared.0, CREDIT) }
        }
    }

    /// Gives everything back.
    pub(super) fn settle<T>(&self, shared: &Shared<T>) {
        // SAFETY: the counts were this credit's; the handle keeps the value alive.
        unsafe { Counted::release(shared.0, self.0.take()) }
    }
}
