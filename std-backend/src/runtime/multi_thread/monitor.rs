//! The thread that notices when a worker is stuck.
//!
//! A worker that is inside a long poll cannot fire its timers or turn the driver, and what is in its
//! LIFO slot waits. The monitor looks every [`PERIOD`] whether a worker is still in the poll that it
//! was in before, sooner if it may be, and hands what it neglects to the others. It runs no tasks.
//! When all workers sleep it rests until one has been awake for a while (`park/dormancy.rs`). Its
//! thread starts when there is a second thing to look after: a worker that is stuck in a runtime's only
//! task keeps nobody waiting, and a thread is a fifth of the memory of a small runtime.
//!
//! Sleepers that wake up by themselves now and then could do the same without a thread. But then each
//! park arms a timer: measured, that made the round trip from `block_on` through a task a fifth more
//! expensive.

use std::{
    io, mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{super::timing::fire_neglected, Team};
use crate::{
    context::{self, Running},
    park::{Alarm, Dormancy},
};

/// While the monitor is awake, no stuck worker goes unnoticed for longer than two of these.
pub(super) const PERIOD: Duration = Duration::from_millis(3);

/// The time to the next look if a worker may be stuck, and something would be with it.
const SHORT_PERIOD: Duration = Duration::from_millis(1);

/// So many looks in a row find everybody asleep before the monitor rests.
const QUIET_LOOKS: u32 = 10;

/// How long a worker may have been awake when the monitor rests. No less: to put off an alarm that is
/// the next thing for which the processor would awake costs several times as much as another, since the
/// hardware has to be told.
const CALL_AFTER: Duration = Duration::from_millis(10);

/// What others tell the monitor.
pub(super) struct Monitor {
    dormancy: Dormancy,
    alarm: Alarm,
    ends: AtomicBool,
    thread: Mutex<Thread>,
}

/// The monitor's thread.
#[derive(Debug)]
enum Thread {
    NotYet,
    Started(JoinHandle<()>),
    /// Or there will be none.
    Taken,
}

impl Monitor {
    /// A monitor for several workers; `None` for one.
    ///
    /// # Errors
    /// The system is out of file descriptors.
    pub(super) fn new(workers: usize) -> io::Result<Option<Self>> {
        if workers == 1 {
            return Ok(None);
        }
        Ok(Some(Self {
            dormancy: Dormancy::new(workers),
            alarm: Alarm::new()?,
            ends: AtomicBool::new(false),
            thread: Mutex::new(Thread::NotYet),
        }))
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has its thread, unless that has been; false if the system gives none.
    pub(super) fn start(&self, start: impl FnOnce() -> io::Result<JoinHandle<()>>) -> bool {
        let mut thread = self.thread();
        if matches!(*thread, Thread::NotYet)
            && let Ok(started) = start()
        {
            *thread = Thread::Started(started);
        }
        !matches!(*thread, Thread::NotYet)
    }

    /// Whether its thread was started.
    #[cfg(test)]
    pub(super) fn is_started(&self) -> bool {
        matches!(*self.thread(), Thread::Started(_))
    }

    /// Its thread, once, if it has any. It will not have another one.
    pub(super) fn take_thread(&self) -> Option<JoinHandle<()>> {
        match mem::replace(&mut *self.thread(), Thread::Taken) {
            Thread::Started(thread) => Some(thread),
            Thread::NotYet | Thread::Taken => None,
        }
    }

    /// Says that a worker is parked, until the guard is dropped: also if the driver panics.
    #[inline]
    pub(super) fn parks(&self, worker: usize) -> Parked<'_> {
        self.left(worker);
        self.parked(worker)
    }

    /// Ends what [`left`](Self::left) has said when it is dropped.
    #[inline]
    pub(super) fn parked(&self, worker: usize) -> Parked<'_> {
        Parked { monitor: self, worker }
    }

    /// Says that a worker is left without a thread that is awake.
    #[inline]
    pub(super) fn left(&self, worker: usize) {
        self.dormancy.parks(worker);
    }

    /// Says that a thread goes on with a worker.
    #[inline]
    pub(super) fn taken(&self, worker: usize) {
        if self.dormancy.awakes(worker) {
            self.alarm.put_off(CALL_AFTER);
        }
    }

    /// Ends the monitor's thread, or sees to it that there will be none.
    pub(super) fn end(&self) {
        let mut thread = self.thread();
        if let Thread::NotYet = *thread {
            *thread = Thread::Taken;
            return;
        }
        // Ordering: Release pairs with the Acquire in `sleep`, through the alarm at the latest.
        self.ends.store(true, Ordering::Release);
        self.alarm.set(Duration::ZERO);
    }

    /// Sleeps for so long, or until it is called; false if the monitor is to end.
    fn sleep(&self, period: Option<Duration>) -> bool {
        if let Some(period) = period {
            self.alarm.set(period);
        }
        // In between it may be told to end. That has set the alarm before, and left a mark, or sets it
        // now.
        let ends = || self.ends.load(Ordering::Acquire);
        if !ends() {
            self.alarm.wait();
        }
        !ends()
    }
}

/// Says that a worker is parked.
#[must_use]
pub(super) struct Parked<'a> {
    monitor: &'a Monitor,
    worker: usize,
}

impl Drop for Parked<'_> {
    #[inline]
    fn drop(&mut self) {
        self.monitor.taken(self.worker);
    }
}

/// The monitor's thread.
pub(super) fn run(team: &Team) {
    // The wakers that it calls may not wait for the runtime, and so for this thread.
    let _running = context::start_running(Running::Worker);
    let Team { scheduler, ambient, monitor: Some(monitor), .. } = team else { return };
    let mut glances = scheduler.glances();
    loop {
        let (mut quiet, mut was_soon) = (0, false);
        while quiet < QUIET_LOOKS {
            let look = scheduler.look_after(&mut glances, |worker, is_stuck| {
                fire_neglected(ambient, worker, is_stuck)
            });
            // Whoever sleeps beside a free driver sleeps on when a stuck worker has left it.
            let somebody_sleeps = look.awake < scheduler.workers();
            let undriven = look.awake > 0 && somebody_sleeps && !team.driver.is_held();
            if undriven && look.stuck > 0 {
                scheduler.recruit();
            }
            quiet = if look.awake == 0 { quiet + 1 } else { 0 };
            // A look soon after another tells who is stuck. If nobody is, those that are slow go from
            // poll to poll, and are looked after like the others.
            let may_be_stuck = look.stuck > 0 || (look.slow > 0 && !was_soon);
            let soon = may_be_stuck && (look.exposed || undriven);
            was_soon = soon;
            if !monitor.sleep(Some(if soon { SHORT_PERIOD } else { PERIOD })) {
                return;
            }
        }
        while monitor.dormancy.begin() {
            if !monitor.sleep(None) {
                return;
            }
        }
    }
}
