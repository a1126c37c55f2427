//! What a backend owes, and the only place in this crate where the outside world is mentioned.
//!
//! A backend provides
//!
//! 1. one [`Platform`] value per scheduler: the lock, the way to wake a sleeping worker, one word of
//!    storage per thread or core, a seed, a supply of task ids, and what a panic does; if it likes, a
//!    clock by which thieves learn whether it pays to steal, and fences that spare workers
//!    read-modify-writes;
//! 2. a loop per worker that calls `tick` and parks when it is told to (`scheduler/README.md`);
//! 3. whatever the tasks wait for: sockets, interrupts, a clock that turns the wheels of
//!    [`time`](crate::time). The schedulers never learn of them.
//!
//! A platform is an *instance*, so that a seed, an id supply or a simulated machine can differ from
//! scheduler to scheduler; it is zero-sized on a microcontroller. Only the word per thread is
//! static, because a waker has to find it from anywhere.

use core::num::NonZeroU64;

use crate::lock::RawLock;

#[cfg(feature = "alloc")]
pub use crate::stock::Pocket;
pub use crate::{frame::Frame, payload::PanicPayload};

/// Everything a scheduler needs from the system it runs on.
///
/// # Safety
/// - [`slot`](Self::slot) returns what the last [`set_slot`](Self::set_slot) on the same thread or
///   core set, and null before the first. In an interrupt handler it returns null, whatever the
///   interrupted code had set: the handler may not touch what that code is using.
/// - [`catch`](Self::catch) runs the closure exactly once, on the calling thread, before it returns.
/// - [`task_ids`](Self::task_ids) never hands out the same id twice.
/// - Where [`has_fences`](Self::has_fences) has returned true: of two threads that each store to one place
///   and then load from the other's, one with a `light_fence` in between and one with a `heavy_fence` that
///   returns true, at least one sees the other's store.
/// - `pocket` returns null, or what is the calling thread's alone and stays until it ends: in an
///   interrupt handler it is not what the interrupted code may be using.
pub unsafe trait Platform: Sized + Send + Sync + 'static {
    /// Guards the few structures that are not lock-free.
    type Lock: RawLock;

    /// Guards what one worker locks again and again and others now and then: the same type will do, or
    /// one that costs the worker less.
    type OwnersLock: RawLock;

    /// Wakes one sleeping worker.
    type Unpark: Unpark;

    /// Whether the schedulers can trace where tasks wait. It costs code for each type of future.
    const TRACES: bool = false;

    /// How much memory of finished tasks a worker keeps for its next ones instead of asking the
    /// allocator each time.
    const KEEPS: Keeps = Keeps::NOTHING;

    /// Reads this thread's (or core's) word.
    fn slot() -> *const Frame;

    /// Replaces this thread's (or core's) word and returns what it was.
    ///
    /// # Safety
    /// The frame stays alive and in place until the word is replaced again.
    unsafe fn set_slot(frame: *const Frame) -> *const Frame;

    /// Runs the closure and turns a panic into its payload. Where panics do not unwind this is
    /// `Ok(f())`.
    ///
    /// # Errors
    /// The payload of the panic that the closure ended with.
    fn catch<R>(f: impl FnOnce() -> R) -> Result<R, PanicPayload>;

    /// Ends the program: an invariant is broken and no code may run on.
    fn abort() -> !;

    /// Any number that stays the same for the calling thread and differs between most threads. It
    /// chooses the inbox that the thread's wakes go to.
    fn affinity(&self) -> usize;

    /// A seed for the random choices of one worker.
    fn seed(&self) -> u64;

    /// Nanoseconds since any moment that stays the same: the time that passed between two calls on one
    /// thread. A worker asks after it has taken tasks from another one and when it has nothing left of
    /// them, to find out whether that was worth it. `None`: there is no such clock, or no need to ask.
    #[inline]
    fn nanos() -> Option<u64> {
        None
    }

    /// Lets another thread have this processor, if one waits for it. A worker asks for that when tasks
    /// which it took from another one have kept it busy for less time than it takes to move them, and
    /// that one has done nothing meanwhile: it may be here that it waits.
    #[inline]
    fn yield_now() {}

    /// Whether there is a pair of fences of which one costs nothing and the other pays for both, such as
    /// a compiler fence and a system call that has every processor execute a full one. A worker then
    /// needs no read-modify-write for the task that runs next. Each scheduler asks once; the answer is
    /// always the same.
    #[inline]
    fn has_fences() -> bool {
        false
    }

    /// The fence of a worker, which has to be cheap; only if there [are](Self::has_fences) fences.
    #[inline]
    fn light_fence() {}

    /// The fence of whoever [looks after](crate::scheduler::stealing::Handle::look_after) the workers; only
    /// if there are fences. False if there was none this time: whoever asked then does without what it
    /// came for.
    #[inline]
    fn heavy_fence() -> bool {
        false
    }

    /// Where this thread keeps memory of finished tasks for those that it spawns while it is no worker
    /// of their scheduler. Null: it keeps none.
    #[cfg(feature = "alloc")]
    #[inline]
    fn pocket() -> *const Pocket {
        core::ptr::null()
    }

    /// Reserves `count` consecutive task ids, unique in the process, and returns the first.
    fn task_ids(&self, count: u32) -> NonZeroU64;
}

/// How many bytes a worker keeps at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    /// While it has work, and of what it has asked the allocator for since it last gave some back.
    pub at_work: usize,
    /// In its sleep; if the backend lets it [linger](crate::scheduler::stealing::Entered::linger), in a
    /// long one.
    pub asleep: usize,
}

impl Keeps {
    /// Every task's memory comes from the allocator, and goes back to it.
    pub const NOTHING: Self = Self { at_work: 0, asleep: 0 };
}

/// Wakes one sleeping worker, from any thread, any core and any interrupt.
///
/// An unpark is sticky and idempotent: one that comes before the worker parks makes the next park
/// return at once, and two that come before a park count as one. What happened before `unpark`
/// happens before the park that it ends returns.
pub trait Unpark: Send + Sync + 'static {
    /// Wakes the worker, or makes its next park return at once.
    fn unpark(&self);
}
