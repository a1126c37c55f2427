//! Waiting until a deadline.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use jenny_core::time::Timer;
use pin_project_lite::pin_project;

use super::{Instant, error::Error};
use crate::{
    context::{self, Home},
    coop,
};

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
/// Making one reads the clock and counts a reference in the memory of its worker. The first poll
/// puts it into the worker's wheel, and a drop before the deadline takes it out again, each under a
/// lock that other workers hardly use. Nothing is allocated.
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
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let home = context::timer_home();
    let now = Instant::now();
    Sleep { deadline: now.after(duration), known_now: Some(now), timer: Timer::new(home) }
}

/// Waits until the deadline. See [`sleep`].
///
/// # Panics
/// As [`sleep`].
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, known_now: None, timer: Timer::new(context::timer_home()) }
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
        // What the clock showed when the deadline was set, if that is known: it spares the first
        // poll the clock. A stopped clock may have been moved meanwhile, and is asked again.
        known_now: Option<Instant>,
        #[pin]
        timer: Timer<Home>,
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
        self.set(deadline, None);
    }

    /// As [`reset`](Self::reset), by somebody who knows the time.
    pub(super) fn reset_at(self: Pin<&mut Self>, now: Instant, deadline: Instant) {
        self.set(deadline, Some(now));
    }

    fn set(self: Pin<&mut Self>, deadline: Instant, known_now: Option<Instant>) {
        let this = self.project();
        *this.deadline = deadline;
        *this.known_now = known_now;
        let tick = this.timer.home().clock().tick_at(deadline.into_std());
        this.timer.reset(tick);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let unit = ready!(coop::poll_proceed(context));
        let this = self.project();
        let waits = this.timer.is_registered() || this.timer.is_fired();
        // The timer wants to know when, and what time it is, only if it has to begin to wait.
        let (deadline, now) = if waits {
            (0, 0)
        } else {
            let clock = this.timer.home().clock();
            let known_now = this.known_now.filter(|_| !clock.deviates());
            let now = known_now.map_or_else(|| clock.now(), Instant::into_std);
            let deadline = this.deadline.into_std();
            // Between two ticks, a deadline that is over is not worth waiting for the next one.
            if deadline <= now { (0, 0) } else { (clock.tick_at(deadline), clock.tick_of(now)) }
        };
        match ready!(this.timer.poll(deadline, || now, context)) {
            Ok(()) => {
                unit.made_progress();
                Poll::Ready(())
            }
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
