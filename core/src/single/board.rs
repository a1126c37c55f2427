//! What a board owes an executor.

use core::fmt;

use super::thread_mode::{THREAD_MODE, ThreadMode};

/// The chip below an [`Executor`](super::Executor): a type without fields, as a rule.
///
/// Only [`wait`](Self::wait) has to be written.
///
/// On RISC-V with atomic instructions, neither an interrupt nor its return has to end a reservation, and
/// a handler may come into the middle of an exchange of the code below. A wake ends it by an SC of its
/// own. A handler that only clones or drops wakers of tasks on the heap has to execute one, as the
/// privileged ISA says of MRET.
pub trait Board: Send + Sync + 'static {
    /// Sleeps until an interrupt is pending.
    ///
    /// Called with interrupts masked, and after the queues were found empty under that mask. So an
    /// interrupt that would have woken a task since then is pending, and WFI returns at once: both
    /// Arm's and RISC-V's end with a pending interrupt that is masked. Do not unmask here; the
    /// executor does, the handler runs, and the executor looks again.
    ///
    /// It may return at any time for no reason, and has to at [`Idle::until`], at once if that has
    /// passed. On a system with threads it may block until
    /// [`pend`](Self::pend), if that is sticky.
    fn wait(&self, idle: Idle<'_>);

    /// A task was queued where there was none, or the executor was closed.
    ///
    /// From any interrupt or thread, sometimes with interrupts masked; it may only set something
    /// pending. In thread mode the interrupt that woke the task has ended the sleep already, and
    /// there is nothing to do. An executor at interrupt priority sets its interrupt pending. With
    /// threads, unpark the one that waits.
    fn pend(&self) {}

    /// Turns what the board drives, timers for instance. Called between the rounds of tasks and
    /// before each sleep, with interrupts as they are; it may wake and spawn.
    fn turn(&self) {}

    /// When [`turn`](Self::turn) has to be called next, in ticks of the board's own clock: what
    /// [`Idle::until`] says. Called with interrupts masked.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Where the executor runs, if not in an interrupt: by default in thread mode of the only core.
    /// With an executor on each of several cores or threads, each needs one of its own.
    fn thread_mode(&self) -> &ThreadMode {
        &THREAD_MODE
    }

    /// A counter that runs all the time and wraps around, to time polls with.
    fn cycles(&self) -> u32 {
        0
    }
}

/// The evidence that nothing is runnable, and that no interrupt can change that: they are masked for
/// as long as this value is borrowed.
#[derive(Clone, Copy)]
pub struct Idle<'a> {
    masked: critical_section::CriticalSection<'a>,
    until: Option<u64>,
}

impl<'a> Idle<'a> {
    pub(super) fn new(masked: critical_section::CriticalSection<'a>, until: Option<u64>) -> Self {
        Self { masked, until }
    }

    /// What [`Board::deadline`] said under the mask.
    pub fn until(self) -> Option<u64> {
        self.until
    }

    /// The critical section, for what the board keeps in a `critical_section::Mutex`.
    pub fn cs(self) -> critical_section::CriticalSection<'a> {
        self.masked
    }
}

impl fmt::Debug for Idle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("until", &self.until).finish_non_exhaustive()
    }
}
