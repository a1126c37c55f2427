//! A whole time driver, of a counter and an alarm.

use core::{cell::RefCell, fmt, task::Waker};

use critical_section::Mutex;
use embassy_time_driver::Driver;

use super::queue::{TimerQueue, TimerQueueFull};

/// The hardware below a [`QueueDriver`]: a counter, and an interrupt at a time.
pub trait Alarm: Send + Sync + 'static {
    /// The present tick, of which there are `embassy_time_driver::TICK_HZ` in a second. It never goes
    /// back and never wraps around. From anywhere, with and without interrupts masked.
    fn now(&self) -> u64;

    /// Asks for the interrupt at a tick, instead of the one that was asked for before. False if that
    /// tick has passed, so that the interrupt may not come: look at the counter *after* setting the
    /// alarm.
    ///
    /// Called with interrupts masked. An interrupt that comes too early does no harm, so hardware that
    /// cannot reach so far stops halfway.
    fn set(&self, at: u64) -> bool;
}

/// A driver for `embassy_time_driver::time_driver_impl!`: up to `N` wakers over an [`Alarm`].
///
/// The handler of the alarm's interrupt calls [`on_alarm`](Self::on_alarm). Wakers may be those of any
/// executor; they are cloned, called and dropped outside of the critical section, so they may
/// come back here, and interrupts are masked only for as long as one waker moves in the queue.
///
/// # Panics
/// `schedule_wake` panics if `N` wakers wait already and none of them is that of a jenny task which
/// has ended. [`try_schedule_wake`](Self::try_schedule_wake) returns an error.
///
/// # Examples
/// ```
/// use jenny_core::embassy::{Alarm, QueueDriver};
/// # use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// # static COUNTER: AtomicU64 = AtomicU64::new(0);
/// # static COMPARE: AtomicU64 = AtomicU64::new(u64::MAX);
/// # mod critical { struct Nobody; critical_section::set_impl!(Nobody);
/// # // SAFETY: the example has one thread.
/// # unsafe impl critical_section::Impl for Nobody { unsafe fn acquire() -> bool { true } unsafe fn release(_: bool) {} } }
///
/// struct Counter;
///
/// impl Alarm for Counter {
///     fn now(&self) -> u64 {
///         COUNTER.load(Relaxed)
///     }
///
///     fn set(&self, at: u64) -> bool {
///         COMPARE.store(at, Relaxed);
///         self.now() < at
///     }
/// }
///
/// embassy_time_driver::time_driver_impl!(
///     static DRIVER: QueueDriver<Counter, 16> = QueueDriver::new(Counter)
/// );
///
/// // #[interrupt]
/// fn counter_matches() {
///     DRIVER.on_alarm();
/// }
/// # use std::{sync::{Arc, atomic::AtomicUsize}, task::Wake};
/// # struct Count(AtomicUsize);
/// # impl Wake for Count { fn wake(self: Arc<Self>) { self.0.fetch_add(1, Relaxed); } }
/// # let count = Arc::new(Count(AtomicUsize::new(0)));
/// # embassy_time_driver::schedule_wake(5, &Arc::clone(&count).into());
/// # assert_eq!(COMPARE.load(Relaxed), 5);
/// # COUNTER.store(5, Relaxed);
/// # counter_matches();
/// # assert_eq!(count.0.load(Relaxed), 1);
/// ```
pub struct QueueDriver<A, const N: usize> {
    alarm: A,
    queue: Mutex<RefCell<TimerQueue<N>>>,
}

impl<A: Alarm, const N: usize> QueueDriver<A, N> {
    /// A driver without wakers, for a static.
    pub const fn new(alarm: A) -> Self {
        Self { alarm, queue: Mutex::new(RefCell::new(TimerQueue::new())) }
    }

    /// The hardware.
    pub fn alarm(&self) -> &A {
        &self.alarm
    }

    /// How many wakers wait.
    pub fn len(&self) -> usize {
        self.with(|queue| queue.len())
    }

    /// Whether no waker waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls everybody whose time has come, and sets the alarm for the next. From anywhere; the
    /// handler of the alarm's interrupt has to.
    pub fn on_alarm(&self) {
        while let Some(waker) = self.expired() {
            waker.wake();
        }
    }

    /// As [`Driver::schedule_wake`], where the queue may be full.
    ///
    /// # Errors
    /// [`TimerQueueFull`]
    pub fn try_schedule_wake(&self, at: u64, waker: &Waker) -> Result<(), TimerQueueFull> {
        let first = match self.with(|queue| queue.bring_forward(at, waker)) {
            Some(first) => first,
            None => self.insert(at, waker.clone())?,
        };
        if first && !self.set_alarm() {
            self.on_alarm();
        }
        Ok(())
    }

    fn insert(&self, at: u64, mut waker: Waker) -> Result<bool, TimerQueueFull> {
        loop {
            let inserted = self.with(|queue| match queue.bring_forward(at, &waker) {
                // An interrupt was faster with the same waker, which is dropped below.
                Some(first) => Ok((first, Some(waker))),
                None => queue.insert(at, waker).map(|first| (first, None)),
            });
            match inserted {
                Ok((first, _superfluous)) => return Ok(first),
                Err((full, back)) => {
                    drop(self.with(TimerQueue::pop_completed).ok_or(full)?);
                    waker = back;
                }
            }
        }
    }

    /// Sets the alarm for whoever is first by now, which an interrupt may have changed. False if that
    /// time has passed.
    fn set_alarm(&self) -> bool {
        self.with(|queue| queue.next().is_none_or(|at| self.alarm.set(at)))
    }

    /// Takes out one waker whose time has come. If there is none the alarm is set.
    fn expired(&self) -> Option<Waker> {
        self.with(|queue| {
            loop {
                let waker = queue.pop_expired(self.alarm.now());
                if waker.is_some() || queue.next().is_none_or(|at| self.alarm.set(at)) {
                    return waker;
                }
            }
        })
    }

    /// Runs the closure on the queue, with interrupts masked. Nothing of the closures here comes back.
    fn with<R>(&self, f: impl FnOnce(&mut TimerQueue<N>) -> R) -> R {
        critical_section::with(|cs| f(&mut self.queue.borrow_ref_mut(cs)))
    }
}

impl<A: Alarm, const N: usize> Driver for QueueDriver<A, N> {
    fn now(&self) -> u64 {
        self.alarm.now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        if let Err(full) = self.try_schedule_wake(at, waker) {
            panic!("{full} where the time driver, a `QueueDriver<_, N>`, is made");
        }
    }
}

impl<A, const N: usize> fmt::Debug for QueueDriver<A, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueDriver").field("capacity", &N).finish_non_exhaustive()
    }
}
