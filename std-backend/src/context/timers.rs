//! Which wheel a timer belongs to.
//!
//! Many timers are made and never waited for: a time-out around what turns out to be ready. So a
//! timer notes the runtime where it is made, and gets a wheel when it begins to wait, the wheel of the
//! worker that polls.

#[cfg(feature = "embassy-time-driver")]
use std::sync::Arc;

use jenny_core::{
    platform::{Platform, Unpark},
    time::{self, Closed, Timers},
};

use super::{Ambient, Id, RuntimeDriver, Scheduler, current_pointer, listed, try_with};
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

/// The home of a timer that may not be waited for.
pub(crate) struct LateHome(Place);

enum Place {
    SomewhereIn(Id),
    Found(Home),
}

impl LateHome {
    /// In the current runtime.
    ///
    /// # Panics
    /// If there is none, or if it has no timers.
    #[track_caller]
    pub(crate) fn in_current() -> Self {
        match current_pointer() {
            // SAFETY: it is current, and nothing here changes that.
            Ok(ambient) => match unsafe { ambient.as_ref() } {
                Ambient { time, id, .. } if !time.wheels().is_empty() => {
                    Self(Place::SomewhereIn(*id))
                }
                _ => panic!(
                    "the current jenny runtime has no timers: call `enable_time` or `enable_all` on \
                     its runtime builder"
                ),
            },
            Err(error) => panic!("{error}"),
        }
    }

    /// The wheel, once it was found.
    pub(crate) fn found(&self) -> Option<&Home> {
        match &self.0 {
            Place::SomewhereIn(_) => None,
            Place::Found(home) => Some(home),
        }
    }

    /// The wheel for a timer that begins to wait on this thread, if it is not there already: the one
    /// of the worker that polls, so that no other has to be told.
    ///
    /// # Errors
    /// [`Closed`] if the runtime is gone.
    pub(crate) fn follow(&self) -> Result<Option<Self>, Closed> {
        let here = try_with(|ambient| {
            let is_ours = match &self.0 {
                Place::SomewhereIn(runtime) => *runtime == ambient.id,
                Place::Found(home) => home.is_of(&ambient.time),
            };
            ambient.home().filter(|here| is_ours && !self.is(here)).cloned()
        });
        let home = match (&self.0, here) {
            (_, Ok(Some(here))) => here,
            (Place::Found(_), _) => return Ok(None),
            // Made in one runtime and polled in another, or outside of all.
            (&Place::SomewhereIn(runtime), _) => {
                let ambient = listed::find(runtime).ok_or(Closed)?;
                ambient.home().ok_or(Closed)?.clone()
            }
        };
        Ok(Some(Self(Place::Found(home))))
    }

    fn is(&self, other: &Home) -> bool {
        self.found().is_some_and(|home| home.is(other))
    }
}

// SAFETY: once it was found, the home is that home; before, there are no timers to get.
unsafe impl time::Home for LateHome {
    type Lock = <Home as time::Home>::Lock;

    #[inline]
    fn timers(&self) -> &Timers<Self::Lock> {
        self.found().expect(FOUND).timers()
    }

    #[inline]
    fn earlier(&self) {
        self.found().expect(FOUND).earlier();
    }
}

const FOUND: &str = "the home is found before the timer registers";
