//! Listing all live tasks, whatever the workers are doing.

use std::{
    collections::BTreeMap,
    future::{pending, poll_fn},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use jenny_core::{
    scheduler::{Tick, WorkerDump, local},
    task::{Id, JoinHandle, Snapshot, Spawned, TaskState, Tracer},
};

use crate::{
    alloc::no_leaks,
    probe::yield_now,
    rig::{Dice, Handle, Kind, Rig},
    toy::{Toy, Unparked},
};

impl Handle {
    fn start_dump(&self) -> bool {
        match self {
            Self::Local(handle) => handle.start_dump(),
            Self::Stealing(handle) => handle.start_dump(),
        }
    }

    fn start_traced_dump(&self, tracer: Box<dyn Tracer>) -> bool {
        match self {
            Self::Local(handle) => handle.start_traced_dump(tracer),
            Self::Stealing(handle) => handle.start_traced_dump(tracer),
        }
    }

    fn is_answered(&self) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        let polled = match self {
            Self::Local(handle) => handle.poll_dump(context),
            Self::Stealing(handle) => handle.poll_dump(context),
        };
        polled == Poll::Ready(())
    }

    fn end_dump(&self) -> Vec<WorkerDump> {
        match self {
            Self::Local(handle) => handle.end_dump(),
            Self::Stealing(handle) => handle.end_dump(),
        }
    }
}

/// The tasks of all workers; fails if one is listed twice.
fn listed(dumps: Vec<WorkerDump>) -> BTreeMap<Id, Snapshot> {
    let mut tasks = BTreeMap::new();
    for task in dumps.into_iter().filter_map(|dump| dump.tasks).flatten() {
        let id = task.id;
        assert!(tasks.insert(id, task).is_none(), "{id} is listed twice");
    }
    tasks
}

/// A whole dump, by workers that are not stuck.
fn dump(rig: &mut Rig, dice: &mut Dice) -> BTreeMap<Id, Snapshot> {
    assert!(rig.handle.start_dump());
    assert!(!rig.handle.start_dump(), "one at a time");
    assert!(!rig.handle.is_answered());
    rig.settle(dice);
    assert!(rig.handle.is_answered());
    listed(rig.handle.end_dump())
}

#[test]
fn every_live_task_is_listed_with_what_is_known_of_it() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            let idle = rig.handle.spawn_as(pending::<()>(), Spawned::here().named(Some("idle")));
            let line = line!() - 1;
            let done = rig.handle.spawn(async {});
            rig.settle(&mut dice);
            let tasks = dump(&mut rig, &mut dice);
            assert_eq!(tasks.keys().collect::<Vec<_>>(), [&idle.id()], "{kind:?}");
            let task = &tasks[&idle.id()];
            assert_eq!((task.name.as_deref(), task.state), (Some("idle"), TaskState::Idle));
            assert_eq!(task.spawned_at.line(), line);
            drop((idle, done));
        });
    }
}

#[test]
fn tasks_that_nobody_has_polled_are_listed_and_stay_in_order() {
    for kind in Kind::ALL {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let handle = rig.handle.clone();
        let (note, order) = std::sync::mpsc::channel();
        let mut spawn = |number: usize| {
            let note = note.clone();
            handle.spawn(async move {
                note.send(number).unwrap();
                yield_now().await;
                pending::<()>().await;
            })
        };
        // Through the inbox, and more than a tick runs.
        let joins: Vec<_> = (0..300).map(&mut spawn).collect();
        joins[7].abort();
        assert!(rig.handle.start_dump());
        // Before their first task the workers answer.
        for worker in 0..rig.workers() {
            let _ = rig.tick(worker);
        }
        let tasks = listed(rig.handle.end_dump());
        assert_eq!(tasks.len(), 300, "{kind:?}");
        for (number, join) in joins.iter().enumerate() {
            let state = tasks[&join.id()].state;
            let expected = if number == 7 { TaskState::Cancelling } else { TaskState::Scheduled };
            assert_eq!(state, expected, "{kind:?}: {number}");
        }
        rig.settle(&mut dice);
        let ran: Vec<_> = order.try_iter().collect();
        assert_eq!(ran.len(), 299);
        if kind != Kind::Stealing(2) {
            assert!(ran.is_sorted(), "{kind:?}: {ran:?}");
        }
        assert_eq!(dump(&mut rig, &mut dice).len(), 299);
    }
}

#[test]
fn a_worker_that_does_not_come_by_is_left_out() {
    let (mut rig, mut dice) = (Rig::new(Kind::Stealing(2)), Dice::new(0));
    rig.settle(&mut dice);
    let handle = rig.handle.clone();
    let joins = [0, 1].map(|worker| rig.inside(worker, || handle.spawn(pending::<()>())));
    rig.settle(&mut dice);
    assert!(rig.handle.start_dump());
    let _ = rig.tick(1);
    assert!(!rig.handle.is_answered());
    let dumps = rig.handle.end_dump();
    assert!(dumps[0].tasks.is_none());
    assert_eq!(listed(dumps).keys().collect::<Vec<_>>(), [&joins[1].id()]);
    // It comes by too late, and its answer is not taken for one to the next request.
    let _ = rig.tick(0);
    assert_eq!(dump(&mut rig, &mut dice).len(), 2);
}

#[test]
fn nothing_moves_away_from_a_worker_before_it_has_answered() {
    let mut rig = Rig::with(Kind::Stealing(2), Toy::new(1, false), |config| {
        config.event_interval = 1;
    });
    let handle = rig.handle.clone();
    // Unbound tasks, in the inbox of the first worker.
    let joins: Vec<_> = (0..8).map(|_| handle.spawn(pending::<()>())).collect();
    assert!(rig.handle.start_dump());
    // The second has answered, finds work elsewhere, and leaves it there, awake.
    for _ in 0..3 {
        assert_eq!(rig.tick(1), Tick::Ran);
    }
    let _ = rig.tick(0);
    assert!(rig.handle.is_answered());
    assert_eq!(listed(rig.handle.end_dump()).len(), joins.len());
    // The dump is over: now it takes some.
    let _ = rig.tick(1);
    assert!(rig.stealing().metrics(1).unwrap().steals > 0);
}

#[test]
fn a_dump_in_random_order_of_steps_lists_what_was_alive_all_the_time() {
    for seed in 0..300 {
        let (mut rig, mut dice) = (Rig::new(Kind::Stealing(3)), Dice::new(seed));
        let handle = rig.handle.clone();
        let long: Vec<_> = (0..40)
            .map(|number| {
                let spawn = || {
                    handle.spawn(async move {
                        for _ in 0..number % 3 {
                            yield_now().await;
                        }
                        pending::<()>().await;
                    })
                };
                if dice.one_in(2) { spawn() } else { rig.inside(number % 3, spawn) }
            })
            .collect();
        // Others come and go.
        (0..20).for_each(|_| drop(handle.spawn(yield_now())));
        for _ in 0..dice.below(20) {
            let _ = rig.tick(dice.below(3));
        }
        assert!(rig.handle.start_dump());
        while !rig.handle.is_answered() {
            let _ = rig.step(dice.below(3));
            if dice.one_in(4) {
                drop(handle.spawn(yield_now()));
            }
        }
        let tasks = listed(rig.handle.end_dump());
        for join in &long {
            assert!(tasks.contains_key(&join.id()), "seed {seed}: {} is missing", join.id());
        }
    }
}

#[test]
fn a_scheduler_that_stops_has_answered() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            let join = rig.handle.spawn(pending::<()>());
            rig.settle(&mut dice);
            assert!(rig.handle.start_dump());
            rig.stop(&mut dice);
            assert!(rig.handle.is_answered());
            let dumps = rig.handle.end_dump();
            assert!(dumps.iter().all(|dump| dump.tasks.is_some()), "{kind:?}");
            // And one that has stopped has nothing to say.
            assert!(rig.handle.start_dump() && rig.handle.is_answered());
            assert!(listed(rig.handle.end_dump()).is_empty());
            drop(join);
        });
    }
}

/// Takes note of the await points, and has time for so many polls.
struct Notes {
    polls_left: AtomicUsize,
    points: Arc<Mutex<Vec<Id>>>,
}

impl Notes {
    fn new(polls: usize) -> (Box<Self>, Arc<Mutex<Vec<Id>>>) {
        let points = Arc::<Mutex<Vec<Id>>>::default();
        (
            Box::new(Self { polls_left: AtomicUsize::new(polls), points: Arc::clone(&points) }),
            points,
        )
    }
}

impl Tracer for Notes {
    fn has_time(&self) -> bool {
        self.polls_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn await_point(&self, task: Id) {
        self.points.lock().unwrap().push(task);
    }
}

/// A traced poll may end the tick that it comes before, as any poll may.
#[test]
fn no_task_runs_after_a_traced_poll_that_ends_the_tick() {
    let (handle, worker) =
        local::new(Toy::new(0, false), Unparked::default(), local::Config::default());
    worker.enter(|worker| {
        let inside = handle.clone();
        let ends = handle.spawn(poll_fn(move |_| {
            assert!(inside.end_tick());
            Poll::<()>::Pending
        }));
        assert_eq!([worker.tick(), worker.tick()], [Tick::Ran, Tick::Idle]);
        let other = handle.spawn(async {});
        assert!(handle.start_traced_dump(Notes::new(9).0));
        assert_eq!(worker.tick(), Tick::Ran);
        assert!(!other.is_finished());
        assert_eq!([worker.tick(), worker.tick()], [Tick::Idle; 2]);
        assert!(other.is_finished());
        drop(handle.end_dump());
        handle.close();
        assert_eq!(worker.tick(), Tick::Stopped);
        drop(ends);
    });
}

/// A task that clones its waker at each poll, and ends with the `last`. With it, the number of polls.
fn counted(rig: &Rig, last: usize) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    let task = rig.handle.spawn(poll_fn(move |context| {
        drop(context.waker().clone());
        if count.fetch_add(1, Relaxed) + 1 == last { Poll::Ready(()) } else { Poll::Pending }
    }));
    (task, polls)
}

#[test]
fn a_traced_dump_polls_each_idle_task_once_more() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
            // More than one tick polls.
            let waiting: Vec<_> = (0..50).map(|_| counted(&rig, usize::MAX)).collect();
            let ending = counted(&rig, 2);
            let aborted = counted(&rig, usize::MAX);
            rig.settle(&mut dice);
            aborted.0.abort();
            let (tracer, points) = Notes::new(usize::MAX);
            assert!(rig.handle.start_traced_dump(tracer));
            rig.settle(&mut dice);
            let tasks = listed(rig.handle.end_dump());
            for (task, polls) in &waiting {
                assert_eq!((tasks[&task.id()].state, polls.load(Relaxed)), (TaskState::Idle, 2));
            }
            assert!(ending.0.is_finished() && !tasks.contains_key(&ending.0.id()), "{kind:?}");
            assert!(aborted.0.is_finished());
            assert_eq!(aborted.1.load(Relaxed), 1, "a task that is cancelled is not polled");
            let mut points = std::mem::take(&mut *points.lock().unwrap());
            points.sort_unstable();
            let mut polled: Vec<_> = waiting.iter().map(|(task, _)| task.id()).collect();
            polled.push(ending.0.id());
            polled.sort_unstable();
            assert_eq!(points, polled, "{kind:?}");
        });
    }
}

#[test]
fn a_traced_dump_whose_time_is_up_lists_the_rest() {
    for kind in Kind::ALL {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let waiting: Vec<_> = (0..50).map(|_| counted(&rig, usize::MAX)).collect();
        rig.settle(&mut dice);
        let (tracer, points) = Notes::new(20);
        assert!(rig.handle.start_traced_dump(tracer));
        rig.settle(&mut dice);
        assert!(rig.handle.is_answered());
        assert_eq!(listed(rig.handle.end_dump()).len(), waiting.len());
        assert_eq!(points.lock().unwrap().len(), 20, "{kind:?}");
    }
}

#[test]
fn a_traced_dump_that_is_over_polls_no_more() {
    let (mut rig, mut dice) = (Rig::new(Kind::Local), Dice::new(0));
    let waiting: Vec<_> = (0..50).map(|_| counted(&rig, usize::MAX)).collect();
    rig.settle(&mut dice);
    let (tracer, points) = Notes::new(usize::MAX);
    assert!(rig.handle.start_traced_dump(tracer));
    let _ = rig.tick(0);
    let polled = points.lock().unwrap().len();
    assert!((1..50).contains(&polled), "a few in each tick");
    assert!(!rig.handle.is_answered());
    assert!(rig.handle.end_dump()[0].tasks.is_none());
    rig.settle(&mut dice);
    assert_eq!(points.lock().unwrap().len(), polled);
    // And the next starts afresh.
    assert_eq!(dump(&mut rig, &mut dice).len(), waiting.len());
}
