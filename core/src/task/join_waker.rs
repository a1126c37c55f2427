//! Where a `JoinHandle` leaves its waker.

use core::{
    ptr,
    task::{RawWakerVTable, Waker},
};

use crate::sync::{AtomicPtr, Ordering};

/// A waker in two words, which are atomic because somebody may look at them while another one comes in
/// (rule J): what he gets is out of date then, and he finds out by the state word.
///
/// No ordering here: whose the waker is goes by the state word, and so do the words themselves.
pub(super) struct JoinWaker {
    data: AtomicPtr<()>,
    vtable: AtomicPtr<RawWakerVTable>,
}

/// A copy of what is there, which may be out of date.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    data: *mut (),
    vtable: *mut RawWakerVTable,
}

impl JoinWaker {
    #[inline]
    pub(super) fn new() -> Self {
        Self { data: AtomicPtr::new(ptr::null_mut()), vtable: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Leaves a waker; one that was there is forgotten.
    #[inline]
    pub(super) fn put(&self, waker: Waker) {
        let Copied { data, vtable } = Copied::of(&waker);
        core::mem::forget(waker);
        self.data.store(data, Ordering::Relaxed);
        self.vtable.store(vtable, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn copy(&self) -> Copied {
        Copied {
            data: self.data.load(Ordering::Relaxed),
            vtable: self.vtable.load(Ordering::Relaxed),
        }
    }
}

impl Copied {
    #[inline]
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().cast_mut(), vtable: ptr::from_ref(waker.vtable()).cast_mut() }
    }

    /// Whether it is a copy of this waker.
    pub(super) fn is(self, waker: &Waker) -> bool {
        let other = Self::of(waker);
        ptr::eq(self.data, other.data) && ptr::eq(self.vtable, other.vtable)
    }

    /// The waker itself.
    ///
    /// # Safety
    /// It has been put, it belongs to the caller now (rule J), and nobody makes it again.
    #[inline]
    pub(super) unsafe fn into_waker(self) -> Waker {
        // SAFETY: both are those of a waker that was forgotten in `put`, whose vtable is a `&'static`.
        unsafe { Waker::new(self.data, &*self.vtable) }
    }
}
