//! Atomics for one core without compare-and-swap: a read-modify-write is a load and a store with
//! interrupts masked, a load or a store is the processor's own.
//!
//! Under a model checker they are loom's, and a model says which kind of chip it is about.
//! Otherwise they are `core`'s, which have loads and stores on such chips. portable-atomic's may be
//! sections, too: those of a chip with several cores would be.

#[cfg(not(jenny_loom))]
use core::sync::atomic as inner;
#[cfg(jenny_loom)]
use loom::sync::atomic as inner;

use core::sync::atomic::Ordering::{self, AcqRel, Relaxed};

use super::{FetchAddFused, Fused, Overwrite, UpdateFused, const_unless_checked};

#[cfg(jenny_loom)]
std::thread_local! {
    static NATIVE: core::cell::Cell<bool> = const { core::cell::Cell::new(true) };
}

/// Whether the chip has read-modify-writes of its own.
#[cfg(jenny_loom)]
fn is_native() -> bool {
    NATIVE.get()
}

/// Runs a model, all of whose threads loom keeps on this one, for a chip without compare-and-swap.
#[cfg(jenny_loom)]
pub fn without_compare_and_swap(model: impl FnOnce()) {
    struct Restore;

    impl Drop for Restore {
        fn drop(&mut self) {
            NATIVE.set(true);
        }
    }

    NATIVE.set(false);
    let _restore = Restore;
    model();
}

/// Runs the operation of the chip, if it has one, else the replacement.
macro_rules! native_or {
    ($native:expr, $masked:expr) => {{
        #[cfg(jenny_loom)]
        if is_native() {
            return $native;
        }
        $masked
    }};
}

macro_rules! masked {
    ($name:ident $(<$parameter:ident>)?, $value:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name $(<$parameter>)?(inner::$name $(<$parameter>)?);

        // Each type has every operation, whether or not this crate uses it.
        #[allow(dead_code)]
        impl $(<$parameter>)? $name $(<$parameter>)? {
            const_unless_checked! {
                pub(crate) fn new(value: $value) -> Self {
                    Self(inner::$name::new(value))
                }
            }

            #[inline]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            #[inline]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, order);
            }

            /// # Ordering
            /// Sections are ordered among themselves; Acquire and Release, by one fence for both,
            /// are for the plain loads and stores of others, whatever the caller asks for: a plain
            /// store ends a release sequence, where the read-modify-write that it stands for would
            /// continue it.
            #[inline]
            fn replace(&self, _: Fused<'_>, next: impl FnOnce($value) -> Option<$value>) -> Result<$value, $value> {
                let old = self.0.load(Relaxed);
                let next = next(old);
                inner::fence(AcqRel);
                let Some(new) = next else { return Err(old) };
                self.0.store(new, Relaxed);
                Ok(old)
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                native_or!(self.0.swap(value, order), {
                    let _ = order;
                    match critical_section::with(|masked| self.replace(in_section(masked), |_| Some(value))) {
                        Ok(old) | Err(old) => old,
                    }
                })
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                native_or!(self.0.compare_exchange(current, new, success, failure), {
                    let _ = (success, failure);
                    critical_section::with(|masked| {
                        self.replace(in_section(masked), |old| (old == current).then_some(new))
                    })
                })
            }

            /// One section, where others exchange until nobody has come in between.
            #[inline]
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                next: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                native_or!(self.0.fetch_update(success, failure, next), {
                    let _ = (success, failure);
                    critical_section::with(|masked| self.replace(in_section(masked), next))
                })
            }

            #[inline]
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                native_or!(
                    self.0.compare_exchange_weak(current, new, success, failure),
                    self.compare_exchange(current, new, success, failure)
                )
            }
        }

        impl $(<$parameter>)? Default for $name $(<$parameter>)? {
            fn default() -> Self {
                Self(inner::$name::default())
            }
        }

        impl $(<$parameter>)? UpdateFused<$value> for $name $(<$parameter>)? {
            #[inline]
            fn fetch_update_fused(
                &self,
                success: Ordering,
                failure: Ordering,
                fused: Fused<'_>,
                next: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                native_or!(self.0.fetch_update(success, failure, next), {
                    let _ = (success, failure);
                    self.replace(fused, next)
                })
            }
        }
    };
}

masked!(AtomicBool, bool);
masked!(AtomicUsize, usize);
masked!(AtomicPtr<T>, *mut T);

macro_rules! arithmetic {
    ($($name:ident: $next:expr;)*) => {
        impl AtomicUsize {$(
            pub(crate) fn $name(&self, operand: usize, order: Ordering) -> usize {
                native_or!(self.0.$name(operand, order), {
                    let _ = order;
                    let next: fn(usize, usize) -> usize = $next;
                    let replaced = critical_section::with(|masked| {
                        self.replace(in_section(masked), |old| Some(next(old, operand)))
                    });
                    match replaced {
                        Ok(old) | Err(old) => old,
                    }
                })
            }
        )*}
    };
}

arithmetic! {
    fetch_add: usize::wrapping_add;
    fetch_sub: usize::wrapping_sub;
    fetch_and: |old, mask| old & mask;
    fetch_or: |old, flags| old | flags;
}

impl FetchAddFused for AtomicUsize {
    #[inline]
    fn fetch_add_fused(&self, operand: usize, order: Ordering, fused: Fused<'_>) -> usize {
        native_or!(self.0.fetch_add(operand, order), {
            let _ = order;
            match self.replace(fused, |old| Some(old.wrapping_add(operand))) {
                Ok(old) | Err(old) => old,
            }
        })
    }
}

impl Overwrite for AtomicUsize {
    /// Under a model checker an exchange stands for the chip's own store: loom does not know that a
    /// read-modify-write comes right behind what it has read, and would have one that read what is
    /// overwritten come after this.
    #[inline]
    fn overwrite(&self, value: usize, order: Ordering) {
        native_or!(
            {
                self.0.swap(value, order);
            },
            critical_section::with(|_| self.0.store(value, order))
        );
    }
}

/// The evidence of a critical section.
#[inline]
fn in_section(_: critical_section::CriticalSection<'_>) -> Fused<'_> {
    Fused::new()
}

/// Runs the closure in one critical section.
#[inline]
pub(crate) fn fused<R>(run: impl FnOnce(Fused<'_>) -> R) -> R {
    native_or!(run(Fused::new()), critical_section::with(|masked| run(in_section(masked))))
}
