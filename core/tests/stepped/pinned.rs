//! Tasks that stay, beside those that are stolen: two workers stepped by hand.

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Poll, Waker},
};

use jenny_core::{
    scheduler::{Tick, local, pinned, stealing},
    task::JoinHandle,
};

use crate::toy::{Toy, Unparked};

struct Pair {
    handle: stealing::Handle<Toy>,
    workers: Vec<pinned::Worker<Toy>>,
    unparked: Vec<Unparked>,
}

thread_local! {
    /// The worker that is being stepped.
    static STEPPED: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Pair {
    fn new() -> Self {
        let unparked = vec![Unparked::default(), Unparked::default()];
        let config = stealing::Config::default();
        let (handle, workers) = stealing::new(Toy::new(1, false), unparked.clone(), config);
        let beside = |(worker, unpark): (_, &Unparked)| {
            let toy = Toy::new(1, false);
            pinned::Worker::new(worker, toy, unpark.clone(), local::Config::default())
        };
        let workers = workers.into_iter().zip(&unparked).map(beside).collect();
        Self { handle, workers, unparked }
    }

    fn tick(&mut self, worker: usize) -> Tick {
        STEPPED.set(worker);
        self.workers[worker].enter(|worker| worker.tick())
    }

    /// Ticks until the worker sleeps: an unpark ends the first sleep after it.
    #[track_caller]
    fn rest(&mut self, worker: usize) {
        for _ in 0..1_000 {
            match self.tick(worker) {
                Tick::Ran => {}
                Tick::Idle if self.unparked[worker].take() => {}
                Tick::Idle => return,
                other => panic!("{other:?}"),
            }
        }
        panic!("it does not come to rest");
    }

    /// Ticks whoever is unparked, until both have stopped.
    #[track_caller]
    fn stop(mut self) {
        self.handle.close();
        let mut sleeps = [false; 2];
        let mut stopped = [false; 2];
        for _ in 0..1_000 {
            for worker in 0..2 {
                if stopped[worker] || sleeps[worker] && !self.unparked[worker].take() {
                    continue;
                }
                let tick = self.tick(worker);
                sleeps[worker] = tick == Tick::Idle;
                stopped[worker] = tick == Tick::Stopped;
            }
            if stopped == [true; 2] {
                return;
            }
        }
        panic!("a worker sleeps, and nobody will wake it: {stopped:?}");
    }
}

/// Leaves its waker, and counts its polls on the worker that keeps it.
fn spawn_waiting(pair: &Pair, worker: usize) -> (Arc<Mutex<Option<Waker>>>, Rc<Cell<usize>>) {
    let waker = Arc::new(Mutex::new(None));
    let polls = Rc::new(Cell::new(0));
    let (left, counted) = (waker.clone(), polls.clone());
    drop(pair.workers[worker].spawner().spawn_local(poll_fn(move |context| {
        assert_eq!(STEPPED.get(), worker, "a pinned task has moved");
        counted.set(counted.get() + 1);
        *left.lock().unwrap() = Some(context.waker().clone());
        Poll::<()>::Pending
    })));
    (waker, polls)
}

fn wake(waker: &Mutex<Option<Waker>>) {
    waker.lock().unwrap().take().unwrap().wake();
}

#[test]
fn what_stays_is_polled_where_it_was_spawned() {
    let mut pair = Pair::new();
    let tasks: Vec<_> = (0..2).map(|worker| spawn_waiting(&pair, worker)).collect();
    for worker in [1, 0] {
        pair.rest(worker);
        assert_eq!(tasks[worker].1.get(), 1);
    }
    // A wake from nowhere, while its worker sleeps and the other one runs.
    wake(&tasks[1].0);
    assert!(pair.unparked[1].take(), "the worker that keeps the task was not woken");
    pair.rest(0);
    assert_eq!(tasks[1].1.get(), 1);
    pair.rest(1);
    assert_eq!((tasks[0].1.get(), tasks[1].1.get()), (1, 2));
    pair.stop();
}

#[test]
fn a_task_that_roams_wakes_one_that_stays() {
    let mut pair = Pair::new();
    let (waker, polls) = spawn_waiting(&pair, 0);
    pair.rest(0);
    pair.rest(1);
    let roams = |pair: &mut Pair, worker| {
        let waker = waker.clone();
        drop(pair.handle.spawn(async move { wake(&waker) }));
        pair.rest(worker);
    };
    // On the same worker, behind the back of its local scheduler, which has found nothing to do.
    roams(&mut pair, 0);
    assert_eq!(polls.get(), 2);
    // On the other one.
    roams(&mut pair, 1);
    assert!(pair.unparked[0].take(), "the worker that keeps the task was not woken");
    pair.rest(0);
    assert_eq!(polls.get(), 3);
    pair.stop();
}

#[test]
fn a_task_that_stays_spawns_both_kinds_and_joins_them() {
    let mut pair = Pair::new();
    let spawner = pair.workers[0].spawner();
    let (again, handle) = (spawner.clone(), pair.handle.clone());
    let sum = Rc::new(Cell::new(0));
    let seen = sum.clone();
    spawner.spawn_local(async move {
        let own = Rc::new(2);
        let stays = again.spawn_local(async move { *own });
        let roams = handle.spawn(async { 40 });
        seen.set(stays.await.unwrap() + roams.await.unwrap());
    });
    pair.rest(0);
    assert_eq!(sum.get(), 42);
    pair.stop();
}

#[test]
fn neither_kind_starves_the_other() {
    let mut pair = Pair::new();
    let floods = |polls: Arc<AtomicUsize>| {
        poll_fn(move |context| {
            polls.fetch_add(1, Relaxed);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    };
    let (stays, roams) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    drop(pair.workers[0].spawner().spawn_local(floods(stays.clone())));
    drop(pair.handle.spawn(floods(roams.clone())));
    for _ in 0..10 {
        assert_eq!(pair.tick(0), Tick::Ran);
    }
    let (stays, roams) = (stays.load(Relaxed), roams.load(Relaxed));
    assert!(stays.abs_diff(roams) <= 1 && stays >= 10, "{stays} polls to {roams}");
    pair.stop();
}

/// What is alive when the scheduler is closed is dropped by the worker that keeps it.
#[test]
fn a_shutdown_cancels_what_stays() {
    struct DroppedOn(usize, Rc<RefCell<Vec<(usize, usize)>>>);

    impl Drop for DroppedOn {
        fn drop(&mut self) {
            self.1.borrow_mut().push((self.0, STEPPED.get()));
        }
    }

    let mut pair = Pair::new();
    let drops = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<JoinHandle<()>> = (0..2)
        .map(|worker| {
            let dropped = DroppedOn(worker, drops.clone());
            pair.workers[worker].spawner().spawn_local(async move {
                let _dropped = dropped;
                pending::<()>().await;
            })
        })
        .collect();
    let spawner = pair.workers[0].spawner();
    pair.rest(0);
    pair.rest(1);
    pair.stop();
    let mut drops = drops.take();
    drops.sort_unstable();
    assert_eq!(drops, [(0, 0), (1, 1)]);
    for mut task in tasks {
        assert!(task.try_join().unwrap().unwrap_err().is_cancelled());
    }
    let mut late = spawner.spawn_local(async {});
    assert!(late.try_join().unwrap().unwrap_err().is_cancelled());
}

#[test]
#[should_panic = "handed off"]
fn a_worker_with_pinned_tasks_cannot_be_handed_off() {
    let mut pair = Pair::new();
    let handle = pair.handle.clone();
    drop(pair.handle.spawn(async move {
        // The worker is lost: it would leak the tasks that are bound to it, were there any.
        handle.detached(|worker| {
            std::mem::forget(worker);
            (None, ())
        });
    }));
    let _ = pair.tick(0);
}
