//! A task that blocks on another executor would stop all tasks of its own: it panics, and says what
//! to do.

#![no_std]
#![no_main]

use firmware_board::{self as board, Exit};
use firmware_one_core::Chip;
use jenny_core::single::Executor;

static OUTER: Executor<Chip> = Executor::new(Chip);
static INNER: Executor<Chip> = Executor::new(Chip);

#[board::entry]
fn main() -> ! {
    board::heap!(1024);
    OUTER.block_on(OUTER.spawn(async { INNER.block_on(async {}) })).expect("it panics before");
    board::exit(Exit::Success)
}
