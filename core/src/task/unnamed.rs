//! Where a task was spawned. Without an allocator it keeps no name.

use core::panic::Location;

use super::spawned::Spawned;

/// [`Spawned`] as a cell keeps it.
pub(super) struct Origin(&'static Location<'static>);

impl Origin {
    pub(super) fn new(spawned: Spawned<'_>) -> Self {
        Self(spawned.at())
    }

    pub(super) fn spawned_at(&self) -> &'static Location<'static> {
        self.0
    }

    pub(super) fn name(&self) -> Option<&str> {
        None
    }
}
