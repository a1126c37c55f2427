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
use firmware_board::{self as board, Exit, println};
use firmware_figures::{Meter, ROUNDS, interrupt, interrupted, tell, told, yields};
use static_cell::StaticCell;

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
    tell(value).await;
}

#[embassy_executor::task]
async fn spawning(spawner: Spawner) {
    let meter = Meter::start();
    for round in 0..ROUNDS {
        spawner.spawn(child(round).unwrap());
        assert_eq!(told().await, round);
    }
    meter.report("spawn_static");
    board::exit(Exit::Success)
}

#[embassy_executor::task]
async fn yielding(spawner: Spawner) {
    yields().await;
    spawner.spawn(spawning(spawner).unwrap());
}

#[board::entry]
fn main() -> ! {
    type Storage = TaskStorage<Ready<u32>>;
    println!("bytes_per_task {}", size_of::<Storage>() - size_of::<Ready<u32>>());
    count_interrupts();

    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init(Executor::new()).run(|spawner| spawner.spawn(yielding(spawner).unwrap()))
}
