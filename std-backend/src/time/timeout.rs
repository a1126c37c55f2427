//! Futures with a deadline.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::{Instant, Sleep, error::Elapsed};
use jenny_core::scheduler::budget;

use crate::{coop, platform::AnyRuntime};

/// Gives a future as long as `duration` to become ready.
///
/// The future is polled first, so one that is ready is never late, even with a duration of zero. A
/// duration that the clock cannot express is for ever. When the time is up the future is not
/// dropped at once, but with the [`Timeout`].
///
/// A future that uses up its budget in each poll does not keep the deadline from being seen. One
/// that blocks the thread does.
///
/// # Errors
/// The returned future resolves to [`Elapsed`] if the time is up first.
///
/// # Panics
/// If there is no current runtime, or if it was built without
/// [`enable_time`](crate::runtime::Builder::enable_time).
///
/// # Cancel safety
/// Dropping a [`Timeout`] drops the future in it; nothing else is lost.
///
/// # Examples
/// ```
/// use jenny::{sync::oneshot, time::{Duration, timeout}};
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// let (answer, question) = oneshot::channel();
/// let late = timeout(Duration::from_millis(1), question).await;
/// assert!(late.is_err());
/// drop::<oneshot::Sender<()>>(answer);
/// assert_eq!(timeout(Duration::from_secs(1), async { 42 }).await, Ok(42));
/// # }
/// ```
#[inline]
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), sleep: super::sleep(duration) }
}

/// Gives a future until `deadline` to become ready. See [`timeout`].
///
/// # Errors
/// The returned future resolves to [`Elapsed`] if the deadline comes first.
///
/// # Panics
/// As [`timeout`].
#[inline]
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), sleep: super::sleep_until(deadline) }
}

pin_project! {
    /// A future with a deadline. Made by [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Timeout<T> {
        #[pin]
        future: T,
        #[pin]
        sleep: Sleep,
    }
}

impl<T> Timeout<T> {
    /// The future.
    pub fn get_ref(&self) -> &T {
        &self.future
    }

    /// The future.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.future
    }

    /// The future, without a deadline.
    pub fn into_inner(self) -> T {
        self.future
    }
}

impl<T: Future> Future for Timeout<T> {
    type Output = Result<T::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = coop::has_budget_remaining();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        // A future that takes the last unit in every poll must not hide the deadline for ever. One
        // that found none left has to let others go first, as everybody does.
        let elapsed = if had_budget && !coop::has_budget_remaining() {
            budget::poll_unconstrained::<AnyRuntime, _>(this.sleep, context)
        } else {
            this.sleep.poll(context)
        };
        elapsed.map(|()| Err(Elapsed::new()))
    }
}
