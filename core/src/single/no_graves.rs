//! Without an allocator there is nothing to free.

use super::attention::Attention;

pub(super) struct Graves;

impl Graves {
    pub(super) const fn new() -> Self {
        Self
    }

    #[inline]
    pub(super) fn free(&self, _: &Attention) {}
}
