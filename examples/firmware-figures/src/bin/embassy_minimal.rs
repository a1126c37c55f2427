//! The smallest firmware that does something: one task, woken by an interrupt.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::asm::udf;
use cortex_m_rt::{entry, exception};
use embassy_executor::Executor;
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use static_cell::StaticCell;

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static TICK: Signal<CriticalSectionRawMutex, ()> = Signal::new();

#[embassy_executor::task]
async fn task() {
    loop {
        TICK.wait().await;
    }
}

#[exception]
fn SysTick() {
    TICK.signal(());
}

#[entry]
fn main() -> ! {
    EXECUTOR.init(Executor::new()).run(|spawner| match task() {
        Ok(token) => spawner.spawn(token),
        Err(_) => udf(),
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    udf()
}
