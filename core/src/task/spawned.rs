//! What is known about a task before it exists.

use core::{num::NonZeroU64, panic::Location};

/// What is known about a task when it is spawned, beside its future.
#[derive(Clone, Copy, Debug)]
pub struct Spawned<'a> {
    at: &'static Location<'static>,
    name: Option<&'a str>,
    /// Chosen by whoever spawns the task, instead of its scheduler.
    pub(super) id: Option<NonZeroU64>,
}

impl<'a> Spawned<'a> {
    /// A task without a name, spawned where this is called.
    #[track_caller]
    pub fn here() -> Self {
        Self { at: Location::caller(), name: None, id: None }
    }

    /// Gives the task a name, which is copied when it is spawned.
    pub fn named(self, name: Option<&'a str>) -> Self {
        Self { name, ..self }
    }

    /// Where the task is spawned.
    pub fn at(&self) -> &'static Location<'static> {
        self.at
    }

    /// The name that the task is given.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }
}
