//! A worker's loop: tick, look after the driver and the timers, sleep.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use jenny_core::scheduler::{Tick, stealing};

use super::{super::timing::LoopTimers, Occupied, Team, Worker};
use crate::{
    context::{self, Running, RuntimeDriver, RuntimePlatform, worker},
    park::{Parker, Rush, Streak},
    primitives::{contain, unmodelled::Arc},
    stats::Recorder,
};

type Entered<'a> = stealing::Entered<'a, RuntimePlatform>;

/// How long a worker keeps the memory of a burst of tasks for the next one, if that does not come.
const LINGER: Duration = Duration::from_millis(50);

/// What makes a thread a worker.
pub(super) struct Seat {
    worker: Worker,
    parker: Parker<RuntimeDriver>,
    /// What its thread sleeps in while others may have the seat, if they may. It stays with that
    /// thread then.
    bed: Option<Parker<RuntimeDriver>>,
    /// The tick until which that thread sleeps.
    wakes_at: u64,
    /// Dropped last.
    occupied: Occupied,
}

/// What the code of a task may reach of its thread's seat.
pub(super) struct Desk {
    pub(super) team: Arc<Team>,
    pub(super) timers: LoopTimers,
    /// `None` while it is in use, and after a hand-off.
    parker: Cell<Option<Parker<RuntimeDriver>>>,
    /// As the parker, and `None` if seats are not lent, or if this thread is a guest.
    bed: Cell<Option<Parker<RuntimeDriver>>>,
    /// The tick until which the worker's own thread sleeps, if this is another.
    wakes_at: Cell<u64>,
    occupied: Cell<Option<Occupied>>,
    has_slept: Cell<bool>,
    /// Since when the worker, which then went to sleep, has had more memory than it may keep for long.
    hoards_since: Cell<Option<Instant>>,
    rush: Rush,
    own_alone: Streak,
    /// How long the worker leaves the tasks of others alone.
    rests: Cell<Option<Duration>>,
}

/// Why a thread has ceased to work.
enum Break {
    /// The worker has stopped or was handed off.
    Over,
    /// There is nothing to do, and the seat may be left.
    Idle,
    /// A panic came by, of a waker that the driver called.
    Panic,
}

impl Seat {
    pub(super) fn new(
        worker: Worker,
        parker: Parker<RuntimeDriver>,
        bed: Option<Parker<RuntimeDriver>>,
        team: &Arc<Team>,
    ) -> Self {
        Self { worker, parker, bed, wakes_at: u64::MAX, occupied: Occupied(Arc::clone(team)) }
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Ends the sleep of the worker, and its search.
    pub(super) fn resume(&mut self) {
        self.worker.enter(|worker| worker.resume());
    }

    /// Works on this thread until the worker has stopped or was handed off.
    pub(super) fn run(self) {
        self.run_between(|| {}, || {});
    }

    /// As [`run`](Self::run), with code to run first and last while the runtime is current.
    pub(super) fn run_between(self, first: impl FnOnce(), last: impl FnOnce()) {
        let (desk, mut worker) = self.occupy();
        {
            let _running = context::start_running(Running::Worker);
            let _current = context::set_current(&desk.team.ambient);
            let _worker = worker::set_worker(Rc::clone(&desk) as _);
            first();
            loop {
                let mut why = Break::Panic;
                contain(|| why = worker.enter(|worker| desk.work(worker)));
                match why {
                    Break::Over => break,
                    Break::Idle => worker = desk.sleep_beside(worker),
                    Break::Panic => {}
                }
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
        let Self { mut worker, parker, bed, occupied, .. } = self;
        let team = &occupied.0;
        team.scheduler.close();
        // What the drops of futures spawn or ask for is this runtime's.
        let _current = context::set_current(&team.ambient);
        // It has no tasks but those in the inboxes, so it waits for nobody.
        worker.enter(|worker| while worker.tick() != Tick::Stopped {});
        drop((worker, parker, bed));
    }

    /// Puts the seat to a desk of the calling thread.
    pub(super) fn occupy(self) -> (Rc<Desk>, Worker) {
        let team = Arc::clone(&self.occupied.0);
        let desk = Desk {
            timers: LoopTimers::new(&team.ambient, self.worker.index().unwrap_or_default()),
            team,
            parker: Cell::default(),
            bed: Cell::default(),
            wakes_at: Cell::default(),
            occupied: Cell::default(),
            has_slept: Cell::new(false),
            hoards_since: Cell::default(),
            rush: Rush::among_others(),
            own_alone: Streak::default(),
            rests: Cell::default(),
        };
        let worker = desk.restore(self);
        (Rc::new(desk), worker)
    }
}

impl Desk {
    /// Takes what the worker needs on another thread.
    pub(super) fn clear(&self, worker: Worker) -> Option<Seat> {
        Some(Seat {
            worker,
            parker: self.parker.take()?,
            bed: self.bed.take(),
            wakes_at: self.wakes_at.get(),
            occupied: self.occupied.take()?,
        })
    }

    /// Puts back what `clear` has taken.
    pub(super) fn restore(&self, seat: Seat) -> Worker {
        let Seat { worker, parker, bed, wakes_at, occupied } = seat;
        self.parker.set(Some(parker));
        self.bed.set(bed);
        self.wakes_at.set(wakes_at);
        self.occupied.set(Some(occupied));
        worker
    }

    /// Ticks until the worker has stopped or was handed off, or its seat may be left.
    fn work(&self, worker: &Entered<'_>) -> Break {
        let Some(index) = worker.index() else { return Break::Over };
        let _own = self.timers.own();
        worker.linger(true);
        let mut recorder = self.team.ambient.stats.record(index, worker.polls());
        if self.has_slept.take() {
            worker.wake_up();
            self.team.hooks.thread_unpark();
            self.ask_first(worker);
        }
        // The driver is turned inside the worker's scope: what its events wake stays on this worker.
        loop {
            self.timers.fire_due_around(|fire| worker.gather(fire));
            let own_alone = self.rush.is_on() && self.own_alone.goes_on(recorder.last_look());
            let tick = if own_alone { worker.tick_own() } else { worker.tick() };
            self.rests.set(worker.rests_for());
            match tick {
                Tick::Ran => {
                    recorder.ran(worker.polls());
                    self.ask(worker);
                }
                Tick::Idle if self.is_resident() => {
                    if self.gets_up(worker, index, &mut recorder) {
                        return Break::Idle;
                    }
                }
                Tick::Idle => self.sleep(worker, index, &mut recorder),
                Tick::Stopped | Tick::HandedOff => return Break::Over,
            }
        }
    }

    /// Turns the driver, between two ticks.
    fn ask(&self, worker: &Entered<'_>) {
        let had_events = if self.rush.is_on() && !worker.has_work() {
            self.with_parker(|parker| parker.turn_next_around(|dispatch| worker.gather(dispatch)))
        } else {
            self.turn(worker)
        };
        self.rush.turned(had_events);
    }

    /// After a sleep that something else than the driver has ended: what that has comes before what
    /// other workers have.
    fn ask_first(&self, worker: &Entered<'_>) {
        if self.rush.is_on() && !worker.has_work() {
            self.ask(worker);
        }
    }

    /// The parker is in the desk whenever a task runs, and tasks run in ticks only.
    pub(super) fn with_parker<R>(&self, f: impl FnOnce(&mut Parker<RuntimeDriver>) -> R) -> R {
        struct PutBack<'a>(&'a Desk, Option<Parker<RuntimeDriver>>);

        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.parker.set(self.1.take());
            }
        }

        let mut taken = PutBack(self, self.parker.take());
        f(taken.1.as_mut().expect("nobody parks inside of a park"))
    }

    /// Turns the driver without waiting; false if it had no events.
    pub(super) fn turn(&self, worker: &Entered<'_>) -> bool {
        self.with_parker(|parker| parker.turn_around(|dispatch| worker.gather(dispatch)))
    }

    fn sleep(&self, worker: &Entered<'_>, index: usize, recorder: &mut Recorder<'_>) {
        let team = &*self.team;
        team.hooks.thread_park();
        // The hook may have spawned, on this very worker.
        let sleeps = !worker.has_work() && self.may_linger(worker);
        if sleeps {
            recorder.park(worker.polls());
            let mut parked = team.monitor.as_ref().map(|monitor| monitor.parks(index));
            let time = self.time_left();
            let mut waited = None;
            let gather = |dispatch: &mut dyn FnMut()| {
                // Before the first waker, which may block.
                parked = None;
                waited = Some(recorder.unpark());
                worker.gather(dispatch);
            };
            let had_events = self.with_parker(|parker| parker.park_around(time, gather));
            drop(parked);
            self.rush.waited(had_events, waited.unwrap_or_else(|| recorder.unpark()));
            worker.wake_up();
        }
        team.hooks.thread_unpark();
        if sleeps {
            self.ask_first(worker);
        }
    }

    /// Whether the worker may sleep with what it keeps. Otherwise its next tick gives back what is too
    /// much for a long sleep.
    fn may_linger(&self, worker: &Entered<'_>) -> bool {
        let may_linger = match self.hoards_since.get() {
            _ if !worker.hoards() => {
                self.hoards_since.set(None);
                true
            }
            Some(since) if since.elapsed() < LINGER => true,
            since => {
                let again = worker.needed_hoard() || since.is_none();
                self.hoards_since.set(again.then(Instant::now));
                again
            }
        };
        worker.linger(may_linger);
        may_linger
    }

    /// How long the worker may sleep; `None` for ever.
    fn time_left(&self) -> Option<Duration> {
        let lingers = self.hoards_since.get().map(|since| LINGER.saturating_sub(since.elapsed()));
        [self.timers.time_left(), lingers, self.rests.get()].into_iter().flatten().min()
    }

    /// Whether this is the worker's own thread, and others may have its seat while it sleeps.
    fn is_resident(&self) -> bool {
        let bed = self.bed.take();
        let is_resident = bed.is_some();
        self.bed.set(bed);
        is_resident
    }

    /// Whether another thread waits for the seat.
    pub(super) fn is_guest(&self) -> bool {
        !self.team.berths.is_empty() && !self.is_resident()
    }

    /// The tick until which that thread sleeps.
    pub(super) fn resident_wakes_at(&self) -> u64 {
        self.wakes_at.get()
    }

    /// The first half of a sleep, as in [`sleep`](Self::sleep); false if it is not to be.
    fn gets_up(&self, worker: &Entered<'_>, index: usize, recorder: &mut Recorder<'_>) -> bool {
        let team = &*self.team;
        team.hooks.thread_park();
        if worker.has_work() || !self.may_linger(worker) {
            team.hooks.thread_unpark();
            return false;
        }
        self.leave(worker, index, recorder);
        true
    }

    /// Says that nobody works with this worker until somebody takes its seat.
    pub(super) fn leave(&self, worker: &Entered<'_>, index: usize, recorder: &mut Recorder<'_>) {
        recorder.park(worker.polls());
        if let Some(monitor) = &self.team.monitor {
            monitor.left(index);
        }
    }

    /// The other half of a sleep: beside the seat, which others may have meanwhile.
    fn sleep_beside(&self, worker: Worker) -> Worker {
        const MOVED: &str = "a worker that is idle is here, and its seat is, too";
        let index = worker.index().expect(MOVED);
        let mut bed = self.bed.take().expect(MOVED);
        // In this order: a timer that comes in between has the seat unparked.
        self.wakes_at.set(self.timers.deadline());
        let time = self.time_left();
        let seat = self.clear(worker).expect(MOVED);
        let parked = Cell::new(self.team.monitor.as_ref().map(|monitor| monitor.parked(index)));
        let seat = self.team.berths[index].sleep(seat, &mut bed, time, |seat, dispatch| {
            // As in `sleep`.
            drop(parked.take());
            // What the driver's events wake stays on this worker.
            seat.worker.enter(|worker| worker.gather(dispatch));
        });
        drop(parked);
        let worker = self.restore(seat);
        self.bed.set(Some(bed));
        self.has_slept.set(true);
        worker
    }
}
