//! Tasks on the heap.

use core::{alloc::Layout, future::Future, ptr::NonNull};

use super::harness::{layout, new_in};
use super::id::Id;
use super::join::JoinHandle;
use super::memory::Memory;
use super::place::Place;
use super::refs::Runnable;
use super::schedule::Schedule;
use super::spawned::Spawned;
use crate::recycler::allocate_place;

/// Allocates a task that is scheduled: run, queue or cancel its [`Runnable`].
///
/// # Safety
/// - One count on the scheduler has been taken for the cell, so that `scheduler` stays valid until
///   [`Schedule::release`].
/// - If the future or its output is not `Send`, the scheduler runs and cancels the task on this
///   thread only. If the future borrows, the task is complete before the borrow ends.
pub unsafe fn new<F, S>(
    future: F,
    scheduler: NonNull<S>,
    id: Id,
    spawned: Spawned<'_>,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future,
    S: Schedule,
{
    let place = allocate_place(layout::<F, S>());
    // SAFETY: the place is fresh memory for this layout, from the heap; the rest is passed on.
    unsafe { new_in::<F, S, Heap>(place, future, scheduler, Some(id), spawned) }
}

/// The global allocator, by way of the scheduler.
pub(crate) struct Heap;

impl<S: Schedule> Memory<S> for Heap {
    #[inline]
    unsafe fn give_back(scheduler: NonNull<S>, place: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller; whoever makes a cell on the heap says so.
        unsafe { S::release(scheduler, Place::new(place, layout)) }
    }
}
