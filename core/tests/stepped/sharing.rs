//! When a worker wakes another for its tasks, and when that would only move them.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
};

use jenny_core::scheduler::{
    Tick,
    stealing::{self, Config, Entered, Handle, Worker},
};

use crate::{
    probe::yield_now,
    toy::{Toy, Unparked},
};

/// A worker that sleeps, in the hands of whoever may wake it.
#[derive(Clone)]
struct Other {
    worker: Arc<Mutex<Worker<Toy>>>,
    unparked: Unparked,
}

impl Other {
    /// Lets it run until it sleeps again, if it was woken.
    fn answer(&self) -> bool {
        let called = self.unparked.take();
        if called {
            self.run();
        }
        called
    }

    fn run(&self) {
        self.worker.lock().unwrap().enter(|worker| while worker.tick() != Tick::Idle {});
    }
}

fn two() -> (Handle<Toy>, Worker<Toy>, Other) {
    with(Config::default())
}

fn with(config: Config) -> (Handle<Toy>, Worker<Toy>, Other) {
    let unparked = Unparked::default();
    let unparks = [Unparked::default(), unparked.clone()];
    let (handle, workers) = stealing::new(Toy::new(1, false), unparks, config);
    let [first, second] = <[_; 2]>::try_from(workers).expect("two workers");
    let other = Other { worker: Arc::new(Mutex::new(second)), unparked };
    other.run();
    (handle, first, other)
}

fn close(handle: &Handle<Toy>, mut first: Worker<Toy>, other: &Other) {
    handle.close();
    first.enter(|worker| {
        while worker.tick() != Tick::Stopped {
            let stopped = other.worker.lock().unwrap().enter(|worker| worker.tick());
            assert!(matches!(stopped, Tick::Idle | Tick::Stopped));
        }
    });
    other.worker.lock().unwrap().enter(|worker| while worker.tick() != Tick::Stopped {});
}

#[test]
fn nobody_is_woken_for_the_only_task() {
    let (handle, mut first, other) = two();
    first.enter(|worker| {
        // It goes by the end of the ring each time.
        drop(handle.spawn(async {
            for _ in 0..200 {
                yield_now().await;
            }
        }));
        // Each is alone in the LIFO slot.
        fn chain(handle: Handle<Toy>, left: u32) {
            let next = handle.clone();
            drop(handle.spawn(async move {
                if left > 0 {
                    chain(next, left - 1);
                }
            }));
        }
        while worker.tick() != Tick::Idle {}
        chain(handle.clone(), 200);
        while worker.tick() != Tick::Idle {}
    });
    assert!(!other.unparked.take());
    assert_eq!(handle.metrics(0).map(|worker| worker.polls), Some(402));
    close(&handle, first, &other);
}

/// It goes last only if there are others.
#[test]
fn the_lifo_slot_keeps_its_worker_while_nobody_waits() {
    let (handle, mut first, other) = two();
    let order = Arc::new(Mutex::new(Vec::new()));
    first.enter(|worker| {
        fn chain(handle: Handle<Toy>, order: Arc<Mutex<Vec<char>>>, left: u32) {
            let next = handle.clone();
            drop(handle.spawn(async move {
                order.lock().unwrap().push('l');
                if left > 0 {
                    chain(next, order, left - 1);
                }
            }));
        }
        let waiting = Arc::clone(&order);
        drop(handle.spawn(async move { waiting.lock().unwrap().push('r') }));
        chain(handle.clone(), Arc::clone(&order), 5);
        assert!(other.unparked.take(), "there is work for two");
        while worker.tick() != Tick::Idle {}
    });
    assert_eq!(*order.lock().unwrap(), ['l', 'l', 'l', 'r', 'l', 'l', 'l']);
    other.run();
    close(&handle, first, &other);
}

/// A thief that is back before the next spawn is called for one task, then for two, four, eight, and
/// for the rest when the poll is over.
#[test]
fn one_that_sleeps_again_is_called_for_more() {
    // One poll in a tick.
    let (handle, mut first, other) = with(Config { event_interval: 1, ..Config::default() });
    let ran = Arc::new(AtomicUsize::new(0));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let spawner = {
        let (handle, other, ran, calls) =
            (handle.clone(), other.clone(), Arc::clone(&ran), Arc::clone(&calls));
        poll_fn(move |_| {
            for task in 1..=20 {
                let ran = Arc::clone(&ran);
                drop(handle.spawn(async move {
                    ran.fetch_add(1, Relaxed);
                }));
                if other.answer() {
                    calls.lock().unwrap().push(task);
                }
            }
            Poll::Ready(())
        })
    };
    first.enter(|worker| {
        drop(handle.spawn(spawner));
        assert_eq!(worker.tick(), Tick::Ran);
        // The last one is in the LIFO slot each time.
        assert_eq!(*calls.lock().unwrap(), [2, 4, 8, 16]);
        assert!(other.answer(), "the poll is over, and there was more than one task left");
        assert_eq!(worker.tick(), Tick::Ran);
    });
    assert_eq!(ran.load(Relaxed), 20);
    close(&handle, first, &other);
}

/// Whatever wakes them has all of them ready before a thief is called, once, also if it panics.
#[test]
fn those_who_are_woken_together_are_shared_together() {
    let (handle, mut first, other) = two();
    let ran = Arc::new(AtomicUsize::new(0));
    let spawn = |tasks| {
        for _ in 0..tasks {
            let ran = Arc::clone(&ran);
            drop(handle.spawn(async move {
                ran.fetch_add(1, Relaxed);
            }));
        }
    };
    let run_all = |worker: &Entered<'_, Toy>| while worker.tick() != Tick::Idle {};
    first.enter(|worker| {
        let turn = |tasks| {
            worker.gather(|| {
                spawn(tasks);
                assert!(!other.unparked.take(), "in the middle");
            });
        };
        turn(1);
        assert!(!other.unparked.take(), "for the only task");
        run_all(worker);
        // Of a worker that is registered as asleep, as that of a driver is.
        turn(8);
        let before = ran.load(Relaxed);
        assert!(other.answer(), "there is work for two");
        assert_eq!(ran.load(Relaxed), before + 7, "all but the one in the LIFO slot");
        run_all(worker);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            worker.gather(|| {
                spawn(3);
                panic!("a driver");
            })
        }));
        assert!(panicked.is_err() && other.answer());
        run_all(worker);
        spawn(2);
        assert!(other.answer(), "it gathers no more");
        run_all(worker);
        worker.gather(|| {
            spawn(300);
            assert!(other.answer(), "what fills the ring does not wait for more");
        });
        run_all(worker);
    });
    assert_eq!(ran.load(Relaxed), 314);
    close(&handle, first, &other);
}

/// What was held back in a poll, or while others were woken before, says nothing about those who are
/// woken between two polls: the next one may take long.
#[test]
fn those_who_are_woken_between_polls_are_shared_at_once() {
    // One poll in a tick.
    let (handle, mut first, other) = with(Config { event_interval: 1, ..Config::default() });
    let spawner = {
        let (handle, other) = (handle.clone(), other.clone());
        async move {
            (0..2).for_each(|_| drop(handle.spawn(async {})));
            assert!(other.answer(), "the thief sleeps again");
        }
    };
    first.enter(|worker| {
        drop(handle.spawn(spawner));
        assert_eq!(worker.tick(), Tick::Ran);
        for turn in 0..3 {
            // It pushes aside the one in the LIFO slot.
            worker.gather(|| drop(handle.spawn(async {})));
            assert!(other.answer(), "turn {turn}");
        }
        while worker.tick() != Tick::Idle {}
    });
    close(&handle, first, &other);
}

/// What was held back in one poll says nothing about the next.
#[test]
fn another_poll_calls_at_once() {
    let (handle, mut first, other) = two();
    let calls = Arc::new(AtomicUsize::new(0));
    let spawner = || {
        let (handle, other, calls) = (handle.clone(), other.clone(), Arc::clone(&calls));
        async move {
            (0..2).for_each(|_| drop(handle.spawn(async {})));
            calls.fetch_add(usize::from(other.answer()), Relaxed);
        }
    };
    first.enter(|worker| {
        for _ in 0..3 {
            drop(handle.spawn(spawner()));
            while worker.tick() != Tick::Idle {}
        }
    });
    assert_eq!(calls.load(Relaxed), 3);
    close(&handle, first, &other);
}
