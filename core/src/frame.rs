//! What the current thread or core is doing on behalf of a scheduler.
//!
//! [`Platform::slot`] points to the innermost [`Frame`] of the thread. A frame lives on the stack of
//! the closure that entered it, is not generic (any runtime may be nested inside any other), and is
//! only ever looked at by its own thread.

use core::{cell::Cell, marker::PhantomData, num::NonZeroU64, ptr};

use crate::platform::Platform;

/// How many ready results a task may take from our resources in one poll before it has to yield.
pub(crate) const BUDGET: u8 = 128;

/// The innermost scope of a scheduler on this thread.
///
/// Backends only pass pointers to frames around; [`Current`](crate::scheduler::Current) reads them.
#[derive(Debug)]
pub struct Frame {
    /// The address of the scheduler's shared part: its identity.
    scheduler: *const (),
    /// The owner-only state of the worker that runs here; null while this thread has none, and in
    /// the scope of a root future.
    local: Cell<*const ()>,
    /// The task that is being polled or dropped.
    task: Cell<Option<NonZeroU64>>,
    /// What is left of the poll's budget; `None` where nothing limits it.
    budget: Cell<Option<u8>>,
    /// The worker may be taken out of this scope now: a task is being polled, and nothing between
    /// the poll and the scope holds a reference to the worker's state.
    detachable: Cell<bool>,
    /// The cell of the task that is being polled; null outside of polls.
    polled: Cell<*const ()>,
    /// How many more tasks the tick of this scope may run.
    left: Cell<u32>,
    /// A resource was refused a unit of the budget in this poll.
    refused: Cell<bool>,
    /// The frame that this one was entered from.
    outer: Cell<*const Frame>,
}

impl Frame {
    pub(crate) fn new(scheduler: *const (), local: *const ()) -> Self {
        Self {
            scheduler,
            local: Cell::new(local),
            task: Cell::new(None),
            budget: Cell::new(None),
            detachable: Cell::new(false),
            polled: Cell::new(ptr::null()),
            left: Cell::new(0),
            refused: Cell::new(false),
            outer: Cell::new(ptr::null()),
        }
    }

    pub(crate) fn scheduler(&self) -> *const () {
        self.scheduler
    }

    pub(crate) fn local(&self) -> *const () {
        self.local.get()
    }

    /// Says that this thread gave up its worker, or got one.
    pub(crate) fn set_local(&self, local: *const ()) {
        self.local.set(local);
    }

    pub(crate) fn is_detachable(&self) -> bool {
        self.detachable.get()
    }

    pub(crate) fn set_detachable(&self, detachable: bool) {
        self.detachable.set(detachable);
    }

    pub(crate) fn outer(&self) -> *const Frame {
        self.outer.get()
    }

    pub(crate) fn set_outer(&self, outer: *const Frame) {
        self.outer.set(outer);
    }

    pub(crate) fn task(&self) -> Option<NonZeroU64> {
        self.task.get()
    }

    pub(crate) fn budget(&self) -> Option<u8> {
        self.budget.get()
    }

    pub(crate) fn set_budget(&self, budget: Option<u8>) {
        self.budget.set(budget);
    }

    /// Notes that the task was told to yield.
    pub(crate) fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether a resource was refused a unit since the last call.
    #[inline]
    pub(crate) fn take_refusal(&self) -> bool {
        self.refused.get() && self.refused.replace(false)
    }

    /// Begins a tick of so many tasks.
    pub(crate) fn start_tick(&self, tasks: u32) {
        self.left.set(tasks);
    }

    /// Counts a task of the tick: how many may follow it; `None` if the tick is over.
    #[inline]
    pub(crate) fn count_task(&self) -> Option<u32> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        Some(left)
    }

    /// No task follows the one that is running.
    pub(crate) fn end_tick(&self) {
        self.left.set(0);
    }

    /// Starts the work on a task with a fresh budget.
    #[inline]
    pub(crate) fn start_task(&self, id: NonZeroU64) {
        self.task.set(Some(id));
        self.budget.set(Some(BUDGET));
    }

    /// Begins a poll of the task with this cell.
    #[inline]
    pub(crate) fn start_poll(&self, cell: *const ()) {
        self.polled.set(cell);
    }

    /// Ends a poll.
    #[inline]
    pub(crate) fn end_poll(&self) {
        self.polled.set(ptr::null());
    }

    /// Whether the task with this cell, which is not null, is being polled.
    #[inline]
    pub(crate) fn is_polling(&self, cell: *const ()) -> bool {
        ptr::eq(self.polled.get(), cell) && !cell.is_null()
    }

    /// Goes on with what another frame works on, and with its budget.
    pub(crate) fn adopt(&self, other: &Self) {
        self.task.set(other.task.get());
        self.budget.set(other.budget.get());
    }

    /// Ends the work on a task.
    #[inline]
    pub(crate) fn end_task(&self) {
        self.task.set(None);
        self.budget.set(None);
    }
}

/// Enters a scope: until the closure ends, this thread acts for the scheduler.
pub(crate) fn enter<P: Platform, R>(
    scheduler: *const (),
    local: *const (),
    scope: impl FnOnce(&Frame) -> R,
) -> R {
    struct Restore<P: Platform>(*const Frame, PhantomData<P>);

    impl<P: Platform> Drop for Restore<P> {
        fn drop(&mut self) {
            // SAFETY: the outer frame is on this thread's stack, below the one that ends here.
            unsafe { P::set_slot(self.0) };
        }
    }

    let frame = Frame::new(scheduler, local);
    // SAFETY: the frame stays in place until `Restore` has put the outer one back.
    let outer = unsafe { P::set_slot(&raw const frame) };
    frame.set_outer(outer);
    let _restore = Restore::<P>(outer, PhantomData);
    scope(&frame)
}

/// Runs the closure for a task that nobody is polling: it has an id, and no budget.
pub(crate) fn enter_task<P: Platform, R>(id: NonZeroU64, run: impl FnOnce() -> R) -> R {
    enter::<P, _>(ptr::null(), ptr::null(), |frame| {
        frame.task.set(Some(id));
        run()
    })
}
