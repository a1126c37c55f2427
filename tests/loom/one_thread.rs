//! The end of the current-thread and of the local runtime: the loop that cancels their tasks, over
//! the parker that they sleep in.

use jenny::loom_internals::{
    park::{NoDriver, Parker, SharedDriver, Unparker},
    runtime::stop,
};
use jenny_core::scheduler::{
    Tick,
    local::{self, Config, Handle, Worker},
};
use loom::thread;

use crate::{
    harness::{Bounds, check},
    local_set::Stays,
    platform::Modelled,
    task::{Waits, ready, result},
};

type Platform = Modelled<Unparker<NoDriver>>;

fn new() -> (Handle<Platform>, Worker<Platform>, Parker<NoDriver>) {
    let parker = Parker::new(SharedDriver::without_driver());
    let (handle, worker) = local::new(Modelled::new(0), parker.unparker(), Config::default());
    (handle, worker, parker)
}

/// As the drop of a runtime does it.
fn shut_down(handle: Handle<Platform>, worker: Worker<Platform>, mut parker: Parker<NoDriver>) {
    handle.close();
    drop(handle);
    worker.enter(|worker| stop(worker, &mut parker));
    drop((worker, parker));
}

#[test]
fn wake_during_shutdown_of_current_thread() {
    check("current-thread: wake during shutdown", Bounds::preemptions(3), || {
        let (handle, worker, parker) = new();
        let (future, [announcement], place) = Waits::new();
        let join = handle.spawn(future);
        worker.enter(|worker| assert_eq!(worker.tick(), Tick::Idle));
        let waker = place.take();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        shut_down(handle, worker, parker);
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        other.join().unwrap();
    });
}

/// One local task waits, another has not been taken out of the inbox; both are touched from
/// elsewhere, and both futures are dropped here.
#[test]
fn wake_during_shutdown_of_local_runtime() {
    check("local runtime: wake and abort during shutdown", Bounds::preemptions(3), || {
        let (handle, worker, parker) = new();
        let (future, [announcement], place) = Waits::new();
        // SAFETY: the worker stays on this thread until it has stopped.
        let spawn = |future| unsafe { handle.spawn_local(Stays::here(future)) };
        let waits = spawn(future);
        worker.enter(|worker| assert_eq!(worker.tick(), Tick::Idle));
        let waker = place.take();
        let (future, [_], _) = Waits::<1>::new();
        let fresh = spawn(future);
        let abort = fresh.abort_handle();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
            abort.abort();
        });
        shut_down(handle, worker, parker);
        assert!(result(waits).map_or_else(|error| error.is_cancelled(), |_| true));
        assert!(result(fresh).is_err_and(|error| error.is_cancelled()));
        other.join().unwrap();
    });
}

/// From another thread, tasks that are `Send`: run, cancelled by the runtime, or by their spawner.
#[test]
fn spawn_during_shutdown() {
    check("local runtime: spawn during shutdown", Bounds::preemptions(3), || {
        let (handle, worker, parker) = new();
        let spawner = handle.clone();
        let other = thread::spawn(move || spawner.spawn(ready()));
        shut_down(handle, worker, parker);
        let join = other.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}
