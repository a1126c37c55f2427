//! A future's side of a timer.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{
    entry::{Entry, State},
    timers::{Closed, Registered, Timers},
};
use crate::lock::RawLock;

/// Where a timer registers: a handle to the [`Timers`] of one worker.
///
/// # Safety
/// [`with`](Self::with) gives the same `Timers` each time, wherever the handle is moved, and they stay in
/// place; or, from some time on, none. Timers that have been given are gone only after they were
/// [closed](Timers::close), and that has happened before any `with` that gives none.
pub unsafe trait Home {
    /// The lock of the timers.
    type Lock: RawLock;

    /// Gives the timers to the closure; `None` if they are gone.
    fn with<R>(&self, use_timers: impl FnOnce(&Timers<Self::Lock>) -> R) -> Option<R>;

    /// A deadline has been registered that comes before all others. The worker that looks after the
    /// timers has to be unparked, unless it is the caller: it may be waiting for a later one. Called
    /// without a lock, on the thread that polls or resets the timer.
    fn earlier(&self);

    /// Clones the waker of a poll, which waits for a timer: for a scheduler that knows a cheaper way.
    #[inline]
    fn clone_waker(waker: &Waker) -> Waker {
        waker.clone()
    }

    /// Drops the waker of a timer that is not needed any more: as for
    /// [`clone_waker`](Self::clone_waker).
    #[inline]
    fn drop_waker(waker: Waker) {
        drop(waker);
    }
}

/// For one thread, or core, that registers timers and fires them, so that nobody else has to be told.
// SAFETY: a reference refers to the same value wherever it is moved, and for as long as it lives.
unsafe impl<L: RawLock> Home for &Timers<L> {
    type Lock = L;

    #[inline]
    fn with<R>(&self, use_timers: impl FnOnce(&Timers<L>) -> R) -> Option<R> {
        Some(use_timers(self))
    }

    fn earlier(&self) {}
}

/// A timer: from its first poll to its deadline it is registered with the [`Timers`] of its home,
/// which it then may not leave.
///
/// It fires at the first [`Timers::fire`] with a time that is not before its deadline, and stays
/// fired. Dropping it takes it out of the wheel; that needs no lock unless it is registered.
pub struct Timer<H: Home> {
    // Reached by the wheel while Armed, so never by `&mut`; `Pointers` inside makes it `!Unpin`.
    entry: Entry,
    home: H,
}

impl<H: Home> Timer<H> {
    /// A timer that is not registered yet.
    #[inline]
    pub fn new(home: H) -> Self {
        Self { entry: Entry::new(), home }
    }

    /// Where it registers.
    pub fn home(&self) -> &H {
        &self.home
    }

    /// Whether the deadline has been reached, as far as the wheel has been told. Stays so until
    /// [`reset`](Self::reset).
    #[inline]
    pub fn is_fired(&self) -> bool {
        self.entry.state() == State::Fired
    }

    /// Whether it is in a wheel, waiting for its deadline.
    #[inline]
    pub fn is_registered(&self) -> bool {
        self.entry.state() == State::Armed
    }

    /// Waits for the deadline. The first poll reads the clock and registers; the deadline that later
    /// polls are given means nothing until [`reset`](Self::reset). A deadline that has been reached
    /// is `Ready` at once.
    ///
    /// # Errors
    /// [`Closed`] if the timers were closed before the deadline.
    #[inline]
    pub fn poll(
        self: Pin<&mut Self>,
        deadline: u64,
        now: impl FnOnce() -> u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Closed>> {
        match self.poll_begun(cx) {
            Some(polled) => polled,
            None => self.register(deadline, now(), cx.waker()),
        }
    }

    /// As [`poll`](Self::poll), for a timer that finds out where it registers with its first poll, and
    /// with the first after a [`reset`](Self::reset) that it did not wait through: the closure gives
    /// the home, the deadline and the time.
    ///
    /// # Errors
    /// As for `poll`; and that of the closure.
    #[inline]
    pub fn poll_settling(
        mut self: Pin<&mut Self>,
        settle: impl FnOnce(&H) -> Result<(H, u64, u64), Closed>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Closed>> {
        if let Some(polled) = self.poll_begun(cx) {
            return polled;
        }
        let (home, deadline, now) = settle(&self.home)?;
        // SAFETY: the entry stays where it is, and no wheel has it. The home is not pinned.
        unsafe { self.as_mut().get_unchecked_mut().home = home };
        self.register(deadline, now, cx.waker())
    }

    /// Polls a timer that is not Idle.
    #[inline]
    fn poll_begun(&self, cx: &mut Context<'_>) -> Option<Poll<Result<(), Closed>>> {
        match self.entry.state() {
            State::Fired => Some(Poll::Ready(Ok(()))),
            State::Closed => Some(Poll::Ready(Err(Closed))),
            State::Armed => Some(self.wait_on(cx.waker())),
            State::Idle => None,
        }
    }

    /// Sets another deadline. A registered timer is moved there and keeps its waker; if the deadline
    /// has been reached, it is woken. Any other waits for its next poll to register.
    pub fn reset(self: Pin<&mut Self>, deadline: u64) {
        let entry = &self.entry;
        if entry.state() == State::Armed {
            // SAFETY: it was registered with this home, which is never set while it is.
            match self.home.with(|timers| unsafe { timers.reset(entry, deadline) }).flatten() {
                Some(Registered::Armed { earlier }) => return self.tell(earlier),
                Some(Registered::Reached | Registered::Closed) => {
                    // SAFETY: the timer is ours and not Armed; its waker has not been taken.
                    return unsafe { entry.take_waker() }.wake();
                }
                None => {}
            }
        }
        entry.set_state(State::Idle);
    }

    fn cancel(&mut self) {
        // SAFETY: it was registered with this home, which is never set while it is.
        let cancelled = self.home.with(|timers| unsafe { timers.cancel(&self.entry) });
        debug_assert!(!self.is_registered(), "timers were gone without having been closed");
        // Without the lock.
        if let Some(waker) = cancelled.flatten() {
            H::drop_waker(waker);
        }
    }

    #[inline]
    fn register(&self, deadline: u64, now: u64, waker: &Waker) -> Poll<Result<(), Closed>> {
        let entry = &self.entry;
        if deadline <= now {
            entry.set_state(State::Fired);
            return Poll::Ready(Ok(()));
        }
        // SAFETY: the timer is ours, Idle, and owns no waker. It is pinned, and its drop takes it out
        // of the wheel, or finds that a close has.
        let registered = unsafe {
            entry.put_waker(H::clone_waker(waker));
            self.home.with(move |timers| timers.register(entry, deadline, now))
        };
        let (state, result) = match registered.unwrap_or(Registered::Closed) {
            Registered::Armed { earlier } => {
                self.tell(earlier);
                return Poll::Pending;
            }
            Registered::Reached => (State::Fired, Ok(())),
            Registered::Closed => (State::Closed, Err(Closed)),
        };
        entry.set_state(state);
        // SAFETY: the timer is ours and not Armed, and its waker has not been taken.
        H::drop_waker(unsafe { entry.take_waker() });
        Poll::Ready(result)
    }

    #[inline]
    fn wait_on(&self, waker: &Waker) -> Poll<Result<(), Closed>> {
        // SAFETY: the timer is ours.
        if unsafe { self.entry.is_for(waker) } {
            return Poll::Pending;
        }
        self.replace(waker)
    }

    #[cold]
    fn replace(&self, waker: &Waker) -> Poll<Result<(), Closed>> {
        let waker = H::clone_waker(waker);
        // SAFETY: it was registered with this home, which is never set while it is.
        let replaced = self.home.with(|timers| unsafe { timers.replace(&self.entry, waker) });
        match replaced {
            Some(Ok(_old)) => Poll::Pending,
            _ if self.is_fired() => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Closed)),
        }
    }

    #[inline]
    fn tell(&self, earlier: bool) {
        if earlier {
            self.home.earlier();
        }
    }
}

impl<H: Home> Drop for Timer<H> {
    #[inline]
    fn drop(&mut self) {
        if self.entry.state() == State::Armed {
            self.cancel();
        }
    }
}

impl<H: Home> fmt::Debug for Timer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("entry", &self.entry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Mutex, PoisonError,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        thread,
    };

    use super::*;
    use crate::time::wakers::BATCH;

    struct Lock(Mutex<()>);

    // SAFETY: a mutex excludes, orders, and is released when the closure unwinds.
    unsafe impl RawLock for Lock {
        fn new() -> Self {
            Self(Mutex::new(()))
        }

        fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
            let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            critical()
        }
    }

    /// A home for several threads that counts what it is told.
    #[derive(Clone)]
    struct Shared(Arc<(Timers<Lock>, AtomicUsize)>);

    impl Shared {
        fn new() -> Self {
            Self(Arc::new((Timers::new(), AtomicUsize::new(0))))
        }

        fn timers(&self) -> &Timers<Lock> {
            &self.0.0
        }

        fn told(&self) -> usize {
            self.0.1.load(Relaxed)
        }
    }

    // SAFETY: the reference count keeps the timers alive, in their allocation.
    unsafe impl Home for Shared {
        type Lock = Lock;

        fn with<R>(&self, use_timers: impl FnOnce(&Timers<Lock>) -> R) -> Option<R> {
            Some(use_timers(self.timers()))
        }

        fn earlier(&self) {
            self.0.1.fetch_add(1, Relaxed);
        }
    }

    /// Counts wake-ups, after which it may panic.
    #[derive(Default)]
    struct Counter {
        wakes: AtomicUsize,
        panics: bool,
    }

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.wakes.fetch_add(1, Relaxed);
            assert!(!self.panics, "a waker panics");
        }
    }

    impl Counter {
        fn new() -> Arc<Self> {
            Arc::default()
        }

        /// Polls with this as the waker.
        fn poll(
            self: &Arc<Self>,
            timer: &mut Pin<Box<Timer<Shared>>>,
            deadline: u64,
        ) -> Poll<Result<(), Closed>> {
            let waker = Arc::clone(self).into();
            timer.as_mut().poll(deadline, || 0, &mut Context::from_waker(&waker))
        }

        fn wakes(&self) -> usize {
            self.wakes.load(Relaxed)
        }
    }

    /// What futures that hold one need.
    const fn is_send_and_sync<T: Send + Sync>() {}
    const _: () = is_send_and_sync::<Timer<Shared>>();

    const FIRED: Poll<Result<(), Closed>> = Poll::Ready(Ok(()));
    const REFUSED: Poll<Result<(), Closed>> = Poll::Ready(Err(Closed));

    fn setup() -> (Shared, Pin<Box<Timer<Shared>>>, Arc<Counter>) {
        let home = Shared::new();
        let timer = Box::pin(Timer::new(home.clone()));
        (home, timer, Counter::new())
    }

    #[test]
    fn a_timer_fires_once_and_not_early() {
        let (home, mut timer, waker) = setup();
        assert!(waker.poll(&mut timer, 10).is_pending());
        assert!(timer.is_registered() && home.told() == 1);
        assert_eq!(home.timers().fire(9), 0);
        assert!(waker.poll(&mut timer, 10).is_pending());
        assert_eq!((home.timers().fire(10), waker.wakes()), (1, 1));
        assert!(timer.is_fired());
        assert_eq!(waker.poll(&mut timer, 10), FIRED);
        assert_eq!((home.timers().fire(11), waker.wakes()), (0, 1));
        assert_eq!((waker.poll(&mut timer, 10), home.timers().next(11)), (FIRED, None));
        assert_eq!(Arc::strong_count(&waker), 1, "the timer kept a waker");
    }

    #[test]
    fn a_deadline_in_the_past_needs_no_wheel() {
        let (home, mut timer, waker) = setup();
        assert_eq!(waker.poll(&mut timer, 0), FIRED);
        assert!(timer.is_fired() && home.timers().next(0).is_none());

        // The wheel may be ahead of a clock that was read before its lock was taken.
        let mut other = Box::pin(Timer::new(home.clone()));
        assert!(waker.poll(&mut other, 20).is_pending());
        home.timers().fire(20);
        timer.as_mut().reset(20);
        assert_eq!(waker.poll(&mut timer, 20), FIRED);
        assert_eq!(Arc::strong_count(&waker), 1);
    }

    #[test]
    fn a_dropped_timer_leaves_nothing_behind() {
        let (home, mut timer, waker) = setup();
        assert!(waker.poll(&mut timer, 10).is_pending());
        assert_eq!((home.timers().len(), Arc::strong_count(&waker)), (1, 2));
        drop(timer);
        assert_eq!((home.timers().len(), Arc::strong_count(&waker)), (0, 1));
        // Nobody has told the published deadline; the next turn does.
        assert_eq!(home.timers().next(3), Some(10));
        assert_eq!(home.timers().earliest(), None);
        assert_eq!((home.timers().fire(10), home.timers().next(10)), (0, None));
    }

    #[test]
    fn the_last_waker_is_woken() {
        let (home, mut timer, first) = setup();
        let second = Counter::new();
        assert!(first.poll(&mut timer, 10).is_pending());
        assert!(second.poll(&mut timer, 10).is_pending());
        assert_eq!(Arc::strong_count(&first), 1);
        home.timers().fire(10);
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
    }

    #[test]
    fn a_reset_moves_a_registered_timer_and_its_waker() {
        let (home, mut timer, waker) = setup();
        timer.as_mut().reset(3);
        assert!(!timer.is_registered(), "nothing to wake yet");
        assert!(waker.poll(&mut timer, 10).is_pending());
        timer.as_mut().reset(5);
        assert_eq!((home.told(), home.timers().next(0)), (2, Some(5)));
        timer.as_mut().reset(30);
        assert_eq!((home.timers().fire(29), home.timers().fire(30), waker.wakes()), (0, 1, 1));
        assert!(timer.is_fired());

        timer.as_mut().reset(40);
        assert!(!timer.is_fired() && waker.poll(&mut timer, 40).is_pending());
        timer.as_mut().reset(30);
        assert!(timer.is_fired(), "the wheel is past that");
        assert_eq!((waker.wakes(), Arc::strong_count(&waker)), (2, 1));
    }

    #[test]
    fn closed_timers_wake_and_refuse() {
        let (home, mut timer, waker) = setup();
        let mut others: Vec<_> =
            (0..2 * BATCH).map(|_| Box::pin(Timer::new(home.clone()))).collect();
        others.iter_mut().for_each(|other| assert!(waker.poll(other, 1 << 30).is_pending()));
        home.timers().close();
        assert_eq!(waker.wakes(), 2 * BATCH);
        others.iter_mut().for_each(|other| assert_eq!(waker.poll(other, 1 << 30), REFUSED));
        assert_eq!(waker.poll(&mut timer, 10), REFUSED);
        timer.as_mut().reset(20);
        assert_eq!(waker.poll(&mut timer, 20), REFUSED);
        assert!(!timer.is_fired() && home.timers().is_empty());
        assert_eq!((home.timers().next(0), Arc::strong_count(&waker)), (None, 1));
    }

    #[test]
    fn a_waker_that_panics_takes_nobody_with_it() {
        let home = Shared::new();
        let waker = Counter::new();
        let angry = Arc::new(Counter { panics: true, ..Counter::default() });
        let mut timers: Vec<_> =
            (0..3 * BATCH).map(|_| Box::pin(Timer::new(home.clone()))).collect();
        for (index, timer) in timers.iter_mut().enumerate() {
            assert!(if index == 1 { &angry } else { &waker }.poll(timer, 10).is_pending());
        }
        assert!(catch_unwind(AssertUnwindSafe(|| home.timers().fire(10))).is_err());
        assert_eq!((angry.wakes(), waker.wakes()), (1, BATCH - 1));
        assert_eq!(home.timers().next(10), Some(10), "there are more");
        assert_eq!((home.timers().fire(10), waker.wakes()), (2 * BATCH, 3 * BATCH - 1));
    }

    #[test]
    fn a_timer_changes_its_home_only_while_it_is_in_none() {
        let (home, mut timer, waker) = setup();
        let next = Shared::new();
        let settle = |timer: &mut Pin<Box<Timer<Shared>>>, home: &Shared, deadline| {
            let waker = Arc::clone(&waker).into();
            let settle = |_: &Shared| Ok((home.clone(), deadline, 0));
            timer.as_mut().poll_settling(settle, &mut Context::from_waker(&waker))
        };
        assert!(settle(&mut timer, &next, 10).is_pending());
        assert_eq!((home.timers().len(), next.timers().len()), (0, 1));
        assert!(settle(&mut timer, &home, 10).is_pending());
        assert_eq!((home.timers().len(), next.timers().len()), (0, 1), "it waits already");
        next.timers().fire(10);
        assert_eq!(settle(&mut timer, &home, 20), FIRED);
        timer.as_mut().reset(20);
        assert!(settle(&mut timer, &home, 20).is_pending());
        assert_eq!((home.timers().len(), next.timers().len()), (1, 0));
    }

    #[test]
    fn a_timer_that_finds_no_home_stays_as_it_is() {
        let (home, mut timer, waker) = setup();
        let std_waker = Arc::clone(&waker).into();
        let mut context = Context::from_waker(&std_waker);
        assert_eq!(timer.as_mut().poll_settling(|_| Err(Closed), &mut context), REFUSED);
        assert!(!timer.is_registered() && home.timers().is_empty());
        assert!(waker.poll(&mut timer, 10).is_pending());
    }

    #[test]
    fn timers_are_dropped_and_polled_while_others_fire_them() {
        let (home, rounds) = (Shared::new(), if cfg!(miri) { 10 } else { 2_000 });
        let waker = Counter::new();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 0..rounds {
                        let mut timer = Box::pin(Timer::new(home.clone()));
                        if waker.poll(&mut timer, round + 1).is_pending() && round % 2 == 0 {
                            let other = Counter::new();
                            let _ = other.poll(&mut timer, round + 1);
                        }
                    }
                });
            }
            for now in 0..rounds {
                home.timers().fire(now);
            }
        });
        assert_eq!((home.timers().len(), Arc::strong_count(&waker)), (0, 1));
    }
}
