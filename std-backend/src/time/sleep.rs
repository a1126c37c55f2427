//! Waiting until a deadline.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{self, Duration},
};

use jenny_core::time::{Closed, Timer};
use pin_project_lite::pin_project;

use super::{Instant, error::Error};
use crate::{context::LateHome, coop};

/// Waits until `duration` is over, never shorter. A duration that the clock cannot express waits for
/// decades; one of zero does not wait.
///
/// Timers have a resolution of a millisecond: they are up to that much late, and then as late as the
/// task's turn comes.
///
/// The sleep belongs to the runtime that is current where it is made, whose clock it follows, and may
/// be polled anywhere. A runtime that is shut down fires nothing any more.
///
/// # Cost
/// Making one reads the clock and writes nothing but the sleep. The first poll puts it into the wheel
/// of the worker that polls, and a drop before the deadline takes it out again, each under a lock that
/// other workers hardly use. Nothing is allocated, but for the wheel itself, by the first sleep of
/// each worker.
///
/// # Panics
/// If there is no current runtime, or if it was built without
/// [`enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
/// ```
/// use jenny::time::{Duration, Instant, sleep};
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # }
/// ```
#[inline]
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    // The clock before the timer, which otherwise would have to be dropped if the clock panicked: it
    // would be made somewhere else and moved here.
    let deadline = Instant::now().after(duration);
    let ahead = ticks_above(duration);
    Sleep { deadline, ahead, timer: Timer::new(LateHome::in_current()) }
}

/// Waits until the deadline. See [`sleep`].
///
/// # Panics
/// As [`sleep`].
#[inline]
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, ahead: 0, timer: Timer::new(LateHome::in_current()) }
}

/// So many ticks, or a few more, that they are longer than the duration, and not shorter whatever
/// fractions of ticks it begins and ends with; 0 if it is over at once, or takes weeks.
#[inline]
fn ticks_above(duration: Duration) -> u32 {
    match duration.as_secs() {
        _ if duration.is_zero() => 0,
        // The bound keeps the ticks in their word.
        seconds @ ..4_000_000 => seconds as u32 * 1000 + duration.subsec_millis() + 2,
        _ => 0,
    }
}

pin_project! {
    /// Waits until a deadline. Made by [`sleep`] and [`sleep_until`].
    ///
    /// It is a node of its worker's wheel, so it has to be pinned before it is polled: by `.await`,
    /// by [`std::pin::pin!`], or in a [`Box::pin`] if it is to be moved, and to be
    /// [`reset`](Self::reset) again and again.
    ///
    /// # Cancel safety
    /// Dropping it ends the wait.
    ///
    /// # Panics
    /// A poll after the shutdown of its runtime panics, if the sleep had not fired before.
    ///
    /// # Examples
    /// A loop that gives up when nothing happened for a while:
    /// ```
    /// use jenny::{sync::mpsc, time::{Duration, Instant, sleep}};
    ///
    /// # #[jenny::main(flavor = "current_thread")]
    /// # async fn main() {
    /// const QUIET: Duration = Duration::from_millis(5);
    /// # let (sender, mut receiver) = mpsc::channel(8);
    /// # sender.send(1).await.unwrap();
    /// let mut quiet = std::pin::pin!(sleep(QUIET));
    /// loop {
    ///     jenny::select! {
    ///         Some(_message) = receiver.recv() => quiet.as_mut().reset(Instant::now() + QUIET),
    ///         () = quiet.as_mut() => break,
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Sleep {
        deadline: Instant,
        // The clock was at most so many ticks before the deadline when that was set; 0 if nobody knows.
        // It spares the first poll the clock. A clock that was stopped may have been moved meanwhile,
        // and is asked again.
        ahead: u32,
        #[pin]
        timer: Timer<LateHome>,
    }
}

impl Sleep {
    /// When it is over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the runtime has noticed that the deadline is over. It notices nothing before the
    /// first poll.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_fired()
    }

    /// Sets another deadline, earlier or later. A task that waits for the old one goes on waiting,
    /// for the new one; a sleep that is over begins again.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.set(deadline, 0);
    }

    /// As [`reset`](Self::reset), by somebody who has seen the clock at an instant, or later.
    pub(super) fn reset_after(self: Pin<&mut Self>, seen: Instant, deadline: Instant) {
        let ahead = if seen < deadline { ticks_above(deadline - seen) } else { 0 };
        self.set(deadline, ahead);
    }

    fn set(self: Pin<&mut Self>, deadline: Instant, ahead: u32) {
        let this = self.project();
        *this.deadline = deadline;
        *this.ahead = ahead;
        let tick = if this.timer.is_registered() {
            this.timer.home().with_wheel(|wheel| {
                let (clock, deadline) = (wheel.clock(), deadline.into_std());
                // A clock that stands still may never come to the tick after a deadline that is over.
                let is_over = clock.deviates() && deadline <= clock.now();
                if is_over { 0 } else { clock.tick_at(deadline) }
            })
        } else {
            // It says when it begins to wait.
            None
        };
        this.timer.reset(tick.unwrap_or(0));
    }
}

/// Where a sleep begins to wait, until when, and what time it is.
#[inline]
fn settle(home: LateHome, deadline: time::Instant, ahead: u32) -> Result<Settled, Closed> {
    let settled = home.settle(|clock| {
        let tick = clock.tick_at(deadline);
        if ahead > 0 && !clock.deviates() {
            return (tick, tick.saturating_sub(ahead.into()));
        }
        let now = clock.now();
        // Between two ticks, a deadline that is over is not worth waiting for the next one.
        (tick, if deadline <= now { tick } else { clock.tick_of(now) })
    });
    match settled {
        Ok((home, (tick, now))) => Ok((home, tick, now)),
        Err(Closed) if deadline > time::Instant::now() => Err(Closed),
        // It is over, whoever is gone.
        Err(Closed) => Ok((home, 0, 0)),
    }
}

type Settled = (LateHome, u64, u64);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let polled = coop::poll_charged(context, |context| {
            let this = self.project();
            let (deadline, ahead) = (this.deadline.into_std(), *this.ahead);
            this.timer.poll_settling(|home| settle(*home, deadline, ahead), context)
        });
        match ready!(polled) {
            Ok(()) => Poll::Ready(()),
            Err(_closed) => panic!("{}", Error::shutdown()),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("is_elapsed", &self.is_elapsed())
            .finish_non_exhaustive()
    }
}
