//! `spawn` without memory panics, and says what to do.

#![no_std]
#![no_main]

use core::future::pending;

use firmware_board as board;
use firmware_one_core::Chip;
use jenny_core::single::Executor;

static EXECUTOR: Executor<Chip> = Executor::new(Chip);

#[board::entry]
fn main() -> ! {
    board::heap!(1024);
    loop {
        EXECUTOR.spawn(pending::<()>());
    }
}
