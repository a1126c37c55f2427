//! The chip that the programs in `src/bin` run on: what jenny's executor for one core asks of it, and
//! a clock.

#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use core::{cell::Cell, future::poll_fn, pin::pin};

use critical_section::Mutex;
use firmware_board as board;
use jenny_core::{
    single::{Board, CriticalSection, Idle},
    time::{Timer, Timers},
};

/// The board of every executor in thread mode: WFI where there is nothing to do.
pub struct Chip;

impl Board for Chip {
    fn wait(&self, _: Idle<'_>) {
        // Masked interrupts end it, too. Each tick of the clock is one, so no alarm has to be set.
        board::wait_for_interrupt();
    }

    fn turn(&self) {
        if let Some(timers) = timers() {
            timers.fire(now());
        }
    }
}

static MILLISECONDS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));
static TIMERS: Mutex<Cell<Option<&'static Timers<CriticalSection>>>> = Mutex::new(Cell::new(None));

fn timers() -> Option<&'static Timers<CriticalSection>> {
    critical_section::with(|token| TIMERS.borrow(token).get())
}

/// Starts the clock: the timer of the board ticks a thousand times in a second, and calls [`tick`].
pub fn start_clock() {
    let timers = Box::leak(Box::new(Timers::new()));
    critical_section::with(|token| TIMERS.borrow(token).set(Some(timers)));
    board::timer::start(board::timer::HZ / 1000);
}

/// What the handler of the board's timer does for the clock.
pub fn tick() {
    critical_section::with(|token| {
        let milliseconds = MILLISECONDS.borrow(token);
        milliseconds.set(milliseconds.get() + 1);
    });
}

/// Milliseconds since the clock was started.
pub fn now() -> u64 {
    critical_section::with(|token| MILLISECONDS.borrow(token).get())
}

/// Waits until the clock says so.
///
/// # Panics
/// If the clock was not started.
pub async fn sleep_until(millisecond: u64) {
    let mut timer = pin!(Timer::new(timers().expect("start_clock comes first")));
    poll_fn(|context| timer.as_mut().poll(millisecond, now, context))
        .await
        .expect("these timers are never closed");
}
