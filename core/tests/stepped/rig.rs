//! A scheduler with all its workers, in the hands of a test.

use std::future::Future;

use jenny_core::{
    scheduler::{Tick, local, stealing},
    task::{JoinHandle, Spawned},
};

use crate::toy::{Toy, Unparked};

/// Which scheduler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Local,
    Stealing(usize),
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Local, Self::Stealing(1), Self::Stealing(2)];
}

/// A reproducible sequence of choices (Marsaglia's xorshift).
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Local(local::Handle<Toy>),
    Stealing(stealing::Handle<Toy>),
}

impl Handle {
    #[track_caller]
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.spawn_as(future, Spawned::here())
    }

    pub(crate) fn spawn_as<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self {
            Self::Local(handle) => handle.spawn_as(future, spawned),
            Self::Stealing(handle) => handle.spawn_as(future, spawned),
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::Local(handle) => handle.close(),
            Self::Stealing(handle) => handle.close(),
        }
    }

    pub(crate) fn is_entered(&self) -> bool {
        match self {
            Self::Local(handle) => handle.is_entered(),
            Self::Stealing(handle) => handle.is_entered(),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Worker {
    Local(local::Worker<Toy>),
    Stealing(stealing::Worker<Toy>),
}

impl Worker {
    fn tick(&mut self) -> Tick {
        match self {
            Self::Local(worker) => worker.enter(|worker| worker.tick()),
            Self::Stealing(worker) => worker.enter(|worker| worker.tick()),
        }
    }

    fn enter<R>(&mut self, scope: impl FnOnce() -> R) -> R {
        match self {
            Self::Local(worker) => worker.enter(|_| scope()),
            Self::Stealing(worker) => worker.enter(|_| scope()),
        }
    }
}

/// What a backend's loop would be doing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loop {
    Running,
    Parked,
    Ended,
}

pub(crate) struct Rig {
    pub(crate) handle: Handle,
    workers: Vec<Worker>,
    unparked: Vec<Unparked>,
    loops: Vec<Loop>,
}

impl Rig {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, Toy::new(1, true), |_| {})
    }

    /// A stealing scheduler with a configuration of its own.
    pub(crate) fn with(
        kind: Kind,
        toy: Toy,
        configure: impl FnOnce(&mut stealing::Config),
    ) -> Self {
        let mut config = stealing::Config::default();
        configure(&mut config);
        let count = if let Kind::Stealing(count) = kind { count } else { 1 };
        let unparked: Vec<_> = (0..count).map(|_| Unparked::default()).collect();
        let (handle, workers) = match kind {
            Kind::Local => {
                let config = local::Config {
                    event_interval: config.event_interval,
                    inbox_interval: config.inbox_interval,
                    observer: config.observer,
                };
                let (handle, worker) = local::new(toy, unparked[0].clone(), config);
                (Handle::Local(handle), vec![Worker::Local(worker)])
            }
            Kind::Stealing(_) => {
                let (handle, workers) = stealing::new(toy, unparked.iter().cloned(), config);
                (Handle::Stealing(handle), workers.into_iter().map(Worker::Stealing).collect())
            }
        };
        Self { handle, workers, unparked, loops: vec![Loop::Running; count] }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The stealing scheduler's handle, for its metrics.
    pub(crate) fn stealing(&self) -> &stealing::Handle<Toy> {
        match &self.handle {
            Handle::Stealing(handle) => handle,
            Handle::Local(_) => panic!("this is the local scheduler"),
        }
    }

    /// Runs the closure as if a driver of this worker's called it.
    pub(crate) fn inside<R>(&mut self, worker: usize, scope: impl FnOnce() -> R) -> R {
        // A backend ticks after it has run other code in a worker's scope.
        self.loops[worker] = match self.loops[worker] {
            Loop::Parked => Loop::Running,
            other => other,
        };
        self.workers[worker].enter(scope)
    }

    /// One round of this worker's loop, whether it was unparked or not.
    pub(crate) fn tick(&mut self, worker: usize) -> Tick {
        let tick = self.workers[worker].tick();
        self.ticked(worker, tick)
    }

    /// As [`tick`](Self::tick), of a stealing worker's own tasks.
    pub(crate) fn tick_own(&mut self, worker: usize) -> Tick {
        let Worker::Stealing(ticked) = &mut self.workers[worker] else {
            panic!("this is the local scheduler");
        };
        let tick = ticked.enter(|worker| worker.tick_own());
        self.ticked(worker, tick)
    }

    fn ticked(&mut self, worker: usize, tick: Tick) -> Tick {
        self.loops[worker] = match tick {
            Tick::Ran => Loop::Running,
            Tick::Idle => Loop::Parked,
            Tick::Stopped | Tick::HandedOff => Loop::Ended,
        };
        tick
    }

    /// One round of this worker's loop, if it does not sleep.
    pub(crate) fn step(&mut self, worker: usize) -> Option<Tick> {
        match self.loops[worker] {
            Loop::Ended => None,
            Loop::Parked if !self.unparked[worker].take() => None,
            Loop::Parked | Loop::Running => Some(self.tick(worker)),
        }
    }

    /// Steps all workers, in an order thrown with the dice, until everybody sleeps or has ended.
    #[track_caller]
    pub(crate) fn settle(&mut self, dice: &mut Dice) {
        for _ in 0..100_000 {
            let first = dice.below(self.workers());
            let count = self.workers();
            if (0..count).all(|offset| self.step((first + offset) % count).is_none()) {
                return;
            }
        }
        panic!("the scheduler does not come to rest: {:?}", self.handle);
    }

    /// Shuts down, and fails if a worker sleeps through it.
    #[track_caller]
    pub(crate) fn stop(&mut self, dice: &mut Dice) {
        self.handle.close();
        self.settle(dice);
        assert!(self.is_stopped(), "a worker sleeps and nobody will wake it: {:?}", self.loops);
    }

    /// Gives the workers away, to be dropped without having been stopped: a leak, as Miri would say.
    #[cfg(not(miri))]
    pub(crate) fn into_workers(mut self) -> Vec<Worker> {
        std::mem::take(&mut self.workers)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.loops.iter().all(|&state| state == Loop::Ended)
    }
}

/// Every test ends with a shutdown.
impl Drop for Rig {
    fn drop(&mut self) {
        if !self.workers.is_empty() && !self.is_stopped() && !std::thread::panicking() {
            self.stop(&mut Dice::new(0));
        }
    }
}
