//! Two lamps blink at rates of their own. One is waited for, the other is aborted, and a third task
//! meets the shutdown.

#![no_std]
#![no_main]

use core::future::pending;

use firmware_board::{self as board, Exit, println};
use firmware_one_core::{Chip, now, sleep_until, start_clock, tick};
use jenny_core::single::{Executor, Spawner};

static EXECUTOR: Executor<Chip> = Executor::new(Chip);

board::on_timer!(tick);

#[board::entry]
fn main() -> ! {
    board::heap!(6 * 1024);
    start_clock();
    EXECUTOR.run(|spawner| drop(spawner.spawn_local(conduct(spawner))));
    println!("{} ms: shut down", now());
    board::exit(Exit::Success)
}

async fn conduct(spawner: Spawner<Chip>) {
    let red = spawner.spawn_local(blink("red", 100, 4));
    let green = spawner.spawn_local(blink("green", 70, u64::MAX));
    spawner.spawn_local(async {
        let _lamp = Lamp("yellow");
        pending::<()>().await;
    });

    let blinks = red.await.expect("nobody aborts it");
    println!("{} ms: red has blinked {blinks} times", now());
    green.abort();
    let aborted = green.await.expect_err("it blinks for ever");
    assert!(aborted.is_cancelled());
    println!("{} ms: green is gone", now());
    EXECUTOR.close();
    println!("{} ms: shutting down", now());
}

async fn blink(name: &'static str, period: u64, times: u64) -> u64 {
    let lamp = Lamp(name);
    for blink in 1..=times {
        sleep_until(blink * period).await;
        println!("{} ms: {}", now(), lamp.0);
    }
    times
}

/// Goes out with its task.
struct Lamp(&'static str);

impl Drop for Lamp {
    fn drop(&mut self) {
        println!("{} ms: {} goes out", now(), self.0);
    }
}
