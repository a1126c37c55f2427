//! What a cell keeps for the list that it is in, and for whoever runs it.

use core::{cell::Cell, mem::ManuallyDrop};

use super::marks::{Owner, StageTag};
use super::spares::Spares;
use crate::{link::Link, list::Pointers};

/// The place in a cell for the neighbours in the list of what a shutdown cancels.
#[repr(C)]
pub(super) union Membership<T> {
    /// Rule O, of a cell on the heap: belongs to the owned list that the task is bound to.
    pub(super) owned: ManuallyDrop<Pointers<T>>,
    /// Of a place that stays: belongs to the list of all places (`vacancy.rs`).
    pub(super) listed: ManuallyDrop<Link>,
}

impl<T> Membership<T> {
    /// In no owned list.
    #[inline]
    pub(super) fn new() -> Self {
        Self { owned: ManuallyDrop::new(Pointers::new()) }
    }
}

/// What goes with the `Runnable`, and after completion with the output.
pub(super) struct Tags {
    /// Rule B: which worker's owned list the task is bound to.
    pub(super) owner: Cell<Owner>,
    /// Rule S: what the stage holds.
    stage: Cell<StageTag>,
    /// Rule S: what a poll does without the state word.
    pub(super) spares: Spares,
}

impl Tags {
    #[inline]
    pub(super) fn new(stays: bool) -> Self {
        Self {
            owner: Cell::new(if stays { Owner::NEVER } else { Owner::NONE }),
            stage: Cell::new(StageTag::Future),
            spares: Spares::new(),
        }
    }

    #[inline]
    pub(super) fn stage(&self, _: &Link) -> StageTag {
        self.stage.get()
    }

    #[inline]
    pub(super) fn set_stage(&self, _: &Link, tag: StageTag) {
        self.stage.set(tag);
    }

    /// Whether the poll has asked for another one, which this answers.
    #[inline]
    pub(super) fn take_yielded(&self) -> bool {
        self.spares.take_yielded()
    }

    /// Gives up the references that the poller has to spare: so many there were.
    #[inline]
    pub(super) fn close_spares(&self) -> usize {
        self.spares.close()
    }
}
