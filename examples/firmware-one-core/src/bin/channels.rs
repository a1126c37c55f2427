//! embassy-time and embassy-sync inside of our tasks: a time driver of a clock that ticks, a channel, a
//! timeout.

#![no_std]
#![no_main]

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use embassy_time::{Duration, Instant, Ticker, Timer, with_timeout};
use firmware_board::{self as board, Exit, println};
use firmware_one_core::{Chip, now, start_clock, tick};
use jenny_core::{
    embassy::{Alarm, QueueDriver},
    single::{Executor, TaskPool, task_size},
};

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static SENDER: TaskPool<{ task_size(&send) }, 1> = TaskPool::new();
static RECEIVER: TaskPool<{ task_size(&receive) }, 1> = TaskPool::new();

static NUMBERS: Channel<CriticalSectionRawMutex, u32, 2> = Channel::new();

struct Clock;

impl Alarm for Clock {
    fn now(&self) -> u64 {
        now()
    }

    fn set(&self, at: u64) -> bool {
        // Each tick looks whether something is due, so that there is nothing to be set.
        at > now()
    }
}

// Room for as many timers as there are tasks that wait for one.
embassy_time_driver::time_driver_impl!(static DRIVER: QueueDriver<Clock, 2> = QueueDriver::new(Clock));

board::on_timer!(|| {
    tick();
    DRIVER.on_alarm();
});

async fn send() {
    let mut ticker = Ticker::every(Duration::from_millis(10));
    for number in 1..=3 {
        ticker.next().await;
        NUMBERS.send(number).await;
    }
    Timer::after_millis(50).await;
    NUMBERS.send(4).await;
}

async fn receive() {
    for _ in 0..5 {
        let received = with_timeout(Duration::from_millis(30), NUMBERS.receive()).await;
        let time = Instant::now().as_millis();
        match received {
            Ok(number) => println!("{time} ms: {number}"),
            Err(timeout) => println!("{time} ms: {timeout:?}"),
        }
    }
    EXECUTOR.close();
}

#[board::entry]
fn main() -> ! {
    board::heap!(4 * 1024);
    start_clock();
    SENDER.spawn(&EXECUTOR, send()).expect("the pool is free");
    RECEIVER.spawn(&EXECUTOR, receive()).expect("the pool is free");
    EXECUTOR.run(|_| {});
    board::exit(Exit::Success)
}
