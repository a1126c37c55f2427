//! What a resource keeps of its registration: waits and tries.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use mio::event::Source;

use super::{Direction, Event, Handle, Interest, Readiness, Ready, shutting_down, slots::Token};
use crate::{
    coop,
    primitives::{Arc, thread_number},
};

/// A resource's place in the driver. Every wait that ends takes one unit of the task's budget.
#[derive(Debug)]
pub(crate) struct Registration {
    handle: Handle,
    token: Token,
    readiness: Arc<Readiness>,
}

impl Registration {
    /// Registers `source`.
    ///
    /// # Errors
    /// The runtime is shutting down, or the system does not take the resource.
    pub(crate) fn new(
        handle: Handle,
        source: &mut impl Source,
        interest: Interest,
    ) -> io::Result<Self> {
        let (token, readiness) = handle.register(source, interest)?;
        Ok(Self { handle, token, readiness })
    }

    /// Ends the registration; call it once, with the source it was made for.
    ///
    /// # Errors
    /// The system does not know the resource.
    pub(crate) fn deregister(&mut self, source: &mut impl Source) -> io::Result<()> {
        self.handle.deregister(source, self.token, &self.readiness)
    }

    /// Lets the first operation in each direction try, instead of waiting for the driver's report.
    /// To be called before anybody waits.
    pub(crate) fn assume_ready(&self) {
        self.readiness.assume(Ready::READABLE | Ready::WRITABLE);
    }

    /// Waits until the direction is ready. Only the last task that asked for a direction is woken.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<Event>> {
        let budget = ready!(coop::poll_proceed(cx));
        let event = ready!(self.poll_event(cx, direction));
        if event.shutdown {
            return Poll::Ready(Err(shutting_down()));
        }
        budget.made_progress();
        Poll::Ready(Ok(event))
    }

    /// As [`poll_ready`](Self::poll_ready) for those who are no task and have no budget.
    pub(crate) fn poll_event(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<Event> {
        self.readiness.poll(cx, direction)
    }

    /// Waits until the operation does not return `WouldBlock`. The operation is given what was
    /// known before it began, with which it may [`clear`](Self::clear).
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(Event) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let event = ready!(self.poll_ready(cx, direction))?;
            match operation(event) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.clear(event),
                result => return Poll::Ready(result),
            }
        }
    }

    /// Waits until something of `interest` is ready. Any number of tasks may wait, and one that
    /// gives up takes nothing from the others.
    pub(crate) async fn readiness(&self, interest: Interest) -> io::Result<Event> {
        let event = self.readiness.wait_until_ready(interest).await;
        if event.shutdown {
            return Err(shutting_down());
        }
        // Only now: a wait that the budget interrupts would have to be queued anew.
        poll_fn(coop::poll_proceed).await.made_progress();
        Ok(event)
    }

    /// As [`poll_io`](Self::poll_io), for any number of tasks.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let event = self.readiness(interest).await?;
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.clear(event),
                result => return result,
            }
        }
    }

    /// Tries the operation, if it is believed to be possible. That needs no driver: what arrived
    /// before a shutdown can still be had after it.
    ///
    /// # Errors
    /// `WouldBlock` if it is not, and whatever the operation returns.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let event = self.readiness.event(interest.mask());
        // Whoever tries does not wait for the turn in which the driver settles a doubt.
        let may_hide = interest.is_readable() && self.readiness.habit().is_good();
        if event.ready.is_empty() && !may_hide {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = operation();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.clear(event);
        }
        result
    }

    /// After a read that filled its buffer, begun with `event`: may leave it to the driver whether
    /// there is more.
    pub(crate) fn doubt(&self, event: Event) {
        // The end of the stream stays ready.
        if !event.ready.is_read_closed() {
            let doubts = &self.handle.shared.doubts;
            doubts.leave(thread_number(), self.token, &self.readiness, event);
        }
    }

    /// Says that a read has found nothing.
    pub(crate) fn was_vain(&self) {
        self.handle.shared.doubts.was_vain(thread_number(), &self.readiness);
    }

    /// Forgets what `event` saw, unless the system has reported since.
    pub(crate) fn clear(&self, event: Event) {
        self.readiness.clear(event);
    }

    /// The driver that this is registered with.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
