//! The typed cell: all of a task in one place.

use core::{
    future::Future,
    marker::PhantomData,
    mem::ManuallyDrop,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use super::header::{Header, Prefix, Record, SchedulerCell, Vtable};
use super::id::{Id, IdCell};
use super::join_waker::JoinWaker;
use super::marks::StageTag;
use super::membership::{Membership, Tags};
use super::origin::Origin;
use super::raw::RawTask;
use super::spawned::Spawned;
use super::state::State;
use crate::{
    link::Link,
    platform::PanicPayload,
    sync::{UnsafeCell, shrunk},
};

/// A task: what every task has, 88 bytes on 64-bit machines, then the future or what became of it.
#[repr(C)]
pub(super) struct Cell<F: Future, S> {
    prefix: Prefix,
    /// Rule S.
    stage: UnsafeCell<Stage<F>>,
    _scheduler: PhantomData<fn(S)>,
}

/// The future, its output and the payload of its panic share their bytes; `Record::stage` says
/// which it is.
#[repr(C)]
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
    panic: ManuallyDrop<PanicPayload>,
    consumed: (),
}

/// What a cell is made for.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Its place stays (rule 6).
    pub(super) stays: bool,
    /// It has a `JoinHandle`. What has none stays.
    pub(super) is_joined: bool,
}

/// How a task ended, as the harness sees it.
pub(super) enum End<T> {
    Output(T),
    Panicked(PanicPayload),
    Cancelled,
}

impl<F: Future, S> Cell<F, S> {
    /// Makes a cell, whose task gets its id when it is asked for, if not here. In a place that
    /// stays, a waker of an earlier task may look at the state and the id at any time, and a
    /// shutdown at the scheduler, so those are there already. So is the place's own link; and that
    /// of queues means nothing in a task that is in none.
    ///
    /// # Safety
    /// The place is the caller's, and has the layout of this type. If it stays, it has a `Vacancy`,
    /// reserved by the caller.
    #[inline]
    pub(super) unsafe fn write(
        place: NonNull<u8>,
        Kind { stays, is_joined }: Kind,
        future: F,
        (scheduler, vtable): (NonNull<()>, &'static Vtable),
        id: Option<Id>,
        spawned: Spawned<'_>,
    ) -> NonNull<Header> {
        // Before the future is in the way: a name is copied, which may unwind.
        let origin = Origin::new(spawned);
        let stage = UnsafeCell::new(Stage { future: ManuallyDrop::new(future) });
        let cell = place.cast::<Self>().as_ptr();
        // SAFETY: unused memory of the right layout, as the caller says, but for what is there
        // already. The state is last: from there on wakers follow the pointers.
        unsafe {
            let header = &raw mut (*cell).prefix.header;
            let record = &raw mut (*cell).prefix.record;
            (&raw mut (*header).vtable).write(vtable);
            (&raw mut (*cell).stage).write(stage);
            let join_waker = JoinWaker::new();
            let tags = Tags::new(stays);
            if stays {
                // A model checker's links are more than their bytes.
                if shrunk(false, true) {
                    (&raw mut (*header).link).write(Link::new());
                }
                (&raw mut (*record).join_waker).write(join_waker);
                (&raw mut (*record).origin).write(origin);
                (&raw mut (*record).tags).write(tags);
                (*header).scheduler.set(scheduler);
                (*header).id.renew(id);
                (*header).state.start(is_joined);
            } else {
                let membership = Membership::new();
                (&raw mut (*header).link).write(Link::new());
                (&raw mut (*header).scheduler).write(SchedulerCell::new(scheduler.as_ptr()));
                (&raw mut (*header).id).write(IdCell::new(id));
                record.write(Record { membership, join_waker, origin, tags });
                (&raw mut (*header).state).write(State::new());
            }
        }
        place.cast()
    }

    /// Ends the cell and returns its place.
    ///
    /// # Safety
    /// Nobody has a reference to the cell any more, and the stage is consumed.
    pub(super) unsafe fn end(header: NonNull<Header>, stays: bool) -> NonNull<u8> {
        let cell = header.cast::<Self>().as_ptr();
        // SAFETY: nobody else uses the cell, or no more of it than what is left in a place that
        // stays. Dropping it drops no user value (the union never does), only the box of a name,
        // and what a model checker tracks.
        unsafe {
            debug_assert!(
                stays || RawTask::new(header).stage() == StageTag::Consumed,
                "freed with a value"
            );
            if stays {
                (&raw mut (*cell).prefix.record.origin).drop_in_place();
            } else {
                cell.drop_in_place();
            }
        }
        header.cast()
    }

    /// # Safety
    /// The header belongs to a live cell of this type.
    pub(super) unsafe fn of<'a>(header: NonNull<Header>) -> &'a Self {
        // SAFETY: passed on from the caller; everything that changes is in a cell or atomic.
        unsafe { header.cast::<Self>().as_ref() }
    }

    #[inline]
    fn tag(&self) -> StageTag {
        self.prefix.record.tags.stage(&self.prefix.header.link)
    }

    #[inline]
    fn set_tag(&self, tag: StageTag) {
        self.prefix.record.tags.set_stage(&self.prefix.header.link, tag);
    }

    /// Polls the future, by its own `poll` or by something around it.
    ///
    /// # Safety
    /// Rule S: the caller holds the Runnable, and the stage is the future.
    #[inline(always)]
    pub(super) unsafe fn poll(
        &self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut F>, &mut Context<'_>) -> Poll<F::Output>,
    ) -> Poll<F::Output> {
        self.stage.with_mut(|stage| {
            // SAFETY: the caller has exclusive access to the stage, which holds the future, and the
            // future stays at its address until it is dropped there.
            let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
            poll(future, context)
        })
    }

    /// Drops the future; a panic of the drop unwinds from here, and the future counts as dropped.
    ///
    /// # Safety
    /// Rule S: the caller holds the Runnable, and the stage is the future.
    pub(super) unsafe fn drop_future(&self, is_joined: bool) {
        // Without a handle nobody will ask.
        if is_joined {
            self.set_tag(StageTag::Consumed);
        }
        // SAFETY: exclusive access; who drops the future ends the task, and nobody drops it again.
        self.stage.with_mut(|stage| unsafe { ManuallyDrop::drop(&mut (*stage).future) });
    }

    /// Field by field, since each move on the way is a copy on the stack where nothing is
    /// optimised, and outputs may be large.
    ///
    /// # Safety
    /// Rule S: the caller holds the Runnable, and the stage is consumed.
    pub(super) unsafe fn store(&self, end: End<F::Output>) {
        debug_assert_eq!(self.tag(), StageTag::Consumed);
        // SAFETY: exclusive access; the bytes hold no value.
        let tag = self.stage.with_mut(|stage| unsafe {
            match end {
                End::Output(output) => {
                    (&raw mut (*stage).output).cast::<F::Output>().write(output);
                    StageTag::Output
                }
                End::Panicked(panic) => {
                    (&raw mut (*stage).panic).cast::<PanicPayload>().write(panic);
                    StageTag::Panicked
                }
                End::Cancelled => StageTag::Cancelled,
            }
        });
        self.set_tag(tag);
    }

    /// Moves the end of the task out; `None` if that has been done.
    ///
    /// # Safety
    /// Rule S: the task is complete, and the output is the caller's.
    #[inline(always)]
    pub(super) unsafe fn take(&self) -> Option<End<F::Output>> {
        let tag = self.tag();
        self.set_tag(StageTag::Consumed);
        // SAFETY: exclusive access; the tag said what the bytes hold, and now says that they hold
        // nothing.
        self.stage.with_mut(|stage| unsafe {
            match tag {
                StageTag::Output => Some(End::Output(ManuallyDrop::take(&mut (*stage).output))),
                StageTag::Panicked => Some(End::Panicked(ManuallyDrop::take(&mut (*stage).panic))),
                StageTag::Cancelled => Some(End::Cancelled),
                StageTag::Consumed => None,
                StageTag::Future => unreachable!("taken from an incomplete task"),
            }
        })
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn an_idle_task_with_a_small_future_fits_a_chunk_of_112_bytes() {
        assert!(size_of::<Header>() <= 40);
        assert_eq!(size_of::<Prefix>(), 88);
        type Small = core::future::Ready<u64>;
        assert_eq!(size_of::<Small>(), 16);
        assert_eq!(size_of::<Cell<Small, ()>>(), 104);
        assert_eq!(align_of::<Cell<Small, ()>>(), 8);
    }
}
