//! Which wheel a timer belongs to.

#[cfg(feature = "embassy-time-driver")]
use std::sync::Arc;

use jenny_core::platform::{Platform, Unpark};

use super::{Ambient, RuntimeDriver, Scheduler, try_with};
#[cfg(feature = "embassy-time-driver")]
use crate::timekeeper::Wakes;
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

#[cfg(feature = "embassy-time-driver")]
impl Ambient {
    /// The wakers for one that is registered on this thread; `None` if this runtime might not wake
    /// it: it has no timers, or its only thread may be doing something else.
    fn wakes(&self) -> Option<&Arc<Wakes<WorkerLoop>>> {
        let wakes = self.time.wakes();
        match (&self.scheduler, self.scheduler.entered_worker()) {
            (_, Some(worker)) => wakes.get(worker),
            // Nobody else has this clock.
            (Scheduler::CurrentThread(_), None) => {
                wakes.first().filter(|wakes| wakes.home().clock().deviates())
            }
            #[cfg(feature = "rt-multi-thread")]
            (Scheduler::MultiThread(_), None) => {
                wakes.get(AnyRuntime::new().affinity() % wakes.len().max(1))
            }
        }
    }
}

/// The wakers for one that is registered on this thread, if the current runtime is sure to wake it.
#[cfg(feature = "embassy-time-driver")]
pub(crate) fn wakes() -> Option<Arc<Wakes<WorkerLoop>>> {
    try_with(|ambient| ambient.wakes().cloned()).ok().flatten()
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
