//! A task that blocks on its own executor could never go on: it panics, and says what to do.

#![no_std]
#![no_main]

use firmware_board::{self as board, Exit};
use firmware_one_core::Chip;
use jenny_core::single::Executor;

static EXECUTOR: Executor<Chip> = Executor::new(Chip);

#[board::entry]
fn main() -> ! {
    board::heap!(64);
    EXECUTOR.block_on(async {
        EXECUTOR.block_on(async {});
    });
    board::exit(Exit::Success)
}
