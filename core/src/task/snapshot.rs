//! What can be said of a live task from outside.

use alloc::boxed::Box;
use core::panic::Location;

use super::id::Id;
use super::observer::TaskMeta;
use super::raw::RawTask;
use super::refs::{Member, Runnable};

/// A live task at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its id.
    pub id: Id,
    /// The name that it was spawned with.
    pub name: Option<Box<str>>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// What it was doing.
    pub state: TaskState,
}

/// What a live task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits to be woken.
    Idle,
    /// It has been woken and waits for its turn; or it is being polled on a thread that has handed
    /// its worker off.
    Scheduled,
    /// It is being polled.
    Running,
    /// It has been aborted, and its future is about to be dropped.
    Cancelling,
}

impl Member {
    /// Describes the task; `None` if it has completed. `running` are the ids of the tasks that are
    /// being polled.
    pub(crate) fn snapshot(&self, running: &[Id]) -> Option<Snapshot> {
        // SAFETY: the task is in an owned list, which keeps the cell alive during this call.
        let meta = unsafe { TaskMeta::new(self.0) };
        let (complete, cancelled, scheduled) = self.0.state().snapshot();
        let state = match (complete, cancelled, scheduled) {
            (true, ..) => return None,
            (_, true, _) => TaskState::Cancelling,
            (.., false) => TaskState::Idle,
            _ if running.contains(&meta.id()) => TaskState::Running,
            _ => TaskState::Scheduled,
        };
        let name = meta.name().map(Box::from);
        Some(Snapshot { id: meta.id(), name, spawned_at: meta.spawned_at(), state })
    }

    /// Keeps the cell of an idle task alive, also when the task ends and leaves the list. `None` if the
    /// task is not idle: then it may be about to complete elsewhere.
    pub(crate) fn hold_idle(&self) -> Option<Held> {
        self.0.state().hold_idle().then(|| Held(self.0))
    }
}

/// A reference to a task.
pub(crate) struct Held(RawTask);

// SAFETY: what is done with it is counting references, and claiming an idle task: its scheduler knows
// where it may do that.
unsafe impl Send for Held {}

impl Held {
    /// Claims the task for a poll that nobody has woken it for, if it is idle. From a thread that may
    /// poll it.
    pub(crate) fn claim(&self) -> Option<Runnable> {
        // SAFETY: by rule 1 the claim made the Runnable.
        self.0.state().claim_idle().then(|| unsafe { Runnable::new(self.0) })
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.0.state().is_complete()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: gives up the reference that this value is.
        unsafe { self.0.drop_reference() }
    }
}
