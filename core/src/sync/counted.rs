//! The counting form of the atomics: each access leaves a note in the ledger.
//!
//! What is counted is what the source asks for: an exchange that fails is one read-modify-write, as
//! it is for the cache line, and a fence counts if it is `SeqCst`, the only kind that costs an
//! instruction on x86-64.

use core::{alloc::Layout, ptr::NonNull};

use portable_atomic as real;

use super::{
    Ordering,
    ledger::{self, What, note},
};

pub(crate) use super::ledger::own;

/// A read-modify-write each.
macro_rules! rmw {
    ($type:ty: $($method:ident($($argument:ident: $of:ty),*) -> $result:ty;)*) => {
        $(
            #[doc = "Counts one read-modify-write."]
            #[track_caller]
            pub fn $method(&self, $($argument: $of),*) -> $result {
                note(What::Rmw, self);
                self.0.$method($($argument),*)
            }
        )*
    };
}

/// What all atomics have.
macro_rules! atomic {
    ($name:ident$(<$t:ident>)?, $value:ty, {$($more:tt)*}) => {
        /// An atomic whose accesses are counted.
        #[derive(Debug)]
        #[repr(transparent)]
        pub struct $name$(<$t>)?(real::$name$(<$t>)?);

        impl$(<$t>)? $name$(<$t>)? {
            /// Wraps a value.
            pub const fn new(value: $value) -> Self {
                Self(real::$name::new(value))
            }

            /// Nobody else has it, so there is nothing to count.
            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            /// Counts a load.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                note(What::Load, self);
                self.0.load(order)
            }

            /// Counts a store.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                note(What::Store, self);
                self.0.store(value, order);
            }

            /// Counts one read-modify-write for each exchange that it tries.
            ///
            /// # Errors
            /// Gives the value if the closure wants no change.
            #[track_caller]
            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut seen = self.load(failure);
                while let Some(next) = update(seen) {
                    match self.compare_exchange_weak(seen, next, success, failure) {
                        Ok(previous) => return Ok(previous),
                        Err(other) => seen = other,
                    }
                }
                Err(seen)
            }

            rmw! { $value:
                swap(value: $value, order: Ordering) -> $value;
                compare_exchange(current: $value, new: $value, success: Ordering, failure: Ordering)
                    -> Result<$value, $value>;
                compare_exchange_weak(
                    current: $value, new: $value, success: Ordering, failure: Ordering
                ) -> Result<$value, $value>;
                $($more)*
            }
        }
    };
}

macro_rules! integer {
    ($name:ident, $value:ty) => {
        atomic! { $name, $value, {
            fetch_add(value: $value, order: Ordering) -> $value;
            fetch_sub(value: $value, order: Ordering) -> $value;
            fetch_and(value: $value, order: Ordering) -> $value;
            fetch_or(value: $value, order: Ordering) -> $value;
        }}

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }
    };
}

integer! { AtomicU8, u8 }
integer! { AtomicUsize, usize }
integer! { AtomicU64, u64 }
atomic! { AtomicPtr<T>, *mut T, {} }
atomic! { AtomicBool, bool, {
    fetch_and(value: bool, order: Ordering) -> bool;
    fetch_or(value: bool, order: Ordering) -> bool;
}}

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self::new(core::ptr::null_mut())
    }
}

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

/// Counts a `SeqCst` fence.
#[track_caller]
pub fn fence(order: Ordering) {
    if order == Ordering::SeqCst {
        note(What::Fence, &());
    }
    real::fence(order);
}

/// Counts a lock that is taken and given back: by an exchange each, or one of them by a store.
#[track_caller]
pub fn note_lock<T: ?Sized>(lock: &T, exchanges: usize) {
    note(What::Lock, lock);
    for _ in 0..exchanges {
        note(What::Rmw, lock);
    }
    for _ in exchanges..2 {
        note(What::Store, lock);
    }
}

/// Allocates memory for a task cell, and notes where it is.
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    let cell = super::heap::allocate(layout);
    ledger::cell_made(cell.addr().get(), layout.size());
    cell
}

/// # Safety
/// The memory came from [`allocate`] with this layout and is not used again.
pub(crate) unsafe fn deallocate(pointer: NonNull<u8>, layout: Layout) {
    ledger::cell_freed(pointer.addr().get());
    // SAFETY: passed on from the caller.
    unsafe { super::heap::deallocate(pointer, layout) }
}
