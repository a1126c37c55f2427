//! Futures whose every poll is as cheap as can be, so that what is counted is the runtime's.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

thread_local! {
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Leaves a waker on the thread that polls it first, and is never ready.
#[derive(Debug, Default)]
pub struct Waits {
    left: bool,
}

impl Future for Waits {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.left {
            self.left = true;
            WAKERS.with_borrow_mut(|wakers| wakers.push(context.waker().clone()));
        }
        Poll::Pending
    }
}

/// The wakers that were left on this thread.
pub fn take_wakers() -> Vec<Waker> {
    WAKERS.take()
}

/// Wakes itself so many times, and is ready then.
#[derive(Debug)]
pub struct Yields(pub u64);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a future once, with a waker that does nothing.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
