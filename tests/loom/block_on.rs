//! `block_on` of the multi-thread runtime: a thread that is no worker sleeps in its `ThreadParker`
//! until a worker has what it waits for. If a wake is lost, loom reports a deadlock.

use std::{
    pin::pin,
    sync::Arc as StdArc,
    task::{Context, Poll, Waker},
};

use jenny::loom_internals::park::ThreadParker;
use jenny_core::scheduler::{
    Tick,
    stealing::{self, Config, Handle, Worker},
};
use loom::thread;

use crate::{
    harness::{Bounds, check},
    platform::{Modelled, Parker},
    task::ready,
};

fn start() -> (Handle<Modelled>, thread::JoinHandle<()>) {
    let parker = Parker::new();
    let (handle, workers) = stealing::new(Modelled::new(0), [parker.unparker()], Config::default());
    let worker = workers.into_iter().next().unwrap();
    (handle, thread::spawn(move || run(worker, &parker)))
}

fn run(mut worker: Worker<Modelled>, parker: &Parker) {
    worker.enter(|worker| {
        loop {
            match worker.tick() {
                Tick::Stopped | Tick::HandedOff => return,
                Tick::Idle => parker.park(),
                Tick::Ran => {}
            }
        }
    });
}

/// The loop of `runtime/handle.rs`, which needs a context that is not there under a model checker.
fn block_on<F: Future>(future: F) -> F::Output {
    let parker = StdArc::new(ThreadParker::for_this_thread());
    let waker = Waker::from(StdArc::clone(&parker));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        parker.park();
    }
}

#[test]
fn tasks_that_spawn_tasks() {
    check("block_on: a task that spawns a task", Bounds::preemptions(2), || {
        let (handle, worker) = start();
        let inner = handle.clone();
        let outcome = block_on(async {
            let outer = handle.spawn(async move { inner.spawn(ready()).await });
            outer.await
        });
        assert!(outcome.unwrap().is_ok());
        handle.close();
        worker.join().unwrap();
    });
}

/// The worker has the tasks of others to run as well.
#[test]
fn under_load() {
    check("block_on: another thread spawns", Bounds::preemptions(1), || {
        let (handle, worker) = start();
        let other = handle.clone();
        let other = thread::spawn(move || drop(other.spawn(ready())));
        assert!(block_on(handle.spawn(ready())).is_ok());
        handle.close();
        worker.join().unwrap();
        other.join().unwrap();
    });
}

/// The future that is waited for is cancelled, or done, and its waiter awakes either way.
#[test]
fn against_shutdown() {
    check("block_on: against shutdown", Bounds::preemptions(1), || {
        let (handle, worker) = start();
        let closer = handle.clone();
        let closer = thread::spawn(move || closer.close());
        let outcome = block_on(handle.spawn(ready()));
        assert!(outcome.map_or_else(|error| error.is_cancelled(), |_| true));
        drop(handle);
        closer.join().unwrap();
        worker.join().unwrap();
    });
}
