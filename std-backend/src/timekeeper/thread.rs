//! Timers outside of any runtime: a thread that does nothing but fire them, started by the first.

use std::{
    sync::{Arc, OnceLock, mpsc},
    thread::{self, Thread},
};

use super::{Home, Owner, Timekeeper, clock::Clock, wakes::Wakes};

/// The loop of the thread.
pub(crate) struct TimerThread(Thread);

impl Owner for TimerThread {
    fn is_here(&self) -> bool {
        thread::current().id() == self.0.id()
    }

    // The token is sticky. Wakers run on this thread, and may use it up; the loop asks the wheel
    // after that, and before it parks.
    fn unpark(&self) {
        self.0.unpark();
    }

    fn has_timers(&self) {}
}

/// The wakers of the thread. Starts it.
///
/// # Panics
/// If the system gives no thread.
pub(crate) fn wakes() -> &'static Arc<Wakes<TimerThread>> {
    static WAKES: OnceLock<Arc<Wakes<TimerThread>>> = OnceLock::new();
    WAKES.get_or_init(start)
}

fn start() -> Arc<Wakes<TimerThread>> {
    let (give, take) = mpsc::channel::<Home<TimerThread>>();
    let started = thread::Builder::new().name("jenny-timers".into()).spawn(move || {
        if let Ok(home) = take.recv() {
            fire_for_ever(&home);
        }
    });
    let thread = match started {
        Ok(joiner) => joiner.thread().clone(),
        Err(error) => panic!(
            "a timer outside of any runtime needs a thread, and the system gives none ({error}): \
             raise the limit of threads, or wait inside of a runtime with `enable_time`"
        ),
    };
    let timekeeper = Timekeeper::new(Clock::new(false), [TimerThread(thread)]);
    let wakes = Arc::clone(&timekeeper.wakes()[0]);
    give.send(wakes.home().clone()).expect("the thread waits for it");
    wakes
}

fn fire_for_ever(home: &Home<TimerThread>) -> ! {
    loop {
        home.fire_due();
        match home.time_left() {
            Some(duration) => thread::park_timeout(duration),
            None => thread::park(),
        }
    }
}
