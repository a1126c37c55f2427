//! A worker's loop: tick, look after the driver and the timers, sleep.

use std::{cell::Cell, rc::Rc};

use jenny_core::scheduler::{Tick, stealing};

use super::{super::timing::LoopTimers, Occupied, Team, Worker};
use crate::{
    context::{self, Running, RuntimeDriver, RuntimePlatform, worker},
    park::Parker,
    primitives::{contain, unmodelled::Arc},
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

impl Seat {
    /// Has the worker, which has never run, stop on this thread.
    pub(super) fn stop(self) {
        let Self { mut worker, parker, occupied } = self;
        let team = &occupied.0;
        team.scheduler.close();
        // What the drops of futures spawn or ask for is this runtime's.
        let _current = context::set_current(&team.ambient);
        // It has no tasks but those in the inboxes, so it waits for nobody.
        worker.enter(|worker| while worker.tick() != Tick::Stopped {});
        drop((worker, parker));
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
        let _own = self.timers.own();
        let mut recorder = self.team.ambient.stats.record(index, worker.polls());
        // The driver is turned inside the worker's scope: what its events wake stays on this worker.
        loop {
            self.timers.fire_due();
            match worker.tick() {
                Tick::Ran => {
                    recorder.ran(worker.polls());
                    self.with_parker(Parker::turn_now);
                }
                Tick::Idle => self.sleep(worker, index, &mut recorder),
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

    fn sleep(&self, worker: &Entered<'_>, index: usize, recorder: &mut Recorder<'_>) {
        let team = &*self.team;
        team.hooks.thread_park();
        // The hook may have spawned, on this very worker.
        if !worker.has_work() {
            recorder.park(worker.polls());
            let parked = team.monitor.as_ref().map(|monitor| monitor.parks(index));
            self.with_parker(|parker| parker.park_for(self.timers.time_left()));
            drop(parked);
            recorder.unpark();
            worker.wake_up();
        }
        team.hooks.thread_unpark();
    }
}
