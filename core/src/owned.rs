//! Lists of all live tasks, so that every one can be cancelled.
//!
//! Each worker has a list of its own, and only that worker touches it: inserting and removing is
//! plain pointer work. A task is bound to a worker's list once, before its first poll. If it
//! completes somewhere else, whoever completed it pushes it on the owner's return list, and the
//! owner unlinks it when it comes by. A joined task that completes on its owner leaves the list before
//! that: nothing but the completing exchange comes between, so nobody looks for it there.
//!
//! ```text
//!   owner:      bind ──▶ LocalOwnedTasks ──▶ remove, or leave
//!                               ▲
//!                               │ collect
//!   others:     give_back ──▶ OwnedTasks (return list)
//! ```
//!
//! # Closing
//!
//! An owner may not stop before its list is empty, and may sleep until it is. So a return during
//! closing has to wake it, and outside closing it should cost no wake-up. Both sides store, fence and
//! load (the store-buffering pattern; with a `SeqCst` fence on each side at least one of them sees
//! the other's store):
//!
//! | who completed the task elsewhere | who closes |
//! |---|---|
//! | push on the return list | `closing = true` |
//! | fence | fence |
//! | load `closing`: if set, unpark the owner | the owner collects the return list |
//!
//! If the pusher does not see `closing`, the owner's collection sees the push.

use core::{cell::Cell, fmt, ptr::NonNull};

use crate::{
    list::{Linked, List, Pointers},
    queue::Inbox,
    sync::{AtomicBool, Ordering, UnsafeCell, const_unless_checked, fence},
    task::{Header, Member, OwnedRef, RawTask, Runnable},
};

/// The part of a worker's list that other threads may use: completed tasks on their way home.
#[derive(Debug)]
pub struct OwnedTasks {
    returns: Inbox<OwnedRef>,
    closing: AtomicBool,
}

impl Default for OwnedTasks {
    fn default() -> Self {
        Self::new()
    }
}

impl OwnedTasks {
    /// An open, empty return list.
    pub fn new() -> Self {
        Self { returns: Inbox::new(), closing: AtomicBool::new(false) }
    }

    /// Brings a completed task back to its owner. True if the owner may be waiting for it, and has
    /// to be unparked. From any thread.
    #[must_use]
    pub fn give_back(&self, done: OwnedRef) -> bool {
        // The list is never closed: an owner that stopped has nothing left to be returned.
        let pushed = self.returns.push(done);
        debug_assert!(pushed.is_ok());
        // Ordering: pairs with the fence in `close` (the table above).
        fence(Ordering::SeqCst);
        self.closing.load(Ordering::Relaxed)
    }

    /// From now on returned tasks wake their owner. From any thread.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        // Ordering: pairs with the fence in `give_back`.
        fence(Ordering::SeqCst);
    }

    /// Whether no task waits to be unlinked.
    pub fn is_empty(&self) -> bool {
        self.returns.is_empty()
    }
}

/// The list has been closed: no task can be bound any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scheduler is shutting down")
    }
}

impl core::error::Error for Closed {}

/// The list of a task's owner.
pub(crate) struct Link;

// SAFETY: the pointers are a field of the cell, reached without making a reference to the cell; a
// task in a list is kept alive by the list's reference (rule 4 of `task/state.rs`).
unsafe impl Linked for Link {
    type Handle = RawTask;
    type Target = Header;

    fn into_raw(task: RawTask) -> NonNull<Header> {
        task.pointer()
    }

    unsafe fn from_raw(header: NonNull<Header>) -> RawTask {
        // SAFETY: the pointer came from `into_raw`, and the list keeps the cell alive.
        unsafe { RawTask::new(header) }
    }

    unsafe fn pointers(header: NonNull<Header>) -> NonNull<Pointers<Header>> {
        // SAFETY: as above.
        unsafe { RawTask::new(header) }.owned_pointers()
    }
}

/// The list itself, for its owner only (`!Sync`).
pub struct LocalOwnedTasks {
    owner: u16,
    list: UnsafeCell<List<Link>>,
    len: Cell<usize>,
    closed: Cell<bool>,
}

// SAFETY: the list is a set of pointers to tasks, each of which may be touched from any thread; that
// only one thread at a time has the list is what `!Sync` says.
unsafe impl Send for LocalOwnedTasks {}

impl LocalOwnedTasks {
    const_unless_checked! {
        /// An open, empty list of the worker with this index.
        pub fn new(owner: u16) -> Self {
            Self {
                owner,
                list: UnsafeCell::new(List::new()),
                len: Cell::new(0),
                closed: Cell::new(false),
            }
        }
    }

    /// Runs the closure on the list. It runs no user code, so it is not entered twice.
    fn with<R>(&self, f: impl FnOnce(&mut List<Link>) -> R) -> R {
        self.list.with_mut(|list| {
            // SAFETY: the list is `!Sync`, and the closures of this file do not come back here.
            f(unsafe { &mut *list })
        })
    }

    /// Takes a task that no list has yet.
    ///
    /// # Errors
    /// [`Closed`]: the task is to be cancelled by the caller.
    #[inline]
    pub fn bind(&self, task: &Runnable) -> Result<(), Closed> {
        debug_assert!(task.owner().is_none(), "bound twice");
        if self.closed.get() {
            return Err(Closed);
        }
        task.set_owner(self.owner);
        self.with(|list| list.push_front(task.raw()));
        self.len.set(self.len.get() + 1);
        Ok(())
    }

    /// Unlinks a completed task of this list.
    ///
    /// # Panics
    /// If the task is bound to another list: unlinking it here would corrupt both.
    #[inline]
    pub fn remove(&self, done: OwnedRef) {
        assert!(done.is_owned_by(self.owner), "a task was removed from a list it is not in");
        // SAFETY: the task was bound here (checked), and it is removed once, because there is one
        // OwnedRef.
        unsafe { self.unlink(done.raw()) }
    }

    /// Unlinks a task of this list, and leaves the list's reference to the caller; false if it is not
    /// bound to this list.
    ///
    /// # Safety
    /// The task completes before its `Runnable` is used for anything else.
    #[inline]
    pub(crate) unsafe fn leave(&self, task: &Runnable) -> bool {
        let is_ours = task.is_owned_by(self.owner);
        if is_ours {
            // SAFETY: the task was bound here (checked), and is still in the list: who completes it is
            // the only one who takes it out.
            unsafe { self.unlink(task.raw()) }
        }
        is_ours
    }

    /// Takes a task out, and leaves the list's reference to the caller.
    ///
    /// # Safety
    /// The task is in this list.
    #[inline]
    unsafe fn unlink(&self, task: RawTask) {
        // SAFETY: the task is in this list, passed on from the caller.
        let removed = self.with(|list| unsafe { list.remove(task.pointer()) });
        debug_assert!(removed.is_some());
        self.len.set(self.len.get() - 1);
    }

    /// Unlinks what came back from others.
    #[inline]
    pub fn collect(&self, shared: &OwnedTasks) {
        if shared.is_empty() {
            return;
        }
        for done in shared.returns.drain().into_batch() {
            self.remove(done);
        }
    }

    /// Closes the list and cancels its tasks: those that are idle here and now, the others as soon as
    /// whoever holds their `Runnable` would poll them. `cancelled` takes the completed tasks back.
    ///
    /// The list is [empty](Self::is_empty) once these have come back, too.
    pub fn close(&self, cancelled: impl Fn(OwnedRef)) {
        self.closed.set(true);
        // Nothing can be bound from here on, so turning the list once over its present length visits
        // every task, whatever the drops of futures remove meanwhile.
        for _ in 0..self.len.get() {
            let Some(task) = self.rotate() else { break };
            // The list's reference keeps the task alive; user code runs only once it is claimed.
            if let Some(runnable) = Member(task).claim() {
                cancelled(runnable.cancel());
            }
        }
    }

    /// Calls the closure with each task, which the list keeps alive meanwhile, and without having the
    /// list in use.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Member)) {
        for _ in 0..self.len.get() {
            let Some(task) = self.rotate() else { break };
            visit(Member(task));
        }
    }

    /// Moves the first task to the end.
    fn rotate(&self) -> Option<RawTask> {
        self.with(|list| {
            let task = list.pop_back()?;
            list.push_front(task);
            Some(task)
        })
    }

    /// Whether [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether no live task is bound here.
    pub fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// The number of tasks bound here that have not been unlinked.
    pub fn len(&self) -> usize {
        self.len.get()
    }
}

impl fmt::Debug for LocalOwnedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalOwnedTasks")
            .field("owner", &self.owner)
            .field("len", &self.len.get())
            .field("closed", &self.closed.get())
            .finish()
    }
}
