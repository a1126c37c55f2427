//! Plain values in a cell, and what they mean.

/// The index of a worker, of which a scheduler has at most 65,534, off by one; or none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(u16);

impl Owner {
    pub(super) const NONE: Self = Self(0);

    /// Of a task in a place that stays: no list is needed to find it.
    pub(super) const NEVER: Self = Self(u16::MAX);

    #[inline]
    pub(super) fn worker(index: u16) -> Self {
        Self(index.wrapping_add(1))
    }

    #[inline]
    pub(super) fn index(self) -> Option<u16> {
        self.0.checked_sub(1)
    }
}

/// What the bytes of the stage mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum StageTag {
    Future,
    Output,
    Panicked,
    Cancelled,
    /// Nothing: moved out, or dropped.
    Consumed,
}
