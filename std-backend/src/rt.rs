//! What other crates ask of a runtime.
//!
//! hyper takes sockets and an executor from whoever runs it. [`TcpStream`](crate::net::TcpStream)
//! implements its `rt::Read` and `rt::Write`; [`JennyExecutor`] is its executor, [`JennyTimer`] its
//! timer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use pin_project_lite::pin_project;

use crate::time;

/// Spawns the tasks of hyper, such as those of an HTTP/2 connection, on the runtime that is current
/// where hyper spawns them.
///
/// The tasks are detached: they end by themselves, or with the runtime.
///
/// # Panics
/// hyper panics if it runs outside a runtime, as [`task::spawn`](crate::task::spawn) does.
///
/// # Examples
/// ```
/// use hyper::rt::Executor;
/// use jenny::rt::JennyExecutor;
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// let (done, is_done) = jenny::sync::oneshot::channel();
/// // As hyper does, with `hyper::server::conn::http2::Builder::new(JennyExecutor)`.
/// JennyExecutor.execute(async { done.send(42).unwrap() });
/// assert_eq!(is_done.await, Ok(42));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JennyExecutor;

impl<F> hyper::rt::Executor<F> for JennyExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        drop(crate::task::spawn(future));
    }
}

/// Keeps hyper's time-outs, such as that of reading a request's head, in the timers of the runtime
/// that is current where hyper begins to wait. It follows a [paused](fn@crate::time::pause) clock.
///
/// # Panics
/// hyper panics if it waits outside a runtime, or in one without timers, as
/// [`time::sleep`] does.
///
/// # Examples
/// ```
/// use hyper::rt::Timer;
/// use jenny::rt::JennyTimer;
/// use std::time::{Duration, Instant};
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// // As hyper does, with `hyper::server::conn::http1::Builder::new().timer(JennyTimer)`.
/// let start = Instant::now();
/// JennyTimer.sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JennyTimer;

pin_project! {
    /// The sleep that hyper holds, of a type of ours so that a reset finds it again.
    struct HyperSleep {
        #[pin]
        sleep: time::Sleep,
    }
}

impl hyper::rt::Sleep for HyperSleep {}

impl Future for HyperSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(context)
    }
}

impl hyper::rt::Timer for JennyTimer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep { sleep: time::sleep(duration) })
    }

    #[track_caller]
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep { sleep: time::sleep_until(deadline.into()) })
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(ours) => ours.project().sleep.reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use hyper::rt::Timer;

    use super::*;
    use crate::runtime::Builder;

    #[test]
    fn a_reset_keeps_the_allocation() {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(async {
            let start = JennyTimer.now();
            let mut sleep = JennyTimer.sleep_until(start + Duration::from_secs(9));
            let before = ptr::from_ref(&*sleep);
            JennyTimer.reset(&mut sleep, start + Duration::from_secs(3));
            assert!(ptr::addr_eq(before, ptr::from_ref(&*sleep)));
            sleep.await;
            assert_eq!(JennyTimer.now() - start, Duration::from_secs(3));
        });
    }
}
