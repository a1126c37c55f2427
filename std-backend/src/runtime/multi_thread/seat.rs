//! A worker's loop: tick, look after the driver and the others, sleep.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use jenny_core::scheduler::{Tick, stealing};

use super::{super::timing::LoopTimers, Occupied, Team, Worker};
use crate::{
    context::{self, Running, RuntimeDriver, RuntimePlatform, worker},
    park::{Awoke, PERIOD, Parker, QUIET_PERIODS, SHORT_PERIOD},
    primitives::contain,
    stats::Recorder,
};

type Entered<'a> = stealing::Entered<'a, RuntimePlatform>;

/// What makes a thread a worker.
pub(super) struct Seat {
    worker: Worker,
    parker: Parker<RuntimeDriver>,
    /// Dropped last.
    occupied: Occupied,
}

/// What the code of a task may reach of its thread's seat.
pub(super) struct Desk {
    pub(super) team: Arc<Team>,
    timers: LoopTimers,
    /// `None` while it is in use, and after a hand-off.
    parker: Cell<Option<Parker<RuntimeDriver>>>,
    occupied: Cell<Option<Occupied>>,
    /// Whether this worker is on standby.
    standby: Cell<bool>,
    /// Looks in a row that found nobody awake.
    quiet: Cell<u32>,
    /// When this worker looks after the others next, in nanoseconds of the recorder's clock.
    look_at: Cell<u64>,
}

impl Seat {
    pub(super) fn new(worker: Worker, parker: Parker<RuntimeDriver>, team: &Arc<Team>) -> Self {
        Self { worker, parker, occupied: Occupied(Arc::clone(team)) }
    }

    /// Works on this thread until the worker has stopped or was handed off.
    pub(super) fn run(self) {
        self.run_between(|| {}, || {});
    }

    /// As [`run`](Self::run), with code to run first and last while the runtime is current.
    pub(super) fn run_between(self, first: impl FnOnce(), last: impl FnOnce()) {
        let Self { mut worker, parker, occupied } = self;
        let desk = Rc::new(Desk {
            team: Arc::clone(&occupied.0),
            timers: LoopTimers::new(&occupied.0.ambient, worker.index().unwrap_or_default()),
            parker: Cell::new(Some(parker)),
            occupied: Cell::new(Some(occupied)),
            standby: Cell::new(false),
            quiet: Cell::new(0),
            look_at: Cell::new(0),
        });
        {
            let _running = context::start_running(Running::Worker);
            let _current = context::set_current(&desk.team.ambient);
            let _worker = worker::set_worker(Rc::clone(&desk) as _);
            first();
            let mut over = false;
            while !over {
                // A panic that gets here is that of a waker which the driver called: go on.
                contain(|| {
                    worker.enter(|worker| desk.work(worker));
                    over = true;
                });
            }
            last();
        }
        // What this worker holds is given back before anybody hears that it has ended.
        drop((worker, desk.parker.take()));
        drop(desk);
    }
}

impl Desk {
    /// Takes what the worker needs on another thread.
    pub(super) fn clear(&self, worker: Worker) -> Option<Seat> {
        Some(Seat { worker, parker: self.parker.take()?, occupied: self.occupied.take()? })
    }

    /// Puts back what `clear` has taken.
    pub(super) fn restore(&self, seat: Seat) -> Worker {
        let Seat { worker, parker, occupied } = seat;
        self.parker.set(Some(parker));
        self.occupied.set(Some(occupied));
        worker
    }

    /// Ticks until the worker has stopped or was handed off.
    fn work(&self, worker: &Entered<'_>) {
        let Some(index) = worker.index() else { return };
        let mut recorder = self.team.ambient.stats.record(index, worker.polls());
        // The driver is turned inside the worker's scope: what its events wake stays on this worker.
        loop {
            self.timers.fire_due();
            match worker.tick() {
                Tick::Ran => {
                    let now = recorder.ran(worker.polls());
                    self.with_parker(Parker::turn_now);
                    self.look_after_the_others(worker, now);
                }
                Tick::Idle => self.sleep(worker, &mut recorder),
                Tick::Stopped | Tick::HandedOff => return,
            }
        }
    }

    /// The parker is in the desk whenever a task runs, and tasks run in ticks only.
    fn with_parker<R>(&self, f: impl FnOnce(&mut Parker<RuntimeDriver>) -> R) -> R {
        struct PutBack<'a>(&'a Desk, Option<Parker<RuntimeDriver>>);

        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.parker.set(self.1.take());
            }
        }

        let mut taken = PutBack(self, self.parker.take());
        f(taken.1.as_mut().expect("nobody parks inside of a park"))
    }

    fn is_alone(&self) -> bool {
        self.team.scheduler.workers() == 1
    }

    // ---- the others ----

    /// Takes over what stuck workers neglect, if the last look is long enough ago. True if there is
    /// something to run now.
    ///
    /// Everybody does so in passing, on standby or not: a worker that is woken more often than every
    /// [`PERIOD`] never sees its standby through.
    fn look_after_the_others(&self, worker: &Entered<'_>, now: u64) -> bool {
        if now < self.look_at.get() || self.is_alone() {
            return false;
        }
        let others = worker.look_after(|other| self.timers.fire_neglected(other));
        let period = if others.exposed { SHORT_PERIOD } else { PERIOD };
        self.look_at.set(now + period.as_nanos() as u64);
        let quiet = if others.awake == 0 { self.quiet.get() + 1 } else { 0 };
        self.quiet.set(quiet);
        others.work || worker.has_work()
    }

    /// Ends the standby if all workers have slept for a while.
    fn retire_after_a_while(&self) {
        if self.standby.get() && self.quiet.get() >= QUIET_PERIODS {
            let scheduler = &self.team.scheduler;
            let retired = self.team.standby.retire(|| scheduler.sleepers() == scheduler.workers());
            self.standby.set(!retired);
        }
    }

    // ---- asleep ----

    fn sleep(&self, worker: &Entered<'_>, recorder: &mut Recorder<'_>) {
        let team = &*self.team;
        team.hooks.thread_park();
        // The hook may have spawned, on this very worker.
        if !worker.has_work() {
            self.quiet.set(0);
            self.standby.set(!self.is_alone() && team.standby.join());
            let mut now = recorder.park(worker.polls());
            while !self.look_after_the_others(worker, now)
                && self.sleep_once(now) == Awoke::ByItself
            {
                self.retire_after_a_while();
                now = recorder.now();
            }
            now = recorder.unpark();
            worker.wake_up();
            if self.standby.replace(false) {
                team.standby.leave();
            }
            if !self.is_alone() && team.standby.is_vacant() {
                team.scheduler.recruit();
            }
            self.look_after_the_others(worker, now);
        }
        team.hooks.thread_unpark();
    }

    /// Sleeps until there is something to do, or the next look at the others is due.
    fn sleep_once(&self, now: u64) -> Awoke {
        let own_timers = self.timers.time_left();
        let look = Duration::from_nanos(self.look_at.get().saturating_sub(now));
        let limit = self.standby.get().then_some(look);
        match (own_timers, limit) {
            (Some(left), Some(look)) if look < left => self.with_parker(|p| p.park_timeout(look)),
            (None, limit) => self.with_parker(|parker| parker.park_for(limit)),
            (Some(left), _) => {
                // What fires then is work.
                self.with_parker(|parker| parker.park_timeout(left));
                Awoke::ForWork
            }
        }
    }
}
