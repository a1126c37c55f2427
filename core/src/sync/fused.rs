//! Several read-modify-writes as one step, on chips where each is a critical section.
//!
//! A wake is two: the transition of the task's state, and the push onto a queue. Where the processor
//! has no compare-and-swap, `fused` masks interrupts once for both, and what it passes on makes the
//! operations inside go without masks of their own. Everywhere else it is nothing at all.

use core::marker::PhantomData;

use super::Ordering;

/// The evidence of being inside of `fused`.
#[derive(Clone, Copy, Debug)]
pub struct Fused<'a>(PhantomData<&'a ()>);

impl Fused<'_> {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A `fetch_add` inside of `fused`.
pub(crate) trait FetchAddFused {
    fn fetch_add_fused(&self, operand: usize, order: Ordering, fused: Fused<'_>) -> usize;
}

/// A store among the read-modify-writes of others, on whatever core: where those are a load and a store
/// in a critical section, it does not come between the two.
pub(crate) trait Overwrite {
    fn overwrite(&self, value: usize, order: Ordering);
}

/// A `fetch_update` inside of `fused`.
pub(crate) trait UpdateFused<T> {
    fn fetch_update_fused(
        &self,
        success: Ordering,
        failure: Ordering,
        fused: Fused<'_>,
        next: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T>;
}
