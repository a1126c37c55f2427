//! The cooperative budget, as resources and tasks see it.
//!
//! Every poll of a task, and of a `block_on` future, starts with 128 units. Each ready result of a
//! socket, a listener, a sleep, a `JoinHandle` or a signal takes one. When none is left, the resource
//! says `Pending` and wakes the task at once, so that a task whose resources are always ready cannot
//! keep its worker from the others.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use jenny_core::scheduler::budget;

use crate::platform::AnyRuntime;

/// Gives the unit back unless the resource made progress.
#[derive(Debug)]
#[must_use = "a unit is given back at once if this is dropped"]
pub struct RestoreOnPending {
    progress: Cell<bool>,
    /// The unit is that of the task on this thread.
    _not_send: PhantomData<*mut ()>,
}

impl RestoreOnPending {
    /// The resource has a result: the unit is spent.
    pub fn made_progress(&self) {
        self.progress.set(true);
    }
}

impl Drop for RestoreOnPending {
    fn drop(&mut self) {
        if !self.progress.get() {
            budget::refund::<AnyRuntime>();
        }
    }
}

/// Takes a unit of the current task's budget. `Pending` if there is none left; the task is woken.
///
/// Outside a task it is always ready.
#[inline]
pub fn poll_proceed(context: &mut Context<'_>) -> Poll<RestoreOnPending> {
    if budget::proceed::<AnyRuntime>() {
        Poll::Ready(RestoreOnPending { progress: Cell::new(false), _not_send: PhantomData })
    } else {
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a resource of this crate's, which takes a unit of the current task's budget if it is ready.
/// `Pending` if there is none left; the task is woken.
///
/// As [`poll_proceed`], and writes nothing for what is pending.
#[cfg(feature = "time")]
#[inline]
pub(crate) fn poll_charged<T>(
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if !has_budget_remaining() {
        return refuse(context);
    }
    let polled = poll(context);
    if polled.is_ready() {
        // It was there before. A waker that was cloned or called may have taken the last, and so be it.
        budget::proceed::<AnyRuntime>();
    }
    polled
}

/// Notes that the task found no unit, and wakes it.
#[cfg(feature = "time")]
#[cold]
fn refuse<T>(context: &mut Context<'_>) -> Poll<T> {
    budget::proceed::<AnyRuntime>();
    context.waker().wake_by_ref();
    Poll::Pending
}

/// Whether the current task may go on in this poll. Takes nothing.
#[inline]
pub fn has_budget_remaining() -> bool {
    budget::has_remaining::<AnyRuntime>()
}

/// Takes a unit, and yields if there is none left: for loops that would otherwise never return.
///
/// Cancel safe.
pub async fn consume_budget() {
    poll_fn(|context| poll_proceed(context).map(|unit| unit.made_progress())).await;
}

pin_project_lite::pin_project! {
    /// Made by [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Takes the budget off a future: resources inside it never yield for its sake.
///
/// A future that is always ready then keeps its worker until it ends.
pub fn unconstrained<F>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        budget::poll_unconstrained::<AnyRuntime, _>(self.project().future, context)
    }
}

pin_project_lite::pin_project! {
    /// Made by [`cooperative`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Coop<F> {
        #[pin]
        future: F,
    }
}

/// Makes a future of another library take a unit each time it is ready.
///
/// The remedy for resources that do not know the budget, such as the channels of `jenny::sync`.
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let unit = std::task::ready!(poll_proceed(context));
        let polled = self.project().future.poll(context);
        if polled.is_ready() {
            unit.made_progress();
        }
        polled
    }
}
