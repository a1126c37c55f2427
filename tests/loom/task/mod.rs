//! The task system, with a queue in the place of a scheduler.

mod abort;
mod join;
mod references;
mod wake;

use std::{
    array,
    cell::Cell,
    future::Future,
    num::NonZeroU64,
    panic::Location,
    pin::Pin,
    ptr::NonNull,
    sync::{
        Arc as StdArc, Mutex as StdMutex,
        atomic::{AtomicUsize as Count, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use jenny_core::{
    platform::Platform as _,
    queue::Inbox,
    scheduler::local,
    task::{self, JoinHandle, Outcome, OwnedRef, Runnable, Schedule},
};
use loom::{
    alloc::Track,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::platform::{Modelled, Parker};

loom::thread_local! {
    static IS_LOCAL: Cell<bool> = Cell::new(false);
}

/// A scheduler that only queues: whoever likes runs what is queued, on whatever thread. Its count
/// is loom's `Arc`, which reports a leak.
pub(crate) struct Queue {
    tasks: Inbox<Runnable>,
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { tasks: Inbox::new() })
    }

    pub(crate) fn spawn<F>(self: &Arc<Self>, future: F) -> (Runnable, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let counted = NonNull::new(Arc::into_raw(Arc::clone(self)).cast_mut()).unwrap();
        // SAFETY: the count was taken; future and output are `Send` and `'static`.
        unsafe { task::new(future, counted, id(), Location::caller()) }
    }

    /// Spawns a task and polls it once, after which it waits.
    fn spawn_asleep<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (runnable, join) = self.spawn(future);
        assert!(matches!(runnable.run(), Outcome::Idle));
        join
    }

    /// Takes what is queued.
    pub(crate) fn take(&self) -> impl Iterator<Item = Runnable> {
        self.tasks.drain().into_batch()
    }

    /// Runs what is queued.
    fn run(&self) {
        self.take().for_each(run);
    }

    /// Makes the calling thread the scheduler's own.
    fn enter(&self) {
        IS_LOCAL.with(|is_local| is_local.set(true));
    }
}

// SAFETY: a queued Runnable is kept until it is taken; all futures are `Send`; the cells are
// counted by the `Arc`.
unsafe impl Schedule for Queue {
    type Platform = Modelled;

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        // SAFETY: the caller keeps the queue alive until this returns.
        let pushed = unsafe { this.as_ref() }.tasks.push(task);
        assert!(pushed.is_ok(), "the queue is never closed");
    }

    unsafe fn retire(_: NonNull<Self>, done: OwnedRef) {
        drop(done);
    }

    fn is_local(_: NonNull<Self>) -> bool {
        IS_LOCAL.with(Cell::get)
    }

    unsafe fn release(this: NonNull<Self>) {
        // SAFETY: the count was the cell's, and came from `into_raw`.
        drop(unsafe { Arc::from_raw(this.as_ptr().cast_const()) });
    }

    fn charge() -> bool {
        true
    }
}

/// An id for a task that no scheduler made. Only a scheduler can make one.
fn id() -> task::Id {
    let (handle, worker) =
        local::new(Modelled::new(0), Parker::new().unparker(), &local::Config::default());
    let id = handle.spawn(async {}).id();
    drop((handle, worker, NonZeroU64::MIN, Modelled::slot()));
    id
}
