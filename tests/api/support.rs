//! How the tests of this suite meet a runtime.

use std::{
    panic::resume_unwind,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use jenny::runtime::{Builder, Handle, Runtime};

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of runtime that every behaviour has to hold on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    CurrentThread,
    OneWorker,
    FourWorkers,
}

impl Flavour {
    pub(crate) fn builder(self) -> Builder {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::OneWorker | Self::FourWorkers => Builder::new_multi_thread(),
        };
        if self != Self::CurrentThread {
            builder.worker_threads(self.workers());
        }
        builder.enable_all();
        builder
    }

    pub(crate) fn build(self) -> Runtime {
        self.builder().build().unwrap()
    }

    pub(crate) fn workers(self) -> usize {
        if self == Self::FourWorkers { 4 } else { 1 }
    }

    /// Keeps every worker in a poll until the guard is dropped, so that what is spawned meanwhile
    /// stays queued. A current-thread runtime must not be in `block_on`, and then runs nothing anyway.
    pub(crate) fn occupy(self, runtime: &Handle) -> Occupied {
        if self == Self::CurrentThread {
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
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use crate::support::{Flavour, within_a_minute};

            fn test($flavour: Flavour) $body

            #[test]
            fn on_the_current_thread() {
                within_a_minute(|| test(Flavour::CurrentThread));
            }

            #[test]
            fn on_one_worker() {
                within_a_minute(|| test(Flavour::OneWorker));
            }

            #[test]
            fn on_four_workers() {
                within_a_minute(|| test(Flavour::FourWorkers));
            }
        }
    )*};
}
pub(crate) use on_every_runtime;
