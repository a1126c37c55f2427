//! `fused` on chips whose read-modify-writes are instructions, or wherever no critical section is at
//! hand: nothing.

use super::{AtomicPtr, AtomicUsize, FetchAddFused, Fused, Ordering, Overwrite, UpdateFused};

/// Runs the closure.
#[inline(always)]
pub(crate) fn fused<R>(run: impl FnOnce(Fused<'_>) -> R) -> R {
    run(Fused::new())
}

impl FetchAddFused for AtomicUsize {
    #[inline(always)]
    fn fetch_add_fused(&self, operand: usize, order: Ordering, _: Fused<'_>) -> usize {
        self.fetch_add(operand, order)
    }
}

impl Overwrite for AtomicUsize {
    #[inline(always)]
    fn overwrite(&self, value: usize, order: Ordering) {
        self.store(value, order);
    }
}

impl<T> UpdateFused<*mut T> for AtomicPtr<T> {
    #[inline(always)]
    fn fetch_update_fused(
        &self,
        success: Ordering,
        failure: Ordering,
        _: Fused<'_>,
        mut next: impl FnMut(*mut T) -> Option<*mut T>,
    ) -> Result<*mut T, *mut T> {
        // As `fetch_update`, but for what a failed exchange has seen: where an exchange is a loop of two
        // instructions, its code is shorter if nobody asks for that.
        loop {
            let current = self.load(failure);
            let Some(new) = next(current) else { return Err(current) };
            if self.compare_exchange_weak(current, new, success, failure).is_ok() {
                return Ok(current);
            }
        }
    }
}
