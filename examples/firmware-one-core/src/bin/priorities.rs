//! Two executors: one in thread mode, and one in an interrupt, which preempts it.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use embassy_sync::{
    blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel, signal::Signal,
};
use firmware_board::{self as board, Exit, println};
use firmware_one_core::Chip;
use jenny_core::single::{Board, Executor, Idle, TaskPool, task_size};

/// The board of an executor whose tasks run in the software interrupt.
struct InInterrupt;

impl Board for InInterrupt {
    fn wait(&self, _: Idle<'_>) {
        unreachable!("who runs in an interrupt returns from it");
    }

    fn pend(&self) {
        board::software_interrupt::pend();
    }
}

const TICKS: u32 = 20;

static LOW: Executor<Chip> = Executor::new(Chip);
static HIGH: Executor<InInterrupt> = Executor::new(InInterrupt);
static CONTROL: TaskPool<{ task_size(&control) }, 1> = TaskPool::new();
static COMPUTE: TaskPool<{ task_size(&compute) }, 1> = TaskPool::new();

static TICK: Signal<CriticalSectionRawMutex, ()> = Signal::new();
static CONTROLLED: AtomicU32 = AtomicU32::new(0);
static RESULTS: Channel<CriticalSectionRawMutex, u32, 4> = Channel::new();

board::on_timer!(|| TICK.signal(()));
board::on_software_interrupt!(|| {
    // SAFETY: this is the one handler that calls it.
    unsafe { HIGH.on_interrupt() }
});

/// Urgent: answers each tick at once, whatever the other executor is doing.
async fn control() -> u32 {
    for tick in 1..=TICKS {
        TICK.wait().await;
        CONTROLLED.store(tick, Relaxed);
    }
    // What the other executor computes reaches this one, too.
    RESULTS.receive().await
}

/// Not urgent: one long poll.
async fn compute() {
    let mut turns = 0_u32;
    // Would never end if `control` had to wait for this task.
    while CONTROLLED.load(Relaxed) < TICKS {
        turns += 1;
    }
    assert!(turns > TICKS);
    RESULTS.send(42).await;
}

#[board::entry]
fn main() -> ! {
    board::heap!(64);
    board::software_interrupt::enable();
    board::timer::start(board::timer::HZ / 1000);
    let control = CONTROL.spawn(&HIGH, control()).expect("the pool is free");
    COMPUTE.spawn(&LOW, compute()).expect("the pool is free");

    let result = LOW.block_on(control).expect("nobody aborts it");
    println!("{TICKS} ticks answered during one poll of the other executor");
    println!("result {result}");
    board::exit(Exit::Success)
}
