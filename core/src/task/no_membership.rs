//! What a cell keeps for the list that it is in, and for whoever runs it: without an allocator,
//! where every place stays, next to nothing.

use core::{marker::PhantomData, mem::ManuallyDrop};

use super::marks::StageTag;
use crate::link::Link;

/// The place in a cell for the next one in the list of all places (`vacancy.rs`).
#[repr(C)]
pub(super) struct Membership<T> {
    pub(super) listed: ManuallyDrop<Link>,
    _cell: PhantomData<T>,
}

impl<T> Membership<T> {
    pub(super) fn new() -> Self {
        unreachable!()
    }
}

/// No worker binds tasks, and none yields. The tag of the stage lies in the link: from the moment
/// that the future is dropped, no queue needs that any more (rule L). Before, it says nothing.
pub(super) struct Tags;

impl Tags {
    #[inline]
    pub(super) fn new(_: bool) -> Self {
        Self
    }

    #[inline]
    pub(super) fn stage(&self, link: &Link) -> StageTag {
        const OUTPUT: usize = StageTag::Output as usize;
        const CANCELLED: usize = StageTag::Cancelled as usize;
        match link.next().addr() {
            OUTPUT => StageTag::Output,
            CANCELLED => StageTag::Cancelled,
            _ => StageTag::Consumed,
        }
    }

    #[inline]
    pub(super) fn set_stage(&self, link: &Link, tag: StageTag) {
        link.set_next(core::ptr::without_provenance_mut(tag as usize));
    }

    #[inline]
    pub(super) fn take_yielded(&self) -> bool {
        false
    }

    #[inline]
    pub(super) fn close_spares(&self) -> usize {
        0
    }
}
