//! The thread that notices when a worker is stuck.
//!
//! A worker that is inside a long poll cannot fire its timers or turn the driver, and what is in its
//! LIFO slot waits. The monitor looks every [`PERIOD`] whether a worker is still in the poll that it
//! was in before, and hands what it neglects to the others. It runs no tasks. When all workers have
//! slept for a while it rests until one awakes (`park/dormancy.rs`).
//!
//! Sleepers that wake up by themselves now and then could do the same without a thread. But then each
//! park arms a timer: measured, that made the round trip from `block_on` through a task a fifth more
//! expensive.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{super::timing::fire_neglected, Team};
use crate::{
    context::{self, Running},
    park::Dormancy,
};

/// The longest that a stuck worker goes unnoticed is this and [`SHORT_PERIOD`].
const PERIOD: Duration = Duration::from_millis(10);

/// The time to the next look if something would be stuck if its worker were.
const SHORT_PERIOD: Duration = Duration::from_millis(3);

/// How many looks in a row find everybody asleep before the monitor rests: about a second.
const QUIET_LOOKS: u32 = 100;

/// What others tell the monitor.
pub(super) struct Monitor {
    dormancy: Dormancy,
    orders: Mutex<Orders>,
    ordered: Condvar,
}

#[derive(Default)]
struct Orders {
    awake: bool,
    end: bool,
}

impl Monitor {
    pub(super) fn new(workers: usize) -> Self {
        Self { dormancy: Dormancy::new(workers), orders: Mutex::default(), ordered: Condvar::new() }
    }

    /// Says that a worker is parked, until the guard is dropped: also if the driver panics.
    #[inline]
    pub(super) fn parks(&self, worker: usize) -> Parked<'_> {
        self.dormancy.parks(worker);
        Parked { monitor: self, worker }
    }

    /// Ends the monitor's thread.
    pub(super) fn end(&self) {
        self.order(|orders| orders.end = true);
    }

    #[cold]
    fn order(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.lock());
        self.ordered.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until somebody calls; false if the monitor is to end.
    fn rest(&self) -> bool {
        let orders = self
            .ordered
            .wait_while(self.lock(), |orders| !orders.awake && !orders.end)
            .unwrap_or_else(PoisonError::into_inner);
        Self::obey(orders)
    }

    /// Sleeps for so long; false if the monitor is to end.
    fn sleep(&self, period: Duration) -> bool {
        let (orders, _) = self
            .ordered
            .wait_timeout_while(self.lock(), period, |orders| !orders.end)
            .unwrap_or_else(PoisonError::into_inner);
        Self::obey(orders)
    }

    fn obey(mut orders: MutexGuard<'_, Orders>) -> bool {
        orders.awake = false;
        !orders.end
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
        if self.monitor.dormancy.awakes(self.worker) {
            self.monitor.order(|orders| orders.awake = true);
        }
    }
}

/// The monitor's thread.
pub(super) fn run(team: &Team) {
    // The wakers that it calls may not wait for the runtime, and so for this thread.
    let _running = context::start_running(Running::Worker);
    let Team { scheduler, ambient, monitor, .. } = team;
    let mut glances = scheduler.glances();
    loop {
        if monitor.dormancy.begin() && !monitor.rest() {
            return;
        }
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            let look = scheduler.look_after(&mut glances, |worker| fire_neglected(ambient, worker));
            // Whoever sleeps beside a free driver sleeps on when a stuck worker has left it.
            let undriven = look.awake > 0 && !team.driver.is_held();
            if undriven && look.stuck > 0 {
                scheduler.recruit();
            }
            quiet = if look.awake == 0 { quiet + 1 } else { 0 };
            let soon = look.exposed || undriven;
            if !monitor.sleep(if soon { SHORT_PERIOD } else { PERIOD }) {
                return;
            }
        }
    }
}
