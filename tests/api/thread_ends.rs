//! What the destructors of thread-local variables do when a thread of the runtime ends.

use std::{
    any::Any,
    cell::RefCell,
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Handle, Runtime},
    task::{block_in_place, spawn},
};

use crate::support::{Flavour, on_every_runtime, on_every_shared_runtime, within_a_minute};

thread_local! {
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Says that it is being dropped, and takes as long as the sender lives.
struct Slow {
    begun: mpsc::Sender<()>,
    release: mpsc::Receiver<()>,
}

impl Slow {
    fn new() -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begun, has_begun) = mpsc::channel();
        let (hold, release) = mpsc::channel();
        (Self { begun, release }, has_begun, hold)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.begun.send(()).unwrap();
        self.release.recv().unwrap_err();
    }
}

/// Says that it has dropped a runtime.
struct Last {
    runtime: Option<Runtime>,
    done: mpsc::Sender<()>,
}

impl Drop for Last {
    fn drop(&mut self) {
        drop(self.runtime.take());
        self.done.send(()).unwrap();
    }
}

/// Gives the thread of a worker something to hold, and takes the worker away, so that it ends.
fn end_a_worker(runtime: &Handle, held: impl FnOnce() -> Box<dyn Any> + Send + 'static) {
    runtime.spawn(async move {
        HELD.set(Some(held()));
        let (run, has_run) = mpsc::channel();
        spawn(async move { run.send(()).unwrap() });
        // With one worker, only another thread can run it.
        block_in_place(|| has_run.recv().unwrap());
    });
}

on_every_runtime! {
    fn a_shutdown_that_waits_for_nothing_does_not_wait_for_them(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.thread_keep_alive(Default::default()));
        let (slow, has_begun, hold) = Slow::new();
        runtime.spawn_blocking(move || HELD.set(Some(Box::new(slow))));
        has_begun.recv().unwrap();
        runtime.shutdown_background();
        drop(hold);
    }

    fn a_shutdown_with_a_time_out_gives_up_on_them(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.thread_keep_alive(Default::default()));
        let (slow, has_begun, hold) = Slow::new();
        runtime.spawn_blocking(move || HELD.set(Some(Box::new(slow))));
        has_begun.recv().unwrap();
        runtime.shutdown_timeout(Duration::from_millis(20));
        drop(hold);
    }

    fn a_shutdown_without_one_waits_for_them(flavour: Flavour) {
        let runtime = flavour.build();
        let (slow, has_begun, hold) = Slow::new();
        runtime.spawn_blocking(move || HELD.set(Some(Box::new(slow))));
        until_released(has_begun, hold, || drop(runtime));
    }
}

/// Asserts that something waits for a slow destructor.
fn until_released(begun: mpsc::Receiver<()>, hold: mpsc::Sender<()>, waits: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let is_over = &over;
    thread::scope(|scope| {
        scope.spawn(move || {
            begun.recv().unwrap();
            assert!(!is_over.load(SeqCst));
            drop(hold);
        });
        waits();
        over.store(true, SeqCst);
    });
}

/// Keeps the destructor of a worker's thread from ending for as long as the sender lives.
fn with_slow_worker(flavour: Flavour) -> (Runtime, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let runtime = flavour.build_shared();
    let (slow, has_begun, hold) = Slow::new();
    runtime.block_on(runtime.spawn(async move { HELD.set(Some(Box::new(slow))) })).unwrap();
    (runtime, has_begun, hold)
}

#[test]
fn nor_does_one_with_a_time_out_wait_longer_for_those_of_a_worker() {
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        within_a_minute(move || {
            let (runtime, has_begun, hold) = with_slow_worker(flavour);
            runtime.shutdown_timeout(Duration::from_millis(20));
            has_begun.recv().unwrap();
            drop(hold);
        });
    }
}

#[test]
fn one_without_a_time_out_waits_for_those_of_workers() {
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        within_a_minute(move || {
            let (runtime, has_begun, hold) = with_slow_worker(flavour);
            until_released(has_begun, hold, || drop(runtime));
        });
    }
}

#[test]
fn nor_for_those_of_a_worker_that_was_handed_off() {
    within_a_minute(|| {
        let runtime = Flavour::OneWorker.build_shared();
        let (slow, has_begun, hold) = Slow::new();
        end_a_worker(runtime.handle(), || Box::new(slow));
        has_begun.recv().unwrap();
        runtime.shutdown_background();
        drop(hold);
    });
}

on_every_shared_runtime! {
    fn that_of_a_pool_thread_drops_its_runtime(flavour: Flavour) {
        let mut builder = flavour.builder();
        let runtime = builder.thread_keep_alive(Default::default()).build().unwrap();
        let handle = runtime.handle().clone();
        let (done, is_done) = mpsc::channel();
        let last = Last { runtime: Some(runtime), done };
        handle.spawn_blocking(move || HELD.set(Some(Box::new(last))));
        is_done.recv().unwrap();
    }
}

#[test]
fn that_of_a_worker_that_was_handed_off_drops_its_runtime() {
    within_a_minute(|| {
        let runtime = Flavour::OneWorker.build_shared();
        let (give, take) = mpsc::channel::<Runtime>();
        let (done, is_done) = mpsc::channel();
        end_a_worker(runtime.handle(), move || {
            Box::new(Last { runtime: Some(take.recv().unwrap()), done })
        });
        give.send(runtime).unwrap();
        is_done.recv().unwrap();
    });
}
