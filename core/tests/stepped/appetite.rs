//! When a worker leaves the tasks of another one alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use jenny_core::scheduler::{
    Tick,
    stealing::{self, Config, Entered, Handle, Worker},
};

use crate::toy::{Toy, Unparked, set_clock};

const TASKS: usize = 100;

/// Two workers that take turns, a task each.
struct Pair {
    handle: Handle<Toy>,
    workers: [Worker<Toy>; 2],
    unparked: [Unparked; 2],
    ran: Arc<AtomicUsize>,
}

/// The one that has tasks, and the one that has none.
const OWNER: usize = 0;
const THIEF: usize = 1;

impl Pair {
    /// The owner has many tasks, the thief was called, and the clock shows zero.
    fn new() -> Self {
        set_clock(Some(0));
        let unparked = [Unparked::default(), Unparked::default()];
        let config = Config { event_interval: 1, ..Config::default() };
        let (handle, workers) = stealing::new(Toy::new(1, false), unparked.clone(), config);
        let workers = <[_; 2]>::try_from(workers).expect("two workers");
        let mut pair = Self { handle, workers, unparked, ran: Arc::default() };
        assert_eq!(pair.tick(THIEF), Tick::Idle);
        pair.spawn_on_owner(TASKS);
        assert!(pair.unparked[THIEF].take());
        pair
    }

    fn enter<R>(&mut self, worker: usize, scope: impl FnOnce(&Entered<'_, Toy>) -> R) -> R {
        self.workers[worker].enter(scope)
    }

    fn tick(&mut self, worker: usize) -> Tick {
        self.enter(worker, |entered| entered.tick())
    }

    fn spawn_on_owner(&mut self, tasks: usize) {
        let (handle, ran) = (self.handle.clone(), Arc::clone(&self.ran));
        self.enter(OWNER, |_| (0..tasks).for_each(|_| spawn(&handle, &ran)));
    }

    /// For how long the thief rests.
    fn rests_for(&mut self) -> Option<Duration> {
        self.enter(THIEF, |entered| entered.rests_for())
    }

    /// How many tasks the thief has stolen.
    fn stolen(&self) -> usize {
        self.handle.metrics(THIEF).expect("a worker").steals
    }

    /// Ticks the thief while the owner spawns, and counts what it stole before it slept.
    fn until_it_sleeps(&mut self) -> usize {
        let before = self.stolen();
        while self.tick(THIEF) == Tick::Ran {
            self.spawn_on_owner(1);
        }
        self.stolen() - before
    }

    fn close(mut self) {
        self.handle.close();
        // Each waits for what the other has of its tasks.
        while [OWNER, THIEF].map(|worker| self.tick(worker)) != [Tick::Stopped; 2] {}
        set_clock(None);
    }
}

fn spawn(handle: &Handle<Toy>, ran: &Arc<AtomicUsize>) {
    let ran = Arc::clone(ran);
    drop(handle.spawn(async move { _ = ran.fetch_add(1, Relaxed) }));
}

#[test]
fn a_thief_of_tasks_that_take_no_time_rests() {
    let mut pair = Pair::new();
    // Half of them, and a taste.
    let stolen = pair.until_it_sleeps();
    assert!((TASKS / 2..TASKS / 2 + 10).contains(&stolen), "{stolen}");
    let first = pair.rests_for().expect("it rests");

    // What the owner does calls nobody.
    pair.spawn_on_owner(TASKS);
    for _ in 0..10 {
        assert_eq!(pair.tick(OWNER), Tick::Ran);
        assert!(!pair.unparked[THIEF].take());
    }

    // It looks again, and rests for longer.
    let taste = pair.until_it_sleeps();
    assert!((1..10).contains(&taste), "{taste}");
    assert!(pair.rests_for().expect("it rests") > first);

    // What comes from outside calls it, also to the inbox of the other one.
    let (handle, ran) = (pair.handle.clone(), Arc::clone(&pair.ran));
    spawn(&handle, &ran);
    assert!(pair.unparked.iter().any(Unparked::take));
    assert_eq!(pair.tick(THIEF), Tick::Ran);
    pair.close();
}

/// A backlog is turned around a part at a time, and between two parts the worker has found nothing.
#[test]
fn nobody_rests_with_a_backlog_of_its_own() {
    let mut pair = Pair::new();
    // The first theft was poor, and a taste has been taken.
    while pair.stolen() <= TASKS / 2 {
        assert_eq!(pair.tick(THIEF), Tick::Ran);
        pair.spawn_on_owner(1);
    }
    let (handle, ran) = (pair.handle.clone(), Arc::clone(&pair.ran));
    (0..2_000).for_each(|_| spawn(&handle, &ran));
    while pair.tick(THIEF) == Tick::Ran {
        pair.spawn_on_owner(1);
    }
    assert!(!pair.enter(THIEF, |entered| entered.has_work()));
    pair.close();
}

/// The last task of a backlog may come out while the worker looks what others have.
#[test]
fn a_backlog_of_any_size_is_no_theft() {
    for tasks in 500..1_100 {
        let config = Config { event_interval: 1, ..Config::default() };
        let unparked = [Unparked::default(), Unparked::default()];
        let (handle, workers) = stealing::new(Toy::new(1, false), unparked.clone(), config);
        let workers = <[_; 2]>::try_from(workers).expect("two workers");
        let mut pair = Pair { handle, workers, unparked, ran: Arc::default() };
        let (handle, ran) = (pair.handle.clone(), Arc::clone(&pair.ran));
        (0..tasks).for_each(|_| spawn(&handle, &ran));
        while pair.tick(OWNER) == Tick::Ran {}
        assert_eq!(pair.ran.load(Relaxed), tasks);
        let stolen = pair.handle.metrics(OWNER).expect("a worker").steals;
        assert!(stolen <= tasks, "{stolen} of {tasks}");
        pair.close();
    }
}

#[test]
fn a_thief_of_tasks_that_take_their_time_goes_on() {
    let mut pair = Pair::new();
    for now in 1..=(TASKS / 2) as u64 {
        // Some microseconds for each task of either.
        set_clock(Some(now * 5_000));
        assert_eq!(pair.tick(THIEF), Tick::Ran);
        assert_eq!(pair.rests_for(), None);
        assert_eq!(pair.tick(OWNER), Tick::Ran);
    }
    assert_eq!(pair.ran.load(Relaxed), TASKS);
    assert_eq!(pair.tick(THIEF), Tick::Idle);
    assert_eq!(pair.rests_for(), None);
    pair.close();
}

#[test]
fn a_thief_goes_on_if_the_owner_does_nothing() {
    let mut pair = Pair::new();
    while pair.tick(THIEF) == Tick::Ran {}
    assert_eq!(pair.rests_for(), None);
    // All but what its LIFO slot holds.
    assert_eq!(pair.ran.load(Relaxed), TASKS - 1);
    pair.close();
}

#[test]
fn without_a_clock_nobody_rests() {
    let mut pair = Pair::new();
    set_clock(None);
    while pair.tick(THIEF) == Tick::Ran {
        let _ = pair.tick(OWNER);
    }
    assert_eq!((pair.rests_for(), pair.ran.load(Relaxed)), (None, TASKS));
    pair.close();
}
