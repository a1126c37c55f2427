//! Taking a worker away from its thread in the middle of a poll, for a task that is about to block.
//!
//! The frame of the scope stays where it is, on the stack under the poll, but points to no core any
//! more. From then on its thread is a stranger to the scheduler: what it wakes and spawns goes to an
//! inbox, the task goes home by the return list when it is done, and the tick that polls it ends with
//! [`Tick::HandedOff`](crate::scheduler::Tick::HandedOff). Nothing in between keeps a reference to
//! the core, which may run, stop and be freed elsewhere before the poll is over: `Entered` borrows it
//! anew after each poll.
//!
//! Only a poll is such a place, and what a backend runs in
//! [`Entered::detachable`](super::Entered::detachable) between two ticks. The drop of a cancelled
//! future is not: the shutdown that cancels it goes on with the core afterwards.

use core::ptr;

use super::{Handle, Worker, core::Core};
use crate::{platform::Platform, scheduler::frame};

impl<P: Platform> Handle<P> {
    /// Runs a closure without this thread's worker, which the closure gets, to be run elsewhere.
    ///
    /// `None` if there is nothing to hand off: the thread is no worker of this scheduler, has lost
    /// its worker already, or is not in a poll. A worker of this scheduler that the closure returns
    /// becomes this thread's again; after a panic of the closure the thread has none.
    ///
    /// To be called on the thread of the worker, inside a task's poll or
    /// [`Entered::detachable`](super::Entered::detachable).
    ///
    /// # Panics
    /// If the worker that the closure returns belongs to another scheduler.
    pub fn detached<R>(
        &self,
        scope: impl FnOnce(Option<Worker<P>>) -> (Option<Worker<P>>, R),
    ) -> R {
        // SAFETY: the scope that the frame belongs to is below this call on the stack.
        let frame = unsafe { frame::with_worker_of::<P>(self.0.address()) };
        let Some(frame) = frame.filter(|frame| frame.is_detachable()) else {
            return scope(None).1;
        };
        // SAFETY: the frame points to its worker's core, which is alive.
        let holder = unsafe { &*frame.local().cast::<Core<P>>() }.holder.replace(ptr::null());
        // SAFETY: `Worker::enter` set it to the holder of the worker that it borrows for the scope,
        // and the scope lasts longer than this call.
        let holder = unsafe { &*holder };
        let Some(core) = holder.take() else { return scope(None).1 };
        frame.set_local(ptr::null());
        frame.set_detachable(false);

        let (returned, result) = scope(Some(Worker::of(self.0.clone(), core)));

        if let Some(worker) = returned {
            assert!(
                ptr::eq(worker.handle().0.address(), self.0.address()),
                "a worker was given back to another scheduler's thread"
            );
            if let Some(core) = worker.into_core() {
                holder.put(core);
                // SAFETY: the core is alive, and owned by the holder now.
                let entered = unsafe { core.as_ref() };
                entered.holder.set(holder);
                // Elsewhere it may have gone to sleep; here it is in the middle of a poll.
                entered.wake_up();
                entered.end_search();
                if !entered.stopped.get() {
                    frame.set_local(core.as_ptr().cast_const().cast());
                    frame.set_detachable(true);
                }
            }
        }
        result
    }
}
