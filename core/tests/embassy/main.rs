//! A board whose hardware is two numbers: a counter that jumps to the next alarm when the executor
//! sleeps. What Embassy's crates do on it, and what this crate's timers do beside them.
#![cfg(all(feature = "embassy-time-driver", not(jenny_loom)))]

mod critical;
mod driver;
mod gaps;
mod queue;
mod tasks;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use jenny_core::{
    embassy::{Alarm, DriverTimers, QueueDriver},
    single::{Board, Idle},
};

static COUNTER: AtomicU64 = AtomicU64::new(0);
static COMPARE: AtomicU64 = AtomicU64::new(u64::MAX);

/// The counter, and an alarm that it raises when it gets to the compare value.
struct Counter;

impl Alarm for Counter {
    fn now(&self) -> u64 {
        COUNTER.load(SeqCst)
    }

    fn set(&self, at: u64) -> bool {
        assert!(critical::is_inside(), "an alarm is set with interrupts masked");
        COMPARE.store(at, SeqCst);
        self.now() < at
    }
}

embassy_time_driver::time_driver_impl!(
    static DRIVER: QueueDriver<Counter, 8> = QueueDriver::new(Counter)
);

static TIMERS: DriverTimers = DriverTimers::new();

/// Raises the interrupt if it is pending.
fn interrupt() {
    if COMPARE.load(SeqCst) <= COUNTER.load(SeqCst) {
        COMPARE.store(u64::MAX, SeqCst);
        DRIVER.on_alarm();
    }
}

/// Lets the time go on.
fn advance_to(tick: u64) {
    COUNTER.fetch_max(tick, SeqCst);
    interrupt();
}

struct Simulated;

impl Board for Simulated {
    fn turn(&self) {
        interrupt();
        TIMERS.turn();
    }

    fn deadline(&self) -> Option<u64> {
        TIMERS.next()
    }

    fn wait(&self, idle: Idle<'_>) {
        TIMERS.set_alarm(idle, std::task::Waker::noop());
        let alarm = COMPARE.load(SeqCst);
        assert!(alarm < u64::MAX, "this sleep would never end");
        COUNTER.fetch_max(alarm, SeqCst);
    }
}

/// There is one board for all tests.
fn board() -> MutexGuard<'static, ()> {
    static BOARD: Mutex<()> = Mutex::new(());
    let board = BOARD.lock().unwrap_or_else(PoisonError::into_inner);
    // What the test before has left.
    advance_to((COUNTER.load(SeqCst) + 1).next_multiple_of(1 << 40));
    assert!(DRIVER.is_empty());
    board
}
