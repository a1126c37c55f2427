//! Which scheduler takes the local tasks of the current thread.
//!
//! The schedulers that have been entered are a stack, kept per thread and not on the threads' own,
//! because the guard of `LocalSet::enter` can be moved, leaked and dropped in any order. Entries
//! come in two kinds: that of a guard goes when the guard goes, wherever it is in the stack; that of
//! a poll takes along what was entered above it meanwhile, so that a guard which a future holds
//! across an `await` says nothing to the futures that are polled next.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr,
};

use jenny_core::{
    scheduler::local::Handle,
    task::{JoinHandle, Spawned},
};

use super::{
    RuntimePlatform,
    hold::{Hold, leave},
    travels_boxed,
};
use crate::{local_set::UnparkHosts, platform::Std};

/// The platform of a `LocalSet`.
pub(crate) type SetPlatform = Std<UnparkHosts>;

/// A scheduler whose tasks stay on the thread that has entered it.
#[derive(Clone)]
pub(crate) enum LocalScheduler {
    Set(Handle<SetPlatform>),
    Runtime(Handle<RuntimePlatform>),
}

struct Entry {
    id: u64,
    scheduler: LocalScheduler,
}

thread_local! {
    static ENTERED: Stack = const { Stack(RefCell::new(Vec::new())) };
    /// The scheduler of the last entry, or null. Without a destructor, so cheap to ask.
    static INNERMOST: Cell<*const LocalScheduler> = const { Cell::new(ptr::null()) };
    static NEXT_ID: Cell<u64> = const { Cell::new(0) };
    static DRIVER_IS_DUE: Cell<bool> = const { Cell::new(false) };
}

struct Stack(RefCell<Vec<Entry>>);

impl Stack {
    /// Changes the entries, which may move them.
    fn change<R>(&self, change: impl FnOnce(&mut Vec<Entry>) -> R) -> R {
        let mut entries = self.0.borrow_mut();
        let result = change(&mut entries);
        INNERMOST.set(entries.last().map_or(ptr::null(), |entry| &raw const entry.scheduler));
        result
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        INNERMOST.set(ptr::null());
    }
}

/// Keeps a local scheduler entered on its own thread.
#[must_use = "the scheduler is entered until this is dropped"]
pub(crate) struct LocalGuard {
    /// `None` if the thread is ending and has no stack any more.
    id: Option<u64>,
    with_all_above: bool,
    // Of what a guard gives, nothing is reached through a reference, so it is `Sync`.
    _not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

/// Enters a scheduler until the guard is dropped.
///
/// # Safety
/// The scheduler's worker stays on this thread until it has stopped.
pub(crate) unsafe fn enter(scheduler: LocalScheduler) -> LocalGuard {
    LocalGuard { id: push(scheduler), with_all_above: false, _not_send: PhantomData }
}

/// Enters a scheduler for a poll, or for another scope that ends before its caller does.
///
/// # Safety
/// As for [`enter`].
pub(crate) unsafe fn enter_scope(scheduler: LocalScheduler) -> LocalGuard {
    LocalGuard { id: push(scheduler), with_all_above: true, _not_send: PhantomData }
}

fn push(scheduler: LocalScheduler) -> Option<u64> {
    ENTERED
        .try_with(|entered| {
            let id = NEXT_ID.replace(NEXT_ID.get() + 1);
            entered.change(|entries| entries.push(Entry { id, scheduler }));
            id
        })
        .ok()
}

impl Drop for LocalGuard {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // Entries are dropped outside of the borrow: one may be the last handle of its scheduler.
        let take = |entries: &mut Vec<Entry>| {
            let place = entries.iter().rposition(|entry| entry.id == id)?;
            if self.with_all_above { entries.pop() } else { Some(entries.remove(place)) }
        };
        while let Ok(Some(entry)) = ENTERED.try_with(|entered| entered.change(take)) {
            leave(entry.scheduler);
        }
    }
}

/// Whether there is a local scheduler in which this thread would spawn local tasks.
#[cfg(feature = "rt-multi-thread")]
pub(crate) fn is_entered() -> bool {
    !INNERMOST.get().is_null()
}

/// Spawns on the innermost local scheduler of this thread.
///
/// # Panics
/// If there is none.
#[inline]
#[track_caller]
pub(crate) fn spawn<F>(future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let _hold = Hold::new();
    let innermost = INNERMOST.get();
    assert!(
        !innermost.is_null(),
        "`spawn_local` needs a scheduler that belongs to this thread: call it inside \
         `LocalSet::run_until`, with a guard of `LocalSet::enter` alive, or on the thread of a \
         `LocalRuntime`. A future that is `Send` can be given to `spawn`"
    );
    // SAFETY: it is that of the last entry, as each change of the entries says (`Stack`). This is a
    // second owner, which is never dropped; the first lives as long as the hold: it is still entered,
    // or left and kept. Whoever entered the scheduler on this thread keeps its worker here.
    unsafe { ManuallyDrop::new(innermost.read()).spawn(future, spawned) }
}

impl LocalScheduler {
    /// Spawns a task, in a box if its future is large.
    ///
    /// # Safety
    /// The scheduler's worker stays on this thread until it has stopped.
    #[inline]
    pub(crate) unsafe fn spawn<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        #[cfg(feature = "tracing")]
        let (future, spawned) =
            crate::trace::instrument(future, crate::trace::Kind::Local, spawned);
        if travels_boxed::<F>() {
            // SAFETY: passed on from the caller.
            unsafe { self.spawn_as_is(Box::pin(future), spawned) }
        } else {
            // SAFETY: as above.
            unsafe { self.spawn_as_is(future, spawned) }
        }
    }

    /// # Safety
    /// As for [`spawn`](Self::spawn).
    #[inline]
    unsafe fn spawn_as_is<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match self {
            // SAFETY: passed on from the caller.
            Self::Set(handle) => unsafe { handle.spawn_local_as(future, spawned) },
            // SAFETY: as above.
            Self::Runtime(handle) => unsafe { handle.spawn_local_as(future, spawned) },
        }
    }
}

/// Says that a poll of a local set has run as many tasks as a worker may between two turns of its
/// driver. Whoever polled it may not know: to a runtime it was one poll.
pub(crate) fn driver_is_due() {
    DRIVER_IS_DUE.set(true);
}

/// Whether the driver of this thread is due for the sake of a local set; it is answered once.
#[inline]
pub(crate) fn take_driver_is_due() -> bool {
    DRIVER_IS_DUE.replace(false)
}
