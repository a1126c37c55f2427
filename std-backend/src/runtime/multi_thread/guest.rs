//! `block_on` in the seat of a worker that sleeps.
//!
//! A thread that waits for a future takes the seat before it polls, so that what the future spawns
//! and wakes is local, and runs tasks until the future is woken. It leaves the seat when the future
//! is ready, or when there is no task left to run, in the berth where it was
//! (`park/berth.rs`); the thread of the worker, its *resident*, sleeps on if there is nothing for it to
//! do. A guest never sleeps in the seat: while it waits with nothing to run it is a thread in
//! `block_on` like any other, and the worker is what it was. And it does not work for long: if a whole
//! tick goes by and the future was not woken, it brings the seat to the resident, who may be in the
//! driver and is the only one then to hear of sockets.
//!
//! So all that is different for others is who ticks a worker that has work. What a guest owes the
//! resident is to look, before it leaves, for what that one would have looked for before it slept: a
//! queue that is not empty ([`Entered::rest`](stealing::Entered::rest)), an earlier timer, memory to
//! give back, and a driver that nobody is in any more. In each of these cases it brings the seat instead.

use std::{
    cell::Cell,
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use jenny_core::scheduler::{Tick, stealing};

use super::{
    MultiThread, Team, Worker,
    seat::{Desk, Seat},
};
use crate::{
    context::{self, RuntimePlatform, local, worker},
    park::{Berth, CachedParker, block_on_waker},
    primitives::contain,
    stats::Recorder,
};

type Entered<'a> = stealing::Entered<'a, RuntimePlatform>;

/// How often the future may go next before driver and timers have a turn.
const ROOT_POLLS_PER_TURN: u32 = 31;

impl MultiThread {
    /// Whether a thread in [`block_on`](Self::block_on) runs tasks.
    pub(in super::super) fn lends_seats(&self) -> bool {
        !self.team.berths.is_empty()
    }

    /// Waits for a future, and runs tasks while it is not ready.
    pub(in super::super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let stats = &self.team.ambient.stats;
        let mut future = pin!(future);
        let (mut parker, waker) = block_on_waker();
        let mut context = Context::from_waker(&waker);
        let place = Surroundings::here();
        loop {
            let mut poll = || stats.poll_root(future.as_mut(), &mut context);
            let seat = if place.fit_for_tasks() { self.team.claim() } else { None };
            let polled = match seat {
                Some(seat) => Guest::new(seat).run(poll, &parker, &place),
                None => poll(),
            };
            if let Poll::Ready(output) = polled {
                return output;
            }
            parker.park();
        }
    }
}

impl Team {
    /// The seat of a worker that sleeps.
    fn claim(&self) -> Option<Seat> {
        let seat = self.berths.iter().find_map(Berth::claim)?;
        self.takes(&seat);
        Some(seat)
    }

    /// Brings a seat to its resident. Until that comes the worker is awake, for whoever looks whether
    /// one is stuck.
    fn bring(&self, berth: usize, mut seat: Seat) {
        self.takes(&seat);
        seat.resume();
        self.berths[berth].bring(seat);
    }

    /// Says that somebody goes on with a seat.
    fn takes(&self, seat: &Seat) {
        if let (Some(monitor), Some(worker)) = (&self.monitor, seat.worker().index()) {
            monitor.taken(worker);
        }
    }
}

/// What the future has made of its thread.
struct Surroundings {
    depth: usize,
    /// The thread is not ending: in destructors of thread-local variables, what tasks look for may be
    /// gone.
    is_whole: bool,
}

impl Surroundings {
    /// The runtime has just been made the current one.
    fn here() -> Self {
        let is_whole = worker::is_possible() && context::try_with(|_| ()).is_ok();
        Self { depth: context::depth(), is_whole }
    }

    /// Whether tasks find here what they find on a worker. Otherwise the future, or whoever called
    /// `block_on`, has entered another runtime or a local set, and stays in it between polls.
    fn fit_for_tasks(&self) -> bool {
        self.is_whole && context::depth() == self.depth && !local::is_entered()
    }
}

/// A thread in a seat that is not its own. When it is dropped it brings the seat to the resident.
struct Guest {
    desk: Rc<Desk>,
    worker: Option<Worker>,
}

impl Guest {
    fn new(seat: Seat) -> Self {
        let (desk, worker) = seat.occupy();
        Self { desk, worker: Some(worker) }
    }

    /// Polls a future, and runs tasks until it is ready or there are none.
    fn run<T>(
        mut self,
        mut poll: impl FnMut() -> Poll<T>,
        woken: &CachedParker,
        place: &Surroundings,
    ) -> Poll<T> {
        let desk = Rc::clone(&self.desk);
        let _worker = worker::set_worker(Rc::clone(&desk) as _);
        let Some(worker) = &mut self.worker else { return poll() };
        let (polled, may_sleep_on) = worker.enter(|worker| {
            let mut visit = Visit::new(&desk, worker, woken);
            let polled = visit.run(poll, place);
            (polled, visit.end())
        });
        if may_sleep_on && let Some((berth, seat)) = self.clear() {
            let refused = desk.team.berths[berth].leave(seat);
            refused.into_iter().for_each(|seat| desk.team.bring(berth, seat));
        }
        polled
    }

    /// Takes the seat off the desk; `None` if it was handed off.
    fn clear(&mut self) -> Option<(usize, Seat)> {
        let worker = self.worker.take()?;
        Some((worker.index()?, self.desk.clear(worker)?))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some((berth, seat)) = self.clear() {
            self.desk.team.bring(berth, seat);
        }
    }
}

/// What a guest does while it has entered the worker.
struct Visit<'a> {
    desk: &'a Desk,
    worker: &'a Entered<'a>,
    recorder: Option<Recorder<'a>>,
    /// Where the future's waker is seen.
    woken: &'a CachedParker,
    turns: u32,
    /// The guest was in the driver, so others may sleep beside it.
    has_turned: bool,
    /// The worker is registered as asleep, until there is work.
    is_asleep: bool,
    /// The resident knows already that the worker has memory to give back.
    hoarded: bool,
}

impl<'a> Visit<'a> {
    fn new(desk: &'a Desk, worker: &'a Entered<'a>, woken: &'a CachedParker) -> Self {
        let stats = &desk.team.ambient.stats;
        let recorder = worker.index().map(|index| stats.record(index, worker.polls()));
        let hoarded = worker.hoards();
        Self {
            desk,
            worker,
            recorder,
            woken,
            turns: 0,
            has_turned: false,
            is_asleep: false,
            hoarded,
        }
    }

    fn run<T>(&mut self, mut poll: impl FnMut() -> Poll<T>, place: &Surroundings) -> Poll<T> {
        let _own = self.desk.timers.own();
        loop {
            // It may take long, so nobody may take it for a search.
            self.worker.resume();
            let polled = self.worker.detachable(&mut poll);
            if polled.is_ready() || !place.fit_for_tasks() {
                self.is_asleep = self.worker.rest();
                return polled;
            }
            if !self.run_tasks() {
                return Poll::Pending;
            }
            self.woken.take_notification();
        }
    }

    /// Runs tasks; false if the future's turn does not come here.
    fn run_tasks(&mut self) -> bool {
        // A future that has woken itself lets the others go first.
        let yields = self.woken.is_notified();
        let (mut tick, ended) = (Tick::Ran, Cell::new(false));
        let is_due = || {
            ended.set(!yields && self.woken.is_notified());
            ended.get()
        };
        // A panic that gets here is that of a waker which is called in passing. The worker goes on.
        contain(|| tick = self.worker.tick_until(is_due));
        match tick {
            Tick::Idle if self.woken.is_notified() => {}
            Tick::Idle => {
                // The resident knows of no rest, and would sleep for longer.
                self.is_asleep = self.worker.rests_for().is_none();
                return false;
            }
            Tick::Ran if ended.get() => {}
            // There is work for longer, which the resident can do while the future goes on.
            Tick::Ran | Tick::Stopped | Tick::HandedOff => return false,
        }
        // The future goes next, like a task that was woken; driver and timers have their turn now and
        // then, not after each poll.
        self.turns = self.turns.wrapping_add(1);
        if local::take_driver_is_due() || self.turns.is_multiple_of(ROOT_POLLS_PER_TURN) {
            self.turn();
        }
        true
    }

    /// What a worker does between two ticks.
    fn turn(&mut self) {
        self.has_turned = true;
        contain(|| {
            self.desk.turn(self.worker);
            self.desk.timers.fire_due_around(|fire| self.worker.gather(fire));
        });
    }

    /// Ends the visit; true if the resident may sleep on.
    fn end(mut self) -> bool {
        let Desk { team, timers, .. } = self.desk;
        let is_driven = !self.has_turned || team.driver.is_held();
        let may_sleep_on = self.is_asleep
            && is_driven
            && (self.hoarded || !self.worker.hoards())
            && timers.deadline() >= self.desk.resident_wakes_at();
        if let (true, Some(index), Some(recorder)) =
            (may_sleep_on, self.worker.index(), &mut self.recorder)
        {
            self.desk.leave(self.worker, index, recorder);
        }
        may_sleep_on
    }
}
