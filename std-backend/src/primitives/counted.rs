//! The counting form: locks and reference counts that leave notes in the core's ledger.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    panic::RefUnwindSafe,
    sync,
    time::Duration,
};

pub(crate) use jenny_core::count::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence};
use jenny_core::count::{What, note, note_lock};
use parking_lot::WaitTimeoutResult;

/// A counted [`parking_lot::Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

/// A held [`Mutex`].
pub(crate) struct MutexGuard<'a, T>(parking_lot::MutexGuard<'a, T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        note_lock(self, 2);
        MutexGuard(self.0.lock())
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        note_lock(self, 2);
        self.0.try_lock().map(MutexGuard)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A counted [`parking_lot::Condvar`]. A wait gives the lock back and takes it again, which counts
/// as one more lock.
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        note(What::Wait, self);
        note_lock(self, 2);
        self.0.wait(&mut guard.0);
    }

    #[track_caller]
    pub(crate) fn wait_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        note(What::Wait, self);
        note_lock(self, 2);
        self.0.wait_for(&mut guard.0, timeout)
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) {
        note(What::Notify, self);
        self.0.notify_one();
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) {
        note(What::Notify, self);
        self.0.notify_all();
    }
}

/// An [`std::sync::Arc`] whose count is counted.
#[derive(Debug, Default)]
pub(crate) struct Arc<T: ?Sized>(sync::Arc<T>);

impl<T> Arc<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Arc::new(value))
    }

    pub(crate) fn downgrade(this: &Self) -> Weak<T> {
        Weak(sync::Arc::downgrade(&this.0))
    }

    pub(crate) fn new_cyclic(make: impl FnOnce(&Weak<T>) -> T) -> Self {
        Self(sync::Arc::new_cyclic(|this| make(&Weak(this.clone()))))
    }
}

impl<T: ?Sized> Arc<T> {
    pub(crate) fn as_ptr(this: &Self) -> *const T {
        sync::Arc::as_ptr(&this.0)
    }

    pub(crate) fn ptr_eq(this: &Self, other: &Self) -> bool {
        sync::Arc::ptr_eq(&this.0, &other.0)
    }

    /// The counts lie right before the value, and go with it.
    #[track_caller]
    fn note(&self) {
        note(What::Rmw, &*self.0);
    }
}

/// An [`std::sync::Weak`] that makes counted references. Not counted itself.
#[derive(Debug)]
pub(crate) struct Weak<T>(sync::Weak<T>);

impl<T> Weak<T> {
    pub(crate) fn upgrade(&self) -> Option<Arc<T>> {
        self.0.upgrade().map(Arc)
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> FromIterator<T> for Arc<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        self.note();
        Self(sync::Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        self.note();
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + RefUnwindSafe> std::panic::UnwindSafe for Arc<T> {}

impl<T> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").finish_non_exhaustive()
    }
}
