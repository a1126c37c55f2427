//! Stopping the clock and moving it on, for tests.

use std::{future::poll_fn, task::Poll, time::Duration};

use crate::{
    context::{self, Ambient},
    timekeeper::clock::Refused,
};

/// Stops the clock of the current runtime.
///
/// From now on [`Instant::now`](super::Instant::now) returns the same instant until the clock is
/// moved by [`advance`] or started by [`resume`]. Sockets, threads and
/// [`std::time::Instant`] know nothing of this.
///
/// # Auto-advance
/// When the runtime has nothing else to do, the clock jumps to the next deadline. So a test that
/// sleeps for an hour is over at once, and timers fire in the order of their deadlines, those with
/// the same deadline in the order in which they began to wait. The runtime has nothing to do if no
/// task is ready, the I/O driver has nothing to report and no closure of
/// [`spawn_blocking`](crate::task::spawn_blocking) is queued or running.
///
/// # Panics
/// If the clock is paused already, if the runtime has several threads, and if there is none.
///
/// # Examples
/// ```
/// use jenny::time::{Duration, Instant, pause, sleep};
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// pause();
/// let start = Instant::now();
/// sleep(Duration::from_secs(3600)).await;
/// assert!(start.elapsed() >= Duration::from_secs(3600));
/// # }
/// ```
#[track_caller]
pub fn pause() {
    let ambient = context::current();
    changed(&ambient, ambient.time.clock().stop());
}

/// Lets the clock of the current runtime run again, from what it shows.
///
/// # Panics
/// If the clock is not paused, and if there is no runtime.
#[track_caller]
pub fn resume() {
    let ambient = context::current();
    changed(&ambient, ambient.time.clock().run());
}

/// Moves the paused clock of the current runtime.
///
/// Fires what is due then, in the order of deadlines, and yields once to those that this has woken.
/// Whoever wants to see more than their next step has to wait for them. The clock is moved at once,
/// so a task that sleeps twice sees the first deadline and the second pass together; several smaller
/// steps, or auto-advance, keep them apart.
///
/// # Panics
/// If the clock is not paused, if it cannot go so far, and if there is no runtime.
///
/// # Cancel safety
/// The clock is moved by the first poll.
pub async fn advance(duration: Duration) {
    let ambient = context::current();
    changed(&ambient, ambient.time.clock().advance(duration));
    ambient.time.fire_due();
    drop(ambient);
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[track_caller]
fn changed(ambient: &Ambient, result: Result<(), Refused>) {
    match result {
        Ok(()) => ambient.time.clock_changed(),
        Err(refused) => panic!("{refused}"),
    }
}
