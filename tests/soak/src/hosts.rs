//! Runtimes that live for some milliseconds, and how they end.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use jenny::{
    runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime},
    sync::mpsc,
    task::{LocalSet, block_in_place},
    time::sleep,
};
use jenny_tests::Rng;

use crate::guests::{Place, expect, visit};

static RUNTIMES: AtomicU64 = AtomicU64::new(0);

/// How many runtimes there have been.
pub(crate) fn runtimes() -> u64 {
    RUNTIMES.load(Relaxed)
}

/// Runs one runtime after the other until the deadline.
pub(crate) fn host(mut rng: Rng, deadline: Instant) {
    while Instant::now() < deadline {
        RUNTIMES.fetch_add(1, Relaxed);
        match rng.below(5) {
            0 => local(&mut rng),
            1 => shared(current_thread(&mut rng).build().unwrap(), Place::ONE_THREAD, &mut rng),
            workers => {
                let runtime = multi_thread(&mut rng, workers - 1).build().unwrap();
                shared(runtime, Place::WORKERS, &mut rng);
            }
        }
    }
}

fn current_thread(rng: &mut Rng) -> Builder {
    settings(rng, Builder::new_current_thread())
}

fn multi_thread(rng: &mut Rng, workers: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).block_on_runs_tasks(rng.one_in(2));
    if rng.one_in(4) {
        builder.disable_lifo_slot();
    }
    settings(rng, builder)
}

fn settings(rng: &mut Rng, mut builder: Builder) -> Builder {
    builder.enable_all().max_blocking_threads(1 + rng.below(6));
    builder.thread_keep_alive(Duration::from_millis(rng.below(20) as u64));
    if rng.one_in(3) {
        builder.event_interval(1 + rng.below(100) as u32);
    }
    builder
}

/// A runtime that other threads use, too: some while it is driven, some until after its end.
fn shared(runtime: Runtime, place: Place, rng: &mut Rng) {
    let (here, mut gone) = mpsc::channel::<()>(1);
    let strangers: Vec<_> = (0..rng.below(3))
        .map(|_| {
            let (handle, mut rng, here) = (runtime.handle().clone(), rng.fork(), here.clone());
            thread::spawn(move || {
                stranger(&handle, place, &mut rng);
                drop(here);
                latecomer(&handle, place, &mut rng);
            })
        })
        .collect();
    drop(here);
    if rng.one_in(3) {
        let set = LocalSet::new();
        set.block_on(&runtime, visits(rng.fork(), Place { is_local: true, ..place }));
    }
    thread::scope(|scope| {
        if rng.one_in(2) {
            let (rng, runtime) = (rng.fork(), &runtime);
            scope.spawn(move || runtime.block_on(another(rng, place)));
        }
        runtime.block_on(async {
            visits(rng.fork(), place).await;
            // Nothing is ever sent.
            gone.recv().await;
        });
    });
    match rng.below(4) {
        0 | 1 => drop(runtime),
        2 => runtime.shutdown_timeout(Duration::from_millis(rng.below(20) as u64)),
        _ => runtime.shutdown_background(),
    }
    strangers.into_iter().for_each(|stranger| stranger.join().expect("strangers do not panic"));
}

/// The future of a second thread that waits at the same time.
async fn another(mut rng: Rng, place: Place) {
    visits(rng.fork(), place).await;
    if place.has_workers && rng.one_in(2) {
        block_in_place(|| Handle::current().block_on(visits(rng.fork(), place)));
    }
    visits(rng, place).await;
}

fn local(rng: &mut Rng) {
    let options = LocalOptions::default();
    let runtime: LocalRuntime = current_thread(rng).build_local(options).unwrap();
    runtime.block_on(visits(rng.fork(), Place { is_local: true, ..Place::ONE_THREAD }));
    match rng.below(4) {
        0 | 1 => drop(runtime),
        2 => runtime.shutdown_timeout(Duration::from_millis(rng.below(20) as u64)),
        _ => runtime.shutdown_background(),
    }
}

/// A thread of no runtime, which spawns on one and waits for it.
fn stranger(handle: &Handle, place: Place, rng: &mut Rng) {
    for _ in 0..rng.below(4) {
        let guest = visit(rng.fork(), place);
        if rng.one_in(2) {
            drop(handle.spawn(guest));
        } else {
            handle.block_on(guest);
        }
    }
}

/// The same while the runtime is shut down: what it spawns ends, or is cancelled.
fn latecomer(handle: &Handle, place: Place, rng: &mut Rng) {
    for _ in 0..rng.below(8) {
        let task = handle.spawn(visit(rng.fork(), place));
        if rng.one_in(2) {
            expect(handle.block_on(task));
        }
    }
}

/// Lets guests in for a while. Those that do not come to an end meet the shutdown.
async fn visits(mut rng: Rng, place: Place) {
    for _ in 0..1 + rng.below(8) {
        let guest = visit(rng.fork(), place);
        if rng.one_in(3) {
            guest.await;
        } else {
            drop(place.spawn(&mut rng, guest));
        }
    }
    sleep(Duration::from_millis(rng.below(20) as u64)).await;
}
