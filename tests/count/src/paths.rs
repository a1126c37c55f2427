//! Single-thread paths for callgrind: `paths NAME OPERATIONS` does so many operations of one, and
//! `paths` alone lists the names. The instructions of an operation are the difference between two
//! runs, so what starts and ends a run does not count. Nothing here depends on a seed or on what a
//! clock says.

use std::{
    future::poll_fn,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use jenny::{
    runtime::{Builder, LocalRuntime, Runtime},
    task::{JoinSet, yield_now},
    time::sleep,
};
use jenny_core::time::{Timer, Timers};
use jenny_count::{
    machine::{Lock, Stepped, run},
    task::{Waits, Yields, poll_once, take_wakers},
};

type Path = (&'static str, fn(u64));

const PATHS: &[Path] = &[
    ("worker: spawn, run, join", worker_spawn_join),
    ("worker: spawn, run, detached", worker_detached),
    ("worker: wake by ref, poll", worker_wake),
    ("worker: clone, wake by value, poll", worker_wake_by_value),
    ("worker: yield", worker_yield),
    ("worker: spawn from outside, run", worker_outside),
    ("current_thread: spawn, join", current_spawn_join),
    ("current_thread: spawn, join in a task", current_join_in_task),
    ("current_thread: spawn, detached", current_detached),
    ("current_thread: yield", current_yield),
    ("current_thread: block_on", current_block_on),
    ("LocalRuntime: spawn_local, join", local_spawn_join),
    ("LocalRuntime: spawn_local, join in a task", local_join_in_task),
    ("LocalRuntime: yield", local_yield),
    ("JoinSet: spawn, join_next", join_set),
    ("sleep: insert, cancel", sleep_cancel),
    ("timer: insert, cancel", timer_cancel),
    ("timer: insert, fire", timer_fire),
    ("timer: reset to later", timer_reset),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let operations = arguments.next().and_then(|text| text.parse().ok()).expect("how many times");
    let (_, path) = PATHS.iter().find(|(of, _)| *of == name).expect("the name of a path");
    path(operations);
}

/// How many tasks are alive at once where there are several: they fit the ring.
const BATCH: u64 = 100;

fn worker_spawn_join(operations: u64) {
    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    stepped.on(0, |worker| {
        let mut joins = Vec::with_capacity(BATCH as usize);
        for _ in 0..operations / BATCH {
            joins.extend((0..BATCH).map(|number| handle.spawn(async move { number })));
            run(worker);
            joins
                .drain(..)
                .for_each(|mut join| assert!(black_box(poll_once(&mut join)).is_ready()));
        }
    });
}

fn worker_detached(operations: u64) {
    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    stepped.on(0, |worker| {
        for _ in 0..operations / BATCH {
            (0..BATCH).for_each(|number| drop(handle.spawn(async move { number })));
            run(worker);
        }
    });
}

fn worker_wake(operations: u64) {
    with_wakers(operations, |waker| waker.wake_by_ref());
}

#[expect(clippy::waker_clone_wake, reason = "what a channel does that keeps its waker")]
fn worker_wake_by_value(operations: u64) {
    with_wakers(operations, |waker| waker.clone().wake());
}

fn with_wakers(operations: u64, wake: impl Fn(&Waker)) {
    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    stepped.on(0, |worker| {
        (0..BATCH).for_each(|_| drop(handle.spawn(Waits::default())));
        run(worker);
        let wakers = take_wakers();
        for _ in 0..operations / BATCH {
            wakers.iter().for_each(&wake);
            run(worker);
        }
    });
}

fn worker_yield(operations: u64) {
    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    stepped.on(0, |worker| {
        drop(handle.spawn(Yields(operations)));
        run(worker);
    });
}

fn worker_outside(operations: u64) {
    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    for _ in 0..operations / BATCH {
        (0..BATCH).for_each(|number| drop(handle.spawn(async move { number })));
        stepped.on(0, run);
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().expect("built")
}

async fn spawn_and_join(operations: u64) {
    for number in 0..operations {
        black_box(jenny::spawn(async move { number }).await.expect("joined"));
    }
}

async fn yields(operations: u64) {
    for _ in 0..operations {
        yield_now().await;
    }
}

fn current_spawn_join(operations: u64) {
    current_thread().block_on(spawn_and_join(operations));
}

fn current_join_in_task(operations: u64) {
    let runtime = current_thread();
    runtime.block_on(runtime.spawn(spawn_and_join(operations))).expect("joined");
}

fn current_detached(operations: u64) {
    current_thread().block_on(async move {
        for _ in 0..operations / BATCH {
            (0..BATCH).for_each(|number| drop(jenny::spawn(async move { number })));
            // The tasks of a batch take two ticks.
            yield_now().await;
            yield_now().await;
        }
    });
}

fn current_yield(operations: u64) {
    let runtime = current_thread();
    runtime.block_on(runtime.spawn(yields(operations))).expect("joined");
}

fn current_block_on(operations: u64) {
    let runtime = current_thread();
    for number in 0..operations {
        black_box(runtime.block_on(async move { number }));
    }
}

async fn spawn_local_and_join(operations: u64) {
    for number in 0..operations {
        black_box(jenny::task::spawn_local(async move { number }).await.expect("joined"));
    }
}

fn local_spawn_join(operations: u64) {
    LocalRuntime::new().expect("built").block_on(spawn_local_and_join(operations));
}

fn local_join_in_task(operations: u64) {
    let runtime = LocalRuntime::new().expect("built");
    runtime.block_on(runtime.spawn_local(spawn_local_and_join(operations))).expect("joined");
}

fn local_yield(operations: u64) {
    let runtime = LocalRuntime::new().expect("built");
    runtime.block_on(runtime.spawn_local(yields(operations))).expect("joined");
}

fn join_set(operations: u64) {
    current_thread().block_on(async move {
        let mut set = JoinSet::new();
        for number in 0..operations {
            set.spawn(async move { number });
            black_box(set.join_next().await.expect("one").expect("joined"));
        }
    });
}

fn sleep_cancel(operations: u64) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("built");
    let task = runtime.spawn(poll_fn(move |context| {
        for _ in 0..operations {
            assert!(pin!(sleep(Duration::from_secs(60))).poll(context).is_pending());
        }
        Poll::Ready(())
    }));
    runtime.block_on(task).expect("joined");
}

/// Deadlines over all that a server waits for: from a tick to some minutes.
fn deadline(number: u64) -> u64 {
    1 + number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 200_000
}

fn timer_cancel(operations: u64) {
    let timers = Timers::<Lock>::new();
    let mut context = Context::from_waker(Waker::noop());
    for number in 0..operations {
        let mut timer = pin!(Timer::new(&timers));
        assert!(timer.as_mut().poll(deadline(number), || 0, &mut context).is_pending());
    }
}

fn timer_fire(operations: u64) {
    let timers = Timers::<Lock>::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut now = 0;
    for _ in 0..operations / BATCH {
        let mut batch: Vec<_> = (0..BATCH).map(|_| Timer::new(&timers)).collect();
        // SAFETY: the vector keeps its memory until it is dropped, and the timers with it.
        let pinned = |timer| unsafe { std::pin::Pin::new_unchecked(timer) };
        for (number, timer) in batch.iter_mut().enumerate() {
            let deadline = now + deadline(number as u64);
            assert!(pinned(timer).poll(deadline, || now, &mut context).is_pending());
        }
        while let Some(next) = timers.next(now) {
            now = next;
            timers.fire(now);
        }
        assert!(batch.iter().all(Timer::is_fired));
    }
}

fn timer_reset(operations: u64) {
    let timers = Timers::<Lock>::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut timer = pin!(Timer::new(&timers));
    assert!(timer.as_mut().poll(10, || 0, &mut context).is_pending());
    (0..operations).for_each(|number| timer.as_mut().reset(11 + number));
}
