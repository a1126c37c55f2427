//! What both executors are measured with: the same futures, the same counter.
//!
//! Under QEMU's `-icount shift=0` an instruction takes one virtual nanosecond, so that SysTick, at
//! 12.5 MHz, advances once in 80 instructions: exactly, and the same in every run.

#![no_std]

use core::{
    cell::RefCell,
    future,
    task::{Poll, Waker},
};

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use critical_section::Mutex;
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use firmware_board::println;

/// Rounds of each measurement: enough to make the counter's step invisible.
pub const ROUNDS: u32 = 8_000;

/// Instructions per step of SysTick.
const STEP: u32 = 80;

/// Counts instructions from its making on.
pub struct Meter(SYST);

impl Meter {
    pub fn start() -> Self {
        // SAFETY: nobody else in these programs uses SysTick.
        let mut systick = unsafe { cortex_m::Peripherals::steal() }.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(0xff_ffff);
        systick.clear_current();
        systick.enable_counter();
        Self(systick)
    }

    /// Prints the instructions of one round out of [`ROUNDS`], rounded.
    pub fn report(self, what: &str) {
        let instructions = (0xff_ffff - SYST::get_current()) * STEP;
        println!("{what} {}", (instructions + ROUNDS / 2) / ROUNDS);
    }
}

/// Goes [`ROUNDS`] times to the end of the queue.
pub async fn yields() {
    let meter = Meter::start();
    let mut left = ROUNDS;
    future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    meter.report("yield");
}

/// How a task that nobody joins says that it ends.
static ENDED: Signal<CriticalSectionRawMutex, u32> = Signal::new();

/// Ends at once, and tells.
pub async fn tell(value: u32) {
    ENDED.signal(value);
}

/// Waits for the end of [`tell`].
pub async fn told() -> u32 {
    ENDED.wait().await
}

static WAITER: Mutex<RefCell<Option<Waker>>> = Mutex::new(RefCell::new(None));

/// Waits for [`interrupt`], once.
pub async fn interrupted() {
    let mut waiting = false;
    future::poll_fn(|context| {
        if core::mem::replace(&mut waiting, true) {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        critical_section::with(|token| WAITER.borrow_ref_mut(token).replace(waker));
        Poll::Pending
    })
    .await;
}

/// Sets the interrupt pending that wakes who waits.
pub fn interrupt() {
    SCB::set_pendsv();
}

#[unsafe(no_mangle)]
extern "C" fn PendSV() {
    let waker = critical_section::with(|token| WAITER.borrow_ref_mut(token).take());
    if let Some(waker) = waker {
        waker.wake();
    }
}
