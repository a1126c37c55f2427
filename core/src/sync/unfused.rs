//! `fused` on chips whose read-modify-writes are instructions, or wherever no critical section is at
//! hand: nothing.

use super::{AtomicPtr, AtomicUsize, ExchangeFused, FetchAddFused, Fused, Ordering};

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

impl<T> ExchangeFused<*mut T> for AtomicPtr<T> {
    #[inline(always)]
    fn compare_exchange_fused(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
        _: Fused<'_>,
    ) -> Result<*mut T, *mut T> {
        self.compare_exchange_weak(current, new, success, failure)
    }
}
