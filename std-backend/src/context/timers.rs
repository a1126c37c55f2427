//! Which wheel a timer belongs to.
//!
//! Many timers are made and never waited for: a time-out around what turns out to be ready. So a
//! timer notes the runtime where it is made, and gets a wheel when it begins to wait, the wheel of the
//! worker that polls.

#[cfg(feature = "embassy-time-driver")]
use std::sync::Arc;
use std::{ptr::NonNull, task::Waker};

use jenny_core::{
    platform::{Platform, Unpark},
    scheduler::Current,
    time::{self, Closed, Timers},
};

#[cfg(feature = "embassy-time-driver")]
use super::try_with;
use super::{Ambient, Id, NoContext, RuntimeDriver, Scheduler, current_pointer, listed};
#[cfg(feature = "embassy-time-driver")]
use crate::timekeeper::Wakes;
use crate::{
    park::Unparker,
    platform::AnyRuntime,
    timekeeper::{self, Owner, Timekeeper, clock::Clock},
};

/// The timers of a runtime.
pub(crate) type RuntimeTimers = Timekeeper<WorkerLoop>;

/// The wheel of a worker.
pub(crate) type Wheel = timekeeper::Wheel<WorkerLoop>;

/// A handle to it.
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

    fn has_timers(&self) {
        self.scheduler.company().comes();
    }
}

impl Ambient {
    /// The wheel for a timer that begins to wait on this thread; `None` if the runtime has no timers.
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

/// The home of a timer that may not be waited for: a runtime, and a wheel of its once it waits.
///
/// It keeps neither of them alive, so that nobody counts. A wheel is as old as its runtime, which is
/// alive where it is current; a timer that is polled or dropped elsewhere looks for it in the list of all
/// runtimes, and one that is not there any more has closed its wheels before it left.
#[derive(Clone, Copy)]
pub(crate) struct LateHome {
    runtime: Id,
    wheel: Option<NonNull<Wheel>>,
}

// SAFETY: it is an address and the right to ask whether there still is something at it; wheels are
// `Sync`.
unsafe impl Send for LateHome {}
// SAFETY: as above.
unsafe impl Sync for LateHome {}

impl LateHome {
    /// In the current runtime.
    ///
    /// # Panics
    /// If there is none, or if it has no timers.
    #[inline]
    #[track_caller]
    pub(crate) fn in_current() -> Self {
        // SAFETY: it is current, and nothing here changes that.
        match current_pointer().map(|ambient| unsafe { ambient.as_ref() }) {
            Ok(Ambient { time, id, .. }) if !time.wheels().is_empty() => {
                Self { runtime: *id, wheel: None }
            }
            other => no_timers(other.err()),
        }
    }

    /// The home of a timer that begins to wait on this thread, in the wheel of the worker that polls, so
    /// that no other has to be told; and what the closure makes of the runtime's clock, which it reaches
    /// sooner than the wheel. It runs nobody's code.
    ///
    /// # Errors
    /// [`Closed`] if the runtime is gone.
    #[inline]
    pub(crate) fn settle<R>(self, look: impl FnOnce(&Clock) -> R) -> Result<(Self, R), Closed> {
        let found;
        let ambient = match self.current() {
            Some(ambient) => ambient,
            None => {
                // Made in one runtime and polled in another, or outside of all.
                found = listed::find(self.runtime).ok_or(Closed)?;
                &found
            }
        };
        let home = ambient.home().ok_or(Closed)?;
        Ok((Self { wheel: Some(NonNull::from(&**home)), ..self }, look(ambient.time.clock())))
    }

    /// What the closure makes of the wheel of a timer that waits; `None` if it is gone. It runs nobody's
    /// code.
    #[inline]
    pub(crate) fn with_wheel<R>(self, look: impl FnOnce(&Wheel) -> R) -> Option<R> {
        let wheel = self.wheel?;
        if self.current().is_none() {
            return self.with_wheel_elsewhere(wheel, look);
        }
        // SAFETY: it is one of the runtime's wheels, which are as old as the runtime. That stays current
        // here until the closure, which is ours, returns.
        Some(look(unsafe { wheel.as_ref() }))
    }

    #[cold]
    #[inline(never)]
    fn with_wheel_elsewhere<R>(
        self,
        wheel: NonNull<Wheel>,
        look: impl FnOnce(&Wheel) -> R,
    ) -> Option<R> {
        let _timers = listed::timers(self.runtime)?;
        // SAFETY: it is one of these timers' wheels, which are kept until the closure returns.
        Some(look(unsafe { wheel.as_ref() }))
    }

    /// The runtime, if it is current.
    #[inline]
    fn current(&self) -> Option<&Ambient> {
        // SAFETY: the callers use it only as long as nothing changes what is current.
        let ambient = unsafe { current_pointer().ok()?.as_ref() };
        (ambient.id == self.runtime).then_some(ambient)
    }
}

#[cold]
#[track_caller]
fn no_timers(error: Option<NoContext>) -> ! {
    match error {
        Some(error) => panic!("{error}"),
        None => panic!(
            "the current jenny runtime has no timers: call `enable_time` or `enable_all` on its \
             runtime builder"
        ),
    }
}

// SAFETY: a home that is set for a timer to register is that of one wheel, which does not move. It is
// gone only with its runtime, which closes its timers before it leaves the list (`Listed`); so whoever
// does not find it there comes after that.
unsafe impl time::Home for LateHome {
    type Lock = <Home as time::Home>::Lock;

    #[inline]
    fn with<R>(&self, use_timers: impl FnOnce(&Timers<Self::Lock>) -> R) -> Option<R> {
        self.with_wheel(|wheel| use_timers(wheel.timers()))
    }

    #[cold]
    fn earlier(&self) {
        let _ = self.with_wheel(Wheel::call_owner);
    }

    #[inline]
    fn clone_waker(waker: &Waker) -> Waker {
        Current::<AnyRuntime>::clone_waker(waker)
    }

    #[inline]
    fn drop_waker(waker: Waker) {
        Current::<AnyRuntime>::drop_waker(waker);
    }
}
