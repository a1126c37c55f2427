//! This crate's timers on whatever driver the program has.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use crate::{
    single::{CriticalSection, Idle},
    sync::const_unless_checked,
    time::{Timer, Timers},
};

/// A timing wheel on the clock and the alarm of the program's time driver.
///
/// `embassy-time`'s own timers take a slot of the driver's queue for each task, and keep it if they are
/// dropped. These are nodes of a wheel, any number of them, and take one slot in all. They belong to
/// one executor, whose board turns the wheel:
///
/// ```
/// use std::{sync::OnceLock, task::Waker};
///
/// use jenny_core::{embassy::DriverTimers, single::{Board, Idle}};
/// # mod critical { struct Nobody; critical_section::set_impl!(Nobody);
/// # // SAFETY: the example has one thread.
/// # unsafe impl critical_section::Impl for Nobody { unsafe fn acquire() -> bool { true } unsafe fn release(_: bool) {} } }
/// # struct Test; impl embassy_time_driver::Driver for Test {
/// # fn now(&self) -> u64 { 0 } fn schedule_wake(&self, _: u64, _: &Waker) {} }
/// # embassy_time_driver::time_driver_impl!(static DRIVER: Test = Test);
///
/// static TIMERS: DriverTimers = DriverTimers::new();
///
/// struct Mcu;
///
/// impl Board for Mcu {
///     fn turn(&self) {
///         TIMERS.turn();
///     }
///
///     fn deadline(&self) -> Option<u64> {
///         TIMERS.next()
///     }
///
///     fn wait(&self, idle: Idle<'_>) {
///         // The alarm's interrupt ends the sleep; nobody has to be woken beyond that.
///         TIMERS.set_alarm(idle, Waker::noop());
///         // cortex_m::asm::wfi();
///     }
/// }
///
/// async fn blink() {
///     loop {
///         TIMERS.sleep(embassy_time_driver::TICK_HZ / 2).await;
///     }
/// }
/// ```
pub struct DriverTimers {
    timers: Timers<CriticalSection>,
}

impl DriverTimers {
    const_unless_checked! {
        /// No timers, for a static. The wheel takes 1.5 KiB on 32-bit machines.
        pub fn new() -> Self {
            Self { timers: Timers::with_lock(CriticalSection) }
        }
    }

    /// Waits until a tick of the driver's.
    pub fn sleep_until(&'static self, at: u64) -> Sleep {
        Sleep { at, timer: Timer::new(&self.timers) }
    }

    /// Waits for a number of ticks, of which there are `embassy_time_driver::TICK_HZ` in a second.
    pub fn sleep(&'static self, ticks: u64) -> Sleep {
        self.sleep_until(embassy_time_driver::now().saturating_add(ticks))
    }

    /// Fires what is due. In the executor's loop. Returns how many it has woken.
    pub fn turn(&self) -> usize {
        // At any time whatever there is a next deadline, or there is none.
        match self.timers.next(0) {
            Some(_) => self.timers.fire(embassy_time_driver::now()),
            None => 0,
        }
    }

    /// When to call [`turn`](Self::turn) next; perhaps too early, never too late. Reads the driver's
    /// clock if there are timers.
    pub fn next(&self) -> Option<u64> {
        self.timers.next(0)?;
        self.timers.next(embassy_time_driver::now())
    }

    /// Has the driver call the waker when the sleep has to end, if it has to. An executor that sleeps
    /// in thread mode is woken by the interrupt itself, and the waker may be [`Waker::noop`].
    pub fn set_alarm(&self, idle: Idle<'_>, waker: &Waker) {
        if let Some(at) = idle.until() {
            embassy_time_driver::schedule_wake(at, waker);
        }
    }
}

impl Default for DriverTimers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DriverTimers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timers.fmt(f)
    }
}

/// Waits until a tick. Made by [`DriverTimers`].
///
/// # Cancel safety
/// Dropping it ends the wait, and leaves nothing behind.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Sleep {
    at: u64,
    timer: Timer<&'static Timers<CriticalSection>>,
}

impl Sleep {
    /// When it is over.
    pub fn deadline(&self) -> u64 {
        self.at
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        // SAFETY: the timer stays where it is.
        let timer = unsafe { self.map_unchecked_mut(|sleep| &mut sleep.timer) };
        let result = ready!(timer.poll(at, embassy_time_driver::now, context));
        debug_assert!(result.is_ok(), "nobody closes the wheel");
        Poll::Ready(())
    }
}
