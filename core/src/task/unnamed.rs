//! Where a task was spawned and what it is called: without an allocator nobody asks.

use core::fmt;

use super::spawned::Spawned;

/// [`Spawned`] as a cell keeps it.
pub(super) struct Origin;

impl Origin {
    pub(super) fn new(_: Spawned<'_>) -> Self {
        Self
    }

    pub(super) fn name(&self) -> Option<&str> {
        None
    }

    pub(super) fn show(&self, _: &mut fmt::DebugStruct<'_, '_>) {}
}
