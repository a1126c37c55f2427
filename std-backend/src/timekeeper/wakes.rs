//! Wakers to be called at a time, for code that knows no timers: one timer of a worker, the *alarm*,
//! stands for all of its wakers.
//!
//! # Why nobody is forgotten
//! All changes happen under one lock. When it is open, the alarm is registered for the first tick of
//! the queue or an earlier one, or it has fired and its waker, this structure, is on its way to
//! [`ring`](Wakes::ring): that takes the lock, and sets the alarm anew before it opens it. The rest
//! is the promise of the wheel.
//!
//! What is called under the lock is this crate's: the wheel, and the unpark of its owner. Wakers are
//! cloned, called and dropped without it, since they may come back here.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use jenny_core::time::{Closed, Timer};
use parking_lot::Mutex;

use super::{Home, Owner, wake_queue::WakeQueue};
use crate::primitives::contain;

/// So many wakers that the lock is worth taking, and so few that it is not held for long.
const BATCH: usize = 32;

/// The wakers of one worker.
pub(crate) struct Wakes<O: Owner> {
    home: Home<O>,
    state: Mutex<State<O>>,
}

struct State<O: Owner> {
    queue: WakeQueue,
    alarm: Pin<Box<Timer<Home<O>>>>,
    /// What the alarm is registered for, or has fired for.
    alarm_at: Option<u64>,
    closed: bool,
}

/// Where the alarm stands.
enum Alarm {
    /// Nobody is to be woken before it rings.
    Set,
    /// Somebody is to be woken now.
    Due,
    /// It will not ring: the runtime is shutting down.
    Closed,
}

impl<O: Owner> Wakes<O> {
    pub(crate) fn new(home: Home<O>) -> Arc<Self> {
        let alarm = Box::pin(Timer::new(home.clone()));
        let queue = WakeQueue::default();
        let state = State { queue, alarm, alarm_at: None, closed: false };
        Arc::new(Self { home, state: Mutex::new(state) })
    }

    pub(crate) fn home(&self) -> &Home<O> {
        &self.home
    }

    /// Calls the waker at an instant or soon after. A waker that is here already is called at the
    /// earliest of its instants, once.
    ///
    /// # Errors
    /// [`Closed`] if the runtime is shutting down.
    pub(crate) fn wake_at(self: &Arc<Self>, at: Instant, waker: &Waker) -> Result<(), Closed> {
        let clock = self.home.clock();
        let now = clock.now();
        if at <= now {
            waker.wake_by_ref();
            return Ok(());
        }
        let (tick, now) = (clock.tick_at(at), clock.tick_of(now));
        let alarm = self.bring_forward(waker, tick, now)?;
        let alarm = match alarm {
            Some(alarm) => alarm,
            None => self.insert(waker.clone(), tick, now)?,
        };
        if !matches!(alarm, Alarm::Set) {
            self.ring();
        }
        Ok(())
    }

    fn bring_forward(
        self: &Arc<Self>,
        waker: &Waker,
        tick: u64,
        now: u64,
    ) -> Result<Option<Alarm>, Closed> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Closed);
        }
        Ok(state.queue.bring_forward(waker, tick).then(|| self.set_alarm(&mut state, now)))
    }

    fn insert(self: &Arc<Self>, waker: Waker, tick: u64, now: u64) -> Result<Alarm, Closed> {
        // Declared before the lock's guard, and so dropped after it; as is the waker, if it stays.
        let _completed;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Closed);
        }
        // Another thread may have been faster with the same waker.
        if !state.queue.bring_forward(&waker, tick) {
            state.queue.insert(waker, tick);
            _completed = state.queue.take_completed();
        }
        Ok(self.set_alarm(&mut state, now))
    }

    /// Calls whom it is time to call, and sets the alarm for the others.
    fn ring(self: &Arc<Self>) {
        let mut wakers = Vec::new();
        loop {
            let now = self.home.clock().tick();
            let alarm = {
                let mut state = self.state.lock();
                state.alarm_at = None;
                let State { queue, .. } = &mut *state;
                wakers.extend(std::iter::from_fn(|| queue.pop_due(now)).take(BATCH));
                self.set_alarm(&mut state, now)
            };
            wakers.drain(..).for_each(|waker| contain(|| waker.wake()));
            match alarm {
                Alarm::Set => return,
                Alarm::Due => {}
                Alarm::Closed => return self.close(),
            }
        }
    }

    fn set_alarm(self: &Arc<Self>, state: &mut State<O>, now: u64) -> Alarm {
        let Some(first) = state.queue.first() else { return Alarm::Set };
        if state.alarm_at.is_some_and(|at| at <= first) {
            return Alarm::Set;
        }
        let waker = Arc::clone(self).into();
        // A reset might call this waker at once, under the lock. A new timer tells.
        state.alarm.set(Timer::new(self.home.clone()));
        match state.alarm.as_mut().poll(first, || now, &mut Context::from_waker(&waker)) {
            Poll::Pending => {
                state.alarm_at = Some(first);
                Alarm::Set
            }
            Poll::Ready(Ok(())) => Alarm::Due,
            Poll::Ready(Err(Closed)) => Alarm::Closed,
        }
    }

    /// Calls everybody: the timers are closed, and whoever still waits has to wait elsewhere.
    fn close(&self) {
        let mut queue = {
            let mut state = self.state.lock();
            state.closed = true;
            mem::take(&mut state.queue)
        };
        while let Some(waker) = queue.pop_due(u64::MAX) {
            contain(|| waker.wake());
        }
    }
}

impl<O: Owner> Wake for Wakes<O> {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl<O: Owner> fmt::Debug for Wakes<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakes").field("home", &self.home).finish_non_exhaustive()
    }
}
