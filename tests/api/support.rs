//! How the tests of this suite meet a runtime.

use std::{
    panic::resume_unwind,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use jenny::{
    runtime::{Builder, EnterGuard, Handle, LocalOptions, LocalRuntime, Runtime, RuntimeMetrics},
    task::{JoinHandle, TrySpawnError},
};

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of runtime that every behaviour has to hold on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    CurrentThread,
    Local,
    OneWorker,
    FourWorkers,
}

impl Flavour {
    /// For what neither this suite's runtimes nor `build_with` offer; a local runtime is built as a
    /// current-thread one.
    pub(crate) fn builder(self) -> Builder {
        let mut builder = if self.has_one_thread() {
            Builder::new_current_thread()
        } else {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(self.workers());
            builder
        };
        builder.enable_all();
        builder
    }

    pub(crate) fn build(self) -> TestRuntime {
        self.build_with(|builder| builder)
    }

    /// Builds a runtime with everything enabled and the given settings.
    pub(crate) fn build_with(
        self,
        settings: impl FnOnce(&mut Builder) -> &mut Builder,
    ) -> TestRuntime {
        self.build_from(settings(&mut self.builder()))
    }

    /// Builds a runtime by a builder of this flavour.
    pub(crate) fn build_from(self, builder: &mut Builder) -> TestRuntime {
        match self {
            Self::Local => {
                TestRuntime::Local(builder.build_local(LocalOptions::default()).unwrap())
            }
            _ => TestRuntime::Shared(builder.build().unwrap()),
        }
    }

    /// Builds a runtime that other threads may use, too.
    pub(crate) fn build_shared(self) -> Runtime {
        assert!(self != Self::Local, "a local runtime stays on its thread");
        self.builder().build().unwrap()
    }

    /// Whether tasks run on the thread in `block_on` only.
    pub(crate) fn has_one_thread(self) -> bool {
        matches!(self, Self::CurrentThread | Self::Local)
    }

    pub(crate) fn workers(self) -> usize {
        if self == Self::FourWorkers { 4 } else { 1 }
    }

    /// Keeps every worker in a poll until the guard is dropped, so that what is spawned meanwhile
    /// stays queued. A runtime of one thread must not be in `block_on`, and then runs nothing anyway.
    pub(crate) fn occupy(self, runtime: &Handle) -> Occupied {
        if self.has_one_thread() {
            return Occupied(None);
        }
        let everybody_is_in = Arc::new(Barrier::new(self.workers() + 1));
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        for _ in 0..self.workers() {
            let (everybody_is_in, held) = (Arc::clone(&everybody_is_in), Arc::clone(&held));
            runtime.spawn(async move {
                everybody_is_in.wait();
                // Ends with an error when the guard drops its end.
                held.lock().unwrap().recv().unwrap_err();
            });
        }
        everybody_is_in.wait();
        Occupied(Some(release))
    }
}

/// A runtime of any flavour, with what all of them offer. On a local one tasks are spawned as local
/// ones, and it stays on its thread.
#[derive(Debug)]
pub(crate) enum TestRuntime {
    Shared(Runtime),
    Local(LocalRuntime),
}

macro_rules! delegate {
    ($self:ident, $runtime:ident => $call:expr) => {
        match $self {
            Self::Shared($runtime) => $call,
            Self::Local($runtime) => $call,
        }
    };
}

impl TestRuntime {
    #[track_caller]
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Self::Shared(runtime) => runtime.spawn(future),
            Self::Local(runtime) => runtime.spawn_local(future),
        }
    }

    #[track_caller]
    pub(crate) fn spawn_blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        delegate!(self, runtime => runtime.spawn_blocking(work))
    }

    pub(crate) fn try_spawn_blocking<F, R>(
        &self,
        work: F,
    ) -> Result<JoinHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        delegate!(self, runtime => runtime.try_spawn_blocking(work))
    }

    #[track_caller]
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        delegate!(self, runtime => runtime.block_on(future))
    }

    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        delegate!(self, runtime => runtime.enter())
    }

    pub(crate) fn handle(&self) -> &Handle {
        delegate!(self, runtime => runtime.handle())
    }

    pub(crate) fn metrics(&self) -> RuntimeMetrics {
        delegate!(self, runtime => runtime.metrics())
    }

    pub(crate) fn shutdown_timeout(self, timeout: Duration) {
        delegate!(self, runtime => runtime.shutdown_timeout(timeout));
    }

    pub(crate) fn shutdown_background(self) {
        delegate!(self, runtime => runtime.shutdown_background());
    }
}

/// Keeps workers busy. Made by [`Flavour::occupy`].
#[must_use]
pub(crate) struct Occupied(
    #[expect(dead_code, reason = "held for its drop")] Option<mpsc::Sender<()>>,
);

/// Runs a test, and fails if it hangs.
pub(crate) fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// Waits for what another thread is about to do.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "this never happens");
        thread::sleep(Duration::from_micros(100));
    }
}

/// Makes of each function one test per flavour.
macro_rules! on_every_runtime {
    ($($(#[$attribute:meta])* fn $name:ident($flavour:ident: Flavour) $body:block)*) => {$(
        $crate::support::on_runtimes! {
            [on_the_current_thread: CurrentThread, on_a_local_runtime: Local,
             on_one_worker: OneWorker, on_four_workers: FourWorkers]
            $(#[$attribute])* fn $name($flavour: Flavour) $body
        }
    )*};
}
pub(crate) use on_every_runtime;

/// As [`on_every_runtime`], for what takes the runtime itself to another thread.
macro_rules! on_every_shared_runtime {
    ($($(#[$attribute:meta])* fn $name:ident($flavour:ident: Flavour) $body:block)*) => {$(
        $crate::support::on_runtimes! {
            [on_the_current_thread: CurrentThread,
             on_one_worker: OneWorker, on_four_workers: FourWorkers]
            $(#[$attribute])* fn $name($flavour: Flavour) $body
        }
    )*};
}
pub(crate) use on_every_shared_runtime;

macro_rules! on_runtimes {
    (
        [$($test:ident: $variant:ident),*]
        $(#[$attribute:meta])* fn $name:ident($flavour:ident: Flavour) $body:block
    ) => {
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use crate::support::{Flavour, within_a_minute};

            fn test($flavour: Flavour) $body

            $(
                #[test]
                fn $test() {
                    within_a_minute(|| test(Flavour::$variant));
                }
            )*
        }
    };
}
pub(crate) use on_runtimes;
