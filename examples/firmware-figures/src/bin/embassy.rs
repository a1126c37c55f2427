//! The figures of embassy-executor.

#![no_std]
#![no_main]

use core::{
    arch::asm,
    future::Ready,
    mem::size_of,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use embassy_executor::{
    Executor, Spawner,
    raw::{self, TaskStorage},
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use firmware_board::{self as board, Exit, println};
use firmware_figures::{Meter, ROUNDS, interrupt, interrupted, yields};
use static_cell::StaticCell;

/// embassy has no join: the child says that it ends.
static ENDED: Signal<CriticalSectionRawMutex, u32> = Signal::new();
static INTERRUPTED: AtomicU32 = AtomicU32::new(0);

#[embassy_executor::task]
async fn interrupts() {
    loop {
        interrupted().await;
        INTERRUPTED.store(INTERRUPTED.load(Relaxed) + 1, Relaxed);
    }
}

/// The loop of embassy's thread-mode executor, with an interrupt in each sleep.
fn count_interrupts() {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor: &'static raw::Executor = EXECUTOR.init(raw::Executor::new(usize::MAX as *mut ()));
    executor.spawner().spawn(interrupts().unwrap());
    // SAFETY: `poll` is called here only, never from a task.
    let poll = || unsafe { executor.poll() };
    poll();
    let meter = Meter::start();
    for _ in 0..ROUNDS {
        interrupt();
        // SAFETY: waits, and changes nothing.
        unsafe { asm!("wfe") };
        poll();
    }
    meter.report("interrupt");
    assert_eq!(INTERRUPTED.load(Relaxed), ROUNDS);
}

#[embassy_executor::task]
async fn child(value: u32) {
    ENDED.signal(value);
}

#[embassy_executor::task]
async fn tasks(spawner: Spawner) {
    let meter = Meter::start();
    yields().await;
    meter.report("yield");

    let meter = Meter::start();
    for round in 0..ROUNDS {
        spawner.spawn(child(round).unwrap());
        assert_eq!(ENDED.wait().await, round);
    }
    meter.report("spawn_join_static");
    board::exit(Exit::Success)
}

#[board::entry]
fn main() -> ! {
    type Storage = TaskStorage<Ready<u32>>;
    println!("bytes_per_task {}", size_of::<Storage>() - size_of::<Ready<u32>>());
    count_interrupts();

    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init(Executor::new()).run(|spawner| spawner.spawn(tasks(spawner).unwrap()))
}
