//! How the loop of a worker keeps time: it fires its wheel between ticks, and parks no longer than
//! until the next deadline. Why that misses nothing is argued in [`crate::timekeeper`].

#[cfg(feature = "time")]
use std::time::Duration;

use crate::{
    context::{Ambient, RuntimeDriver},
    park::Parker,
    primitives::unmodelled::Arc,
};
#[cfg(feature = "time")]
use crate::{
    context::{Home, RuntimeTimers, Scheduler, Wheel, WorkerLoop},
    park::Unparker,
    timekeeper::clock::{Clock, Refused},
};

/// What the builder was told about time.
#[cfg(feature = "time")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeSettings {
    pub(super) enable: bool,
    pub(super) start_paused: bool,
}

#[cfg(feature = "time")]
impl TimeSettings {
    /// Makes sure that the clock can start as it should.
    #[track_caller]
    pub(super) fn check(self, one_thread: bool) {
        assert!(one_thread || !self.start_paused, "{}", Refused::ManyThreads);
    }

    pub(super) fn timers(
        self,
        one_thread: bool,
        scheduler: &Scheduler,
        unparkers: Vec<Unparker<RuntimeDriver>>,
    ) -> RuntimeTimers {
        let clock = if self.start_paused { Clock::stopped() } else { Clock::new(one_thread) };
        let unparkers = if self.enable { unparkers } else { Vec::new() };
        RuntimeTimers::new(clock, WorkerLoop::all(scheduler, unparkers))
    }
}

/// Fires what a worker should have fired; true if it has timers that wait.
#[cfg(feature = "rt-multi-thread")]
pub(super) fn fire_neglected(_ambient: &Ambient, _worker: usize, _is_stuck: bool) -> bool {
    #[cfg(feature = "time")]
    return _ambient.time.wheels().get(_worker).is_some_and(|home| home.fire_neglected(_is_stuck));
    #[cfg(not(feature = "time"))]
    return false;
}

/// The timers of one worker, for its loop.
pub(super) struct LoopTimers {
    #[cfg(feature = "time")]
    ambient: Arc<Ambient>,
    #[cfg(feature = "time")]
    home: Option<Home>,
}

#[cfg(feature = "time")]
impl LoopTimers {
    pub(super) fn new(ambient: &Arc<Ambient>, worker: usize) -> Self {
        let home = ambient.time.wheels().get(worker).cloned();
        Self { ambient: Arc::clone(ambient), home }
    }

    /// Lets the calling thread have the wheel as its own.
    pub(super) fn own(&self) -> impl Sized {
        self.home.as_deref().map(Wheel::own)
    }

    /// Fires what is due. To be called between ticks.
    #[inline]
    pub(super) fn fire_due(&self) {
        if let Some(home) = &self.home {
            home.fire_due();
        }
    }

    /// As [`fire_due`](Self::fire_due); the closure is called if something is due, and fires it by
    /// what it is given.
    #[cfg(feature = "rt-multi-thread")]
    #[inline]
    pub(super) fn fire_due_around(&self, around: impl FnOnce(&mut dyn FnMut())) {
        if let Some(home) = &self.home {
            home.fire_due_around(around);
        }
    }

    /// The tick until which the worker may sleep for its own timers' sake; the last one for ever.
    #[cfg(feature = "rt-multi-thread")]
    pub(super) fn deadline(&self) -> u64 {
        self.home.as_deref().and_then(Wheel::deadline).unwrap_or(u64::MAX)
    }

    /// How long the worker may sleep for its own timers' sake; `None` for ever.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.home.as_deref().and_then(Wheel::time_left)
    }

    /// Parks until the next deadline at most. To be called after `Tick::Idle`.
    fn park(&self, parker: &mut Parker<RuntimeDriver>) -> bool {
        parker.park_for(self.time_left())
    }

    /// As [`park`](Self::park), on the only thread of a runtime. If the clock stands still and
    /// nothing else is going to happen, it jumps to the next deadline. True if I/O was dispatched.
    pub(super) fn park_or_advance(
        &self,
        parker: &mut Parker<RuntimeDriver>,
        is_idle: impl Fn() -> bool,
    ) -> bool {
        let clock = self.ambient.time.clock();
        if !clock.deviates() || !clock.is_stopped() {
            return self.park(parker);
        }
        // What the driver has to report happens before any deadline.
        let had_events = parker.park_for(Some(Duration::ZERO));
        if !is_idle() {
            return had_events;
        }
        // The last of these closures unparks this thread when it has ended, and so does whoever
        // moves the clock.
        if self.ambient.blocking.alive_jobs() > 0 {
            return parker.park_for(None);
        }
        match self.home.as_deref().and_then(Wheel::earliest) {
            None => return parker.park_for(None),
            Some(next) => clock.jump_to(next),
        }
        had_events
    }

    /// Ends all timers of the runtime. To be called when no worker will fire its wheel again.
    pub(super) fn close(&self) {
        self.ambient.time.close();
    }
}

#[cfg(not(feature = "time"))]
impl LoopTimers {
    pub(super) fn new(_ambient: &Arc<Ambient>, _worker: usize) -> Self {
        Self {}
    }

    pub(super) fn own(&self) -> impl Sized {}

    pub(super) fn fire_due(&self) {}

    #[cfg(feature = "rt-multi-thread")]
    pub(super) fn fire_due_around(&self, _around: impl FnOnce(&mut dyn FnMut())) {}

    #[cfg(feature = "rt-multi-thread")]
    pub(super) fn deadline(&self) -> u64 {
        u64::MAX
    }

    #[cfg(feature = "rt-multi-thread")]
    pub(super) fn time_left(&self) -> Option<std::time::Duration> {
        None
    }

    pub(super) fn park_or_advance(
        &self,
        parker: &mut Parker<RuntimeDriver>,
        _is_idle: impl Fn() -> bool,
    ) -> bool {
        parker.park_for(None)
    }

    pub(super) fn close(&self) {}
}
