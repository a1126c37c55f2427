//! A worker of the stealing scheduler in the hands of one thread: exact, and the same each time.

use jenny_core::{
    scheduler::{Tick, stealing},
    task::JoinHandle,
};

use super::Case;
use crate::{
    machine::{Machine, Stepped, run},
    meter::{Counts, count},
    task::{Waits, Yields, poll_once, take_wakers},
};

type Worker<'a> = stealing::Entered<'a, Machine>;

/// How many tasks a tick runs.
const TICK: u64 = 61;

/// As many operations as fit the ring, in whole ticks: a tick that finds too few tasks goes to sleep.
const MOST: u64 = 3 * TICK;

/// The paths of the core.
pub const CASES: &[Case] = &[
    Case { name: "spawn, worker", tokio: "6 (4 shared)", threads: false, run: spawn },
    Case { name: "wake by ref, worker", tokio: "1", threads: false, run: wake_by_ref },
    Case { name: "wake by value, worker", tokio: "2", threads: false, run: wake_by_value },
    Case { name: "poll, then idle", tokio: "", threads: false, run: poll },
    Case { name: "yield", tokio: "5 + 1 pop", threads: false, run: yields },
    Case { name: "poll, complete, free", tokio: "7 (1 shared)", threads: false, run: complete },
    Case { name: "poll, complete, handle held", tokio: "", threads: false, run: complete_held },
    Case { name: "join of a complete task", tokio: "6 + 1 shared", threads: false, run: join },
    Case { name: "spawn, outside", tokio: "10 (8 shared)", threads: false, run: spawn_outside },
    Case { name: "wake by ref, outside", tokio: "", threads: false, run: wake_outside },
    Case { name: "poll of a task from outside", tokio: "", threads: false, run: take_in },
    Case { name: "steal, for each task", tokio: "", threads: false, run: steal },
];

/// Two workers; the first has been busy, so that ids, credit and memory for its lists are there.
fn scheduler() -> (Stepped, stealing::Handle<Machine>) {
    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    stepped.on(0, |worker| {
        for _ in 0..MOST {
            drop(handle.spawn(async {}));
        }
        run(worker);
        // The run ended in a sleep.
        worker.wake_up();
    });
    (stepped, handle)
}

fn on_worker(
    operations: u64,
    body: impl FnOnce(&Worker<'_>, &stealing::Handle<Machine>, u64) -> Counts,
) -> Counts {
    let operations = operations.min(MOST);
    let (mut stepped, handle) = scheduler();
    stepped.on(0, |worker| body(worker, &handle, operations))
}

fn spawn_all(handle: &stealing::Handle<Machine>, number: u64) -> Vec<JoinHandle<()>> {
    (0..number).map(|_| handle.spawn(async {})).collect()
}

/// Tasks that have been polled once, and their wakers.
fn waiting(
    worker: &Worker<'_>,
    handle: &stealing::Handle<Machine>,
    number: u64,
) -> Vec<std::task::Waker> {
    for _ in 0..number {
        drop(handle.spawn(Waits::default()));
    }
    run(worker);
    worker.wake_up();
    take_wakers()
}

fn spawn(operations: u64) -> Counts {
    on_worker(operations, |_, handle, operations| {
        let mut joins = Vec::with_capacity(operations as usize);
        count(operations, || {
            for _ in 0..operations {
                joins.push(handle.spawn(async {}));
            }
            joins
        })
    })
}

fn wake_by_ref(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        let wakers = waiting(worker, handle, operations);
        count(operations, || wakers.iter().for_each(|waker| waker.wake_by_ref()))
    })
}

fn wake_by_value(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        let wakers = waiting(worker, handle, operations);
        count(operations, || wakers.into_iter().for_each(|waker| waker.wake()))
    })
}

fn poll(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        let wakers = waiting(worker, handle, operations);
        wakers.iter().for_each(|waker| waker.wake_by_ref());
        count(operations, || ticks(worker, operations))
    })
}

/// Ticks for so many polls, in whole ticks.
fn ticks(worker: &Worker<'_>, polls: u64) {
    for _ in 0..polls / TICK {
        tick(worker);
    }
}

fn tick(worker: &Worker<'_>) {
    assert_eq!(worker.tick(), Tick::Ran);
}

fn yields(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        // A whole number of ticks.
        let operations = operations.next_multiple_of(TICK);
        drop(handle.spawn(Yields(operations + TICK)));
        tick(worker);
        count(operations, || ticks(worker, operations))
    })
}

fn complete(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        drop(spawn_all(handle, operations));
        count(operations, || ticks(worker, operations))
    })
}

fn complete_held(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        let joins = spawn_all(handle, operations);
        count(operations, || {
            ticks(worker, operations);
            joins
        })
    })
}

fn join(operations: u64) -> Counts {
    on_worker(operations, |worker, handle, operations| {
        let joins = spawn_all(handle, operations);
        run(worker);
        count(operations, || {
            for mut join in joins {
                assert!(poll_once(&mut join).is_ready());
            }
        })
    })
}

fn spawn_outside(operations: u64) -> Counts {
    let (_stepped, handle) = scheduler();
    count(operations, || spawn_all(&handle, operations))
}

fn wake_outside(operations: u64) -> Counts {
    let (mut stepped, handle) = scheduler();
    let operations = operations.min(MOST);
    let wakers = stepped.on(0, |worker| waiting(worker, &handle, operations));
    count(operations, || wakers.iter().for_each(|waker| waker.wake_by_ref()))
}

fn take_in(operations: u64) -> Counts {
    let (mut stepped, handle) = scheduler();
    let operations = operations.min(MOST);
    drop(spawn_all(&handle, operations));
    stepped.on(0, |worker| count(operations, || ticks(worker, operations)))
}

fn steal(operations: u64) -> Counts {
    let (mut stepped, handle) = scheduler();
    let operations = operations.min(MOST);
    // One remains in the LIFO slot, which no thief takes.
    stepped.on(0, |_| drop(spawn_all(&handle, operations + 1)));
    stepped.on(1, |worker| count(operations, || ticks(worker, operations)))
}
