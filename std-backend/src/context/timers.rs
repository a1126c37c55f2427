//! Which wheel a timer belongs to.

use jenny_core::platform::{Platform, Unpark};

use super::{Ambient, RuntimeDriver, Scheduler, try_with};
use crate::{
    park::Unparker,
    platform::AnyRuntime,
    timekeeper::{self, Owner, Timekeeper},
};

/// The timers of a runtime.
pub(crate) type RuntimeTimers = Timekeeper<WorkerLoop>;

/// The wheel of a worker.
pub(crate) type Home = timekeeper::Home<WorkerLoop>;

/// The loop of one worker.
pub(crate) struct WorkerLoop {
    scheduler: Scheduler,
    worker: usize,
    unparker: Unparker<RuntimeDriver>,
}

impl WorkerLoop {
    /// The loops of a runtime's workers, in their order.
    pub(crate) fn all(
        scheduler: &Scheduler,
        unparkers: impl IntoIterator<Item = Unparker<RuntimeDriver>>,
    ) -> impl Iterator<Item = Self> {
        unparkers.into_iter().enumerate().map(|(worker, unparker)| Self {
            scheduler: scheduler.clone(),
            worker,
            unparker,
        })
    }
}

impl Owner for WorkerLoop {
    // A worker that was handed to another thread is entered there, and no longer here.
    fn is_here(&self) -> bool {
        self.scheduler.entered_worker() == Some(self.worker)
    }

    fn unpark(&self) {
        self.unparker.unpark();
    }
}

impl Ambient {
    /// The wheel for a timer that is made on this thread; `None` if the runtime has no timers.
    fn home(&self) -> Option<&Home> {
        match self.time.wheels() {
            [] => None,
            [only] => Some(only),
            wheels => {
                let worker = self.scheduler.entered_worker();
                wheels.get(worker.unwrap_or_else(|| AnyRuntime::new().affinity() % wheels.len()))
            }
        }
    }
}

/// The wheel for a timer of the current runtime.
#[track_caller]
pub(crate) fn timer_home() -> Home {
    match try_with(|ambient| ambient.home().cloned()) {
        Ok(Some(home)) => home,
        Ok(None) => panic!(
            "the current jenny runtime has no timers: call `enable_time` or `enable_all` on its \
             runtime builder"
        ),
        Err(error) => panic!("{error}"),
    }
}
