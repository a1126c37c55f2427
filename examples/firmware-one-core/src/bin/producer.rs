//! An interrupt produces, tasks consume, and nothing is lost: no allocation, and no compare-and-swap
//! on chips that have none.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use firmware_board::{self as board, Exit, println};
use firmware_one_core::Chip;
use jenny_core::single::{Executor, TaskPool, task_size};

const NUMBERS: u32 = 1_000;

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static NUMBER: Channel<CriticalSectionRawMutex, u32, 4> = Channel::new();
static CONSUMERS: TaskPool<{ task_size(&consume) }, 3> = TaskPool::new();
static CONDUCTOR: TaskPool<{ task_size(&conduct) }, 1> = TaskPool::new();

board::on_timer!(produce);

/// In the interrupt. Sends the numbers from 1 up, and then a 0 for each consumer.
fn produce() {
    static SENT: AtomicU32 = AtomicU32::new(0);
    let sent = SENT.load(Relaxed);
    let number = if sent < NUMBERS { sent + 1 } else { 0 };
    // A full channel is tried again in the next interrupt. There is one producer.
    if NUMBER.try_send(number).is_ok() {
        SENT.store(sent + 1, Relaxed);
    }
}

async fn consume(name: usize) -> (usize, u32, u32) {
    let (mut count, mut sum) = (0, 0);
    loop {
        match NUMBER.receive().await {
            0 => return (name, count, sum),
            number => (count, sum) = (count + 1, sum + number),
        }
    }
}

async fn conduct() {
    let consumers = [1, 2, 3].map(|name| {
        CONSUMERS.spawn(&EXECUTOR, consume(name)).expect("the pool has a place for each")
    });
    let (mut count, mut sum) = (0, 0);
    for consumer in consumers {
        let (name, its_count, its_sum) = consumer.await.expect("nobody aborts it");
        assert!(its_count > 0, "consumer {name} got nothing");
        (count, sum) = (count + its_count, sum + its_sum);
    }
    board::timer::stop();
    println!("{count} numbers came, their sum is {sum}");
    assert_eq!((count, sum), (NUMBERS, NUMBERS * (NUMBERS + 1) / 2));
    EXECUTOR.close();
}

#[board::entry]
fn main() -> ! {
    board::heap!(64);
    board::timer::start(board::timer::HZ / 10_000);
    EXECUTOR.run(|_| drop(CONDUCTOR.spawn(&EXECUTOR, conduct())));
    board::exit(Exit::Success)
}
