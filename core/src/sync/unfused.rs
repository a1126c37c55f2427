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
        if !cfg!(all(any(target_arch = "riscv32", target_arch = "riscv64"), target_os = "none")) {
            return self.fetch_add(operand, order);
        }
        // A wake in an interrupt may have come into the middle of an exchange of this very word by the
        // code below: an LR and an SC. The trap and its return do not have to make that SC fail, nor does
        // an AMO of the same core, and the wake would be lost. Another SC in between does: so here is one
        // (RISC-V ISA, "Zalrsc" and, for MRET, the privileged part).
        let add = |current: usize| Some(current.wrapping_add(operand));
        self.fetch_update(order, Ordering::Relaxed, add).unwrap_or_else(|unchanged| unchanged)
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
