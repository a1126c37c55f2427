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
/// [`timers`](Self::timers) returns the same `Timers` each time, and they stay alive and in place as
/// long as the handle lives, wherever it is moved.
pub unsafe trait Home {
    /// The lock of the timers.
    type Lock: RawLock;

    /// The timers.
    fn timers(&self) -> &Timers<Self::Lock>;

    /// A deadline has been registered that comes before all others. The worker that looks after the
    /// timers has to be unparked, unless it is the caller: it may be waiting for a later one. Called
    /// without a lock, on the thread that polls or resets the timer.
    fn earlier(&self);
}

/// For one thread, or core, that registers timers and fires them, so that nobody else has to be told.
// SAFETY: a reference refers to the same value wherever it is moved, and for as long as it lives.
unsafe impl<L: RawLock> Home for &Timers<L> {
    type Lock = L;

    fn timers(&self) -> &Timers<L> {
        self
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
    pub fn new(home: H) -> Self {
        Self { entry: Entry::new(), home }
    }

    /// Where it registers.
    pub fn home(&self) -> &H {
        &self.home
    }

    /// Makes it register elsewhere, with its next first poll.
    ///
    /// # Panics
    /// If the timer is registered.
    #[track_caller]
    pub fn set_home(self: Pin<&mut Self>, home: H) {
        assert!(
            self.entry.state() != State::Armed,
            "a registered timer cannot leave its home; set it before the first poll, or after the \
             timer has fired"
        );
        // SAFETY: the entry stays where it is, and no wheel has it. The home is not pinned.
        unsafe { self.get_unchecked_mut().home = home };
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
        match self.entry.state() {
            State::Fired => Poll::Ready(Ok(())),
            State::Closed => Poll::Ready(Err(Closed)),
            State::Armed => self.wait_on(cx.waker()),
            State::Idle => self.register(deadline, now(), cx.waker()),
        }
    }

    /// Sets another deadline. A registered timer is moved there and keeps its waker; if the deadline
    /// has been reached, it is woken. Any other waits for its next poll to register.
    pub fn reset(self: Pin<&mut Self>, deadline: u64) {
        let entry = &self.entry;
        if entry.state() == State::Armed {
            // SAFETY: it is registered with this home, which is never set while it is.
            match unsafe { self.home.timers().reset(entry, deadline) } {
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

    fn register(&self, deadline: u64, now: u64, waker: &Waker) -> Poll<Result<(), Closed>> {
        let entry = &self.entry;
        if deadline <= now {
            entry.set_state(State::Fired);
            return Poll::Ready(Ok(()));
        }
        // SAFETY: the timer is ours, Idle, and owns no waker. It is pinned, and its drop takes it out
        // of the wheel; the home keeps the wheel alive until then.
        let registered = unsafe {
            entry.set_deadline(deadline);
            entry.put_waker(waker.clone());
            self.home.timers().register(entry, now)
        };
        let (state, result) = match registered {
            Registered::Armed { earlier } => {
                self.tell(earlier);
                return Poll::Pending;
            }
            Registered::Reached => (State::Fired, Ok(())),
            Registered::Closed => (State::Closed, Err(Closed)),
        };
        entry.set_state(state);
        // SAFETY: the timer is ours and not Armed, and its waker has not been taken.
        drop(unsafe { entry.take_waker() });
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
        let waker = waker.clone();
        // SAFETY: it is registered with this home, which is never set while it is.
        match unsafe { self.home.timers().replace(&self.entry, waker) } {
            Ok(_old) => Poll::Pending,
            Err(_unused) if self.is_fired() => Poll::Ready(Ok(())),
            Err(_unused) => Poll::Ready(Err(Closed)),
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
    fn drop(&mut self) {
        if self.entry.state() == State::Armed {
            // SAFETY: it is registered with this home, which is never set while it is. The waker is
            // dropped here, without the lock.
            drop(unsafe { self.home.timers().cancel(&self.entry) });
        }
    }
}

impl<H: Home> fmt::Debug for Timer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("entry", &self.entry).finish_non_exhaustive()
    }
}
