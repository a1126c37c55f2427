//! Cooperative yielding: a task may take so many ready results in one poll, then it has to return.
//!
//! Without it a task whose sockets are always ready would keep its worker. A resource calls
//! [`proceed`] before it hands out a result, and [`refund`] if there was none after all; when the
//! budget is used up the resource wakes the task and returns `Pending`. The budget is in the frame,
//! so it costs no atomic, and where no task is being polled nothing is limited.
//!
//! The mechanism is Tokio's (<https://tokio.rs/blog/2020-04-preemption>).

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::frame::innermost;
use crate::{frame::Frame, platform::Platform};

/// Takes one unit. False if none is left: the task has to yield.
#[inline]
pub fn proceed<P: Platform>() -> bool {
    innermost::<P, _>(|frame| {
        let Some(frame) = frame else { return true };
        match frame.budget() {
            None => true,
            Some(0) => {
                frame.refuse();
                false
            }
            Some(left) => {
                frame.set_budget(Some(left - 1));
                true
            }
        }
    })
}

/// Gives back a unit for which there was no result.
#[inline]
pub fn refund<P: Platform>() {
    innermost::<P, _>(|frame| {
        if let Some(frame) = frame
            && let Some(left) = frame.budget()
        {
            frame.set_budget(Some(left.saturating_add(1)));
        }
    });
}

/// Whether [`proceed`] would go on. Takes nothing.
#[inline]
pub fn has_remaining<P: Platform>() -> bool {
    innermost::<P, _>(|frame| frame.and_then(Frame::budget) != Some(0))
}

/// Polls a future with no limit; what is left of the poll's budget is untouched.
pub fn poll_unconstrained<P: Platform, F: Future>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    struct Restore<P: Platform>(Option<u8>, core::marker::PhantomData<P>);

    impl<P: Platform> Drop for Restore<P> {
        fn drop(&mut self) {
            innermost::<P, _>(|frame| {
                if let Some(frame) = frame {
                    frame.set_budget(self.0);
                }
            });
        }
    }

    let budget = innermost::<P, _>(|frame| {
        let frame = frame?;
        let budget = frame.budget();
        frame.set_budget(None);
        budget
    });
    let _restore = Restore::<P>(budget, core::marker::PhantomData);
    future.poll(context)
}
