//! An interrupt produces, tasks consume, and nothing is lost: no allocation, and no compare-and-swap
//! on chips that have none.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use firmware_board::{self as board, Exit, println};
use firmware_one_core::Chip;
use jenny_core::single::{Executor, TaskPool, task_size};

const CONSUMERS: usize = 3;
const NUMBERS: u32 = 999;

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
/// One for each consumer: a channel of embassy-sync has one task that waits.
static CHANNELS: [Channel<CriticalSectionRawMutex, u32, 4>; CONSUMERS] =
    [const { Channel::new() }; CONSUMERS];
static CONSUMER: TaskPool<{ task_size(&consume) }, CONSUMERS> = TaskPool::new();
static CONDUCTOR: TaskPool<{ task_size(&conduct) }, 1> = TaskPool::new();

board::on_timer!(produce);

/// In the interrupt. Deals the numbers from 1 up, and then a 0 to each consumer.
fn produce() {
    static SENT: AtomicU32 = AtomicU32::new(0);
    let sent = SENT.load(Relaxed);
    let number = if sent < NUMBERS { sent + 1 } else { 0 };
    // A full channel is tried again in the next interrupt. There is one producer.
    if CHANNELS[sent as usize % CONSUMERS].try_send(number).is_ok() {
        SENT.store(sent + 1, Relaxed);
    }
}

async fn consume(consumer: usize) -> (u32, u32) {
    let (mut count, mut sum) = (0, 0);
    loop {
        match CHANNELS[consumer].receive().await {
            0 => return (count, sum),
            number => (count, sum) = (count + 1, sum + number),
        }
    }
}

async fn conduct() {
    let consumers = core::array::from_fn::<_, CONSUMERS, _>(|consumer| {
        CONSUMER.spawn(&EXECUTOR, consume(consumer)).expect("the pool has a place for each")
    });
    let mut all = 0;
    for consumer in consumers {
        let (count, sum) = consumer.await.expect("nobody aborts it");
        println!("{count} numbers came, their sum is {sum}");
        all += sum;
    }
    board::timer::stop();
    assert_eq!(all, NUMBERS * (NUMBERS + 1) / 2);
    EXECUTOR.close();
}

#[board::entry]
fn main() -> ! {
    board::heap!(64);
    board::timer::start(board::timer::HZ / 10_000);
    EXECUTOR.run(|_| drop(CONDUCTOR.spawn(&EXECUTOR, conduct())));
    board::exit(Exit::Success)
}
