//! A pointer to a cell, without its type and without a reference count.

use core::ptr::NonNull;

use super::header::{Header, Prefix, Record, Vtable};
use super::id::Id;
use super::marks::StageTag;
use super::origin::Origin;
#[cfg(feature = "alloc")]
use super::spares::{BATCH, Empty};
use super::state::{State, Wake};
use crate::{list::Pointers, sync::fused};

/// The address of a cell. Whoever has one also has a reason why the cell is alive: a reference, the
/// `Runnable`, or membership in an owned list.
///
/// It is derived from the pointer that the allocator returned, never from a `&Header`, so it may be
/// used to reach the whole cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawTask(NonNull<Header>);

impl RawTask {
    /// # Safety
    /// The pointer leads to a live cell, and stays in use only as long as the cell is alive.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// The links of the owned list (rule O), of a cell that is in no place that stays.
    #[cfg(feature = "alloc")]
    pub(crate) fn owned_pointers(self) -> NonNull<Pointers<Header>> {
        let prefix = self.0.cast::<Prefix>().as_ptr();
        // SAFETY: the cell is alive and starts with a `Prefix`; no reference is made on the way.
        unsafe { NonNull::new_unchecked((&raw mut (*prefix).record.membership.owned).cast()) }
    }

    pub(crate) fn pointer(self) -> NonNull<Header> {
        self.0
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the cell is alive (type invariant), and the fields of the header that change are
        // atomics or cells.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn record(&self) -> &Record {
        // SAFETY: the cell is alive, and starts with a `Prefix` (`Cell` is `repr(C)`).
        unsafe { &self.0.cast::<Prefix>().as_ref().record }
    }

    pub(super) fn state(&self) -> &State {
        // SAFETY: the cell is alive; of what else is in it no reference is made (rule 6).
        unsafe { &(*self.0.as_ptr()).state }
    }

    pub(super) fn vtable(self) -> &'static Vtable {
        self.header().vtable
    }

    #[inline]
    pub(super) fn id(self) -> Id {
        // SAFETY: as above.
        unsafe { &(*self.0.as_ptr()).id }.get()
    }

    #[inline]
    pub(super) fn scheduler(self) -> NonNull<()> {
        // SAFETY: as above.
        unsafe { &(*self.0.as_ptr()).scheduler }.get()
    }

    /// What the bytes of the stage mean (rule S).
    #[inline]
    pub(super) fn stage(self) -> StageTag {
        self.record().tags.stage(&self.header().link)
    }

    #[cfg(feature = "alloc")]
    pub(super) fn spawned_at(self) -> &'static core::panic::Location<'static> {
        self.record().origin.spawned_at()
    }

    pub(super) fn origin(self) -> *const Origin {
        &raw const self.record().origin
    }

    /// Counts one more reference.
    pub(super) fn clone_reference(self) {
        self.clone_references(1);
    }

    fn clone_references(self, count: usize) {
        if !self.state().clone_references(count) {
            (self.vtable().abort)();
        }
    }

    /// Makes one more reference, of those that the poller has to spare if there are any.
    ///
    /// # Safety
    /// The calling thread is in the poll of this task, which does not stay (rule S).
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) unsafe fn clone_in_poll(self) {
        let spares = &self.record().tags.spares;
        match spares.take() {
            Ok(()) => {}
            Err(Empty::Open) => {
                self.clone_references(BATCH.into());
                spares.refill();
            }
            Err(Empty::Closed) => self.clone_reference(),
        }
    }

    /// Gives up a reference, to the spare ones of the poller if they are not too many.
    ///
    /// # Safety
    /// As for [`clone_in_poll`](Self::clone_in_poll); and the caller holds a reference and does not use
    /// it again.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) unsafe fn drop_in_poll(self) {
        if !self.record().tags.spares.put() {
            // SAFETY: passed on from the caller.
            unsafe { self.drop_reference() }
        }
    }

    /// # Safety
    /// The caller holds a reference and does not use it again.
    pub(super) unsafe fn drop_reference(self) {
        if self.state().drop_reference() {
            // SAFETY: it was the last reference, so nobody can reach the cell any more (rule 4).
            unsafe { (self.vtable().free)(self.0) }
        }
    }

    /// As [`drop_reference`](Self::drop_reference), on a complete task, for whoever is probably the
    /// last.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(super) unsafe fn drop_last_reference(self) {
        if self.state().drop_last_reference() {
            // SAFETY: as above.
            unsafe { (self.vtable().free)(self.0) }
        }
    }

    /// Wakes the task; the caller's reference stays, so the cell outlives the scheduling.
    #[inline]
    pub(super) fn wake_by_ref(self) {
        fused(|fused| {
            if self.state().wake_by_ref(fused) == Wake::Schedule {
                // SAFETY: by rule 1 this wake made the Runnable.
                unsafe { (self.vtable().schedule)(self.0, fused) }
            }
        });
    }
}
