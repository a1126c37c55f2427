//! The one switch between real atomics, a model checker's, and counted ones.
//!
//! Every atomic, unsafe cell, fence and tracked allocation of this crate comes from here, and no
//! other file looks at `cfg(jenny_loom)` or `cfg(jenny_count)`. Normally the atomics are
//! [`portable_atomic`]'s, so that a chip without compare-and-swap works once the final binary has
//! chosen how (see the crate's documentation); under `--cfg jenny_loom` they are loom's. Under
//! `--cfg jenny_count` they are real and note each access in a ledger (`sync/ledger.rs`).
//!
//! Two habits follow from loom. Atomics are never `const` and never in a `static`: ids, seeds and
//! clocks belong to a platform instance. And a protocol that needs a store to be ordered before a
//! later load says so with [`fence`]`(SeqCst)`, because loom weakens `SeqCst` accesses but honours
//! the fence.

#[cfg(jenny_loom)]
pub(crate) use self::checked::*;
#[cfg(not(jenny_loom))]
pub(crate) use self::real::*;

#[cfg(all(feature = "alloc", not(jenny_loom)))]
mod heap;
#[cfg(all(feature = "alloc", not(jenny_loom)))]
#[cfg_attr(jenny_count, allow(unused_imports, reason = "what it has is counted"))]
pub(crate) use self::heap::*;

#[cfg(jenny_count)]
mod counted;
#[cfg(jenny_count)]
mod ledger;

// By name, which goes before those of `real` and `heap`.
#[cfg(jenny_count)]
pub(crate) use self::counted::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, allocate, deallocate, fence, note_lock, own,
};

// One core without compare-and-swap, or a model of one.
#[cfg(all(feature = "critical-section", any(jenny_loom, not(target_has_atomic = "ptr"))))]
mod masked;
#[cfg(all(feature = "critical-section", any(jenny_loom, not(target_has_atomic = "ptr"))))]
pub(crate) use self::masked::{AtomicBool, AtomicPtr, AtomicUsize, fused};

mod fused;
#[cfg(not(all(feature = "critical-section", any(jenny_loom, not(target_has_atomic = "ptr")))))]
mod unfused;
#[cfg(not(all(
    feature = "critical-section",
    any(jenny_loom, not(target_has_atomic = "ptr"))
)))]
pub(crate) use self::unfused::fused;

pub(crate) use self::fused::{FetchAddFused, Fused, Overwrite, UpdateFused};

#[cfg(all(jenny_loom, feature = "critical-section"))]
pub use self::masked::without_compare_and_swap;

pub(crate) use core::sync::atomic::Ordering;

/// A number that orders nothing. A model checker does not see it.
#[cfg(feature = "critical-section")]
pub(crate) use portable_atomic::AtomicU32 as CountOnly;

#[cfg(not(jenny_loom))]
mod real {
    pub(crate) use core::hint::spin_loop;

    #[cfg(not(jenny_count))]
    // One core without compare-and-swap has three of its own.
    #[allow(unused_imports)]
    pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, fence};

    /// `core::cell::UnsafeCell` with the closure-scoped access that a model checker can watch.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Gives a pointer for reading; nobody may write for as long as the closure runs.
        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Gives a pointer for writing; nobody else may access for as long as the closure runs.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// Marks a heap object whose leak a model checker should report.
    #[derive(Debug, Default)]
    pub(crate) struct LeakCheck;

    impl LeakCheck {
        pub(crate) fn new() -> Self {
            Self
        }
    }
}

#[cfg(jenny_loom)]
mod checked {
    use core::{alloc::Layout, ptr::NonNull};

    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicU8, fence};

    pub(crate) fn try_allocate(layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no layout of a task cell is empty.
        NonNull::new(unsafe { loom::alloc::alloc(layout) })
    }

    pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
        try_allocate(layout).expect("out of memory")
    }

    /// # Safety
    /// The memory came from [`allocate`] with this layout and is not used again.
    pub(crate) unsafe fn deallocate(pointer: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { loom::alloc::dealloc(pointer.as_ptr(), layout) }
    }

    /// Marks a heap object whose leak a model checker should report.
    #[derive(Debug)]
    pub(crate) struct LeakCheck(#[allow(dead_code)] loom::alloc::Track<()>);

    impl LeakCheck {
        pub(crate) fn new() -> Self {
            Self(loom::alloc::Track::new(()))
        }
    }
}

/// Declares constructors that are `const`, so that they serve a `static`, wherever atomics are: not
/// under a model checker.
macro_rules! const_unless_checked {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident($($arguments:tt)*) -> $result:ty $body:block)*) => {$(
        #[cfg(not(jenny_loom))]
        $(#[$attribute])*
        $visibility const fn $name($($arguments)*) -> $result $body

        #[cfg(jenny_loom)]
        $(#[$attribute])*
        $visibility fn $name($($arguments)*) -> $result $body
    )*};
}
pub(crate) use const_unless_checked;

/// Declares statics; under a model checker, each of its executions has its own.
#[cfg(feature = "critical-section")]
macro_rules! static_unless_checked {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        #[cfg(not(jenny_loom))]
        $($(#[$attribute])* static $name: $type = $value;)*
        #[cfg(jenny_loom)]
        loom::lazy_static! {
            $($(#[$attribute])* static ref $name: $type = $value;)*
        }
    };
}
#[cfg(feature = "critical-section")]
pub(crate) use static_unless_checked;

/// An array of equal values, made in a `const` context wherever atomics are.
#[cfg(feature = "critical-section")]
macro_rules! array_of {
    ($value:expr; $len:expr) => {{
        #[cfg(not(jenny_loom))]
        let array = [const { $value }; $len];
        #[cfg(jenny_loom)]
        let array: [_; $len] = core::array::from_fn(|_| $value);
        array
    }};
}
#[cfg(feature = "critical-section")]
pub(crate) use array_of;

/// A capacity or a field width: the real one, or a small one that a model checker can exhaust.
pub(crate) const fn shrunk<T: Copy>(real: T, checked: T) -> T {
    if cfg!(jenny_loom) { checked } else { real }
}

/// A mark for a counting build: nothing.
#[cfg(not(jenny_count))]
pub(crate) struct Unmarked;

/// Says that the calling thread may call the value its own, until the mark is dropped.
#[cfg(not(jenny_count))]
#[inline(always)]
#[must_use]
pub(crate) fn own<T: ?Sized>(_value: &T) -> Unmarked {
    Unmarked
}

/// Says that a lock of the platform is taken.
#[cfg(not(jenny_count))]
#[inline(always)]
pub(crate) fn note_lock<T: ?Sized>(_lock: &T, _exchanges: usize) {}

/// What a counting build shows: the ledger, and counted atomics for backends.
#[cfg(jenny_count)]
pub mod count {
    pub use super::{
        counted::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence, note_lock},
        ledger::{Entry, Own, Place, What, close, is_busy, note, note_at, open, own},
    };
}

/// A value alone on its cache line, so that its writers do not slow the readers of its neighbours.
///
/// 128 bytes on the machines that prefetch lines in pairs, 64 on other 64-bit machines; a
/// microcontroller has no coherent caches and pays nothing.
#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), repr(align(128)))]
#[cfg_attr(
    all(target_pointer_width = "64", not(any(target_arch = "x86_64", target_arch = "aarch64"))),
    repr(align(64))
)]
#[derive(Debug, Default)]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> core::ops::Deref for CachePadded<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}
