//! Going to the back of the queue.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use jenny_core::scheduler::Current;

use crate::platform::AnyRuntime;

/// Lets the other tasks of this worker run first, and the driver when its turn comes.
///
/// Cancel safe.
pub fn yield_now() -> impl Future<Output = ()> {
    YieldNow { yielded: false }
}

struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        // A task that is woken while it runs is queued behind the others.
        Current::<AnyRuntime>::yield_now(context.waker());
        Poll::Pending
    }
}
