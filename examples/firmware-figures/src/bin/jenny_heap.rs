//! What tasks on the heap take.

#![no_std]
#![no_main]

use cortex_m::asm::wfi;
use firmware_board::{self as board, Exit};
use firmware_figures::{Meter, ROUNDS};
use jenny_core::single::{Board, Executor, Idle, Spawner};

struct Chip;

impl Board for Chip {
    fn wait(&self, _: Idle<'_>) {
        wfi();
    }
}

static EXECUTOR: Executor<Chip> = Executor::new(Chip);

async fn child(value: u32) -> u32 {
    value
}

async fn joining(spawner: Spawner<Chip>) {
    let meter = Meter::start();
    for round in 0..ROUNDS {
        assert_eq!(spawner.spawn_local(child(round)).await.unwrap(), round);
    }
    meter.report("spawn_join_heap");
    EXECUTOR.close();
}

#[board::entry]
fn main() -> ! {
    board::heap!(4096);
    EXECUTOR.run(|spawner| drop(spawner.spawn_local(joining(spawner))));
    board::exit(Exit::Success)
}
