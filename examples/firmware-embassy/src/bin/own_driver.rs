//! The time driver is jenny's queue of 4 wakers, over the counter.

#![no_std]
#![no_main]

use firmware_board as board;
use firmware_embassy::{Counter, run};
use jenny_core::embassy::{Alarm, QueueDriver};

struct Milliseconds(Counter);

impl Alarm for Milliseconds {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn set(&self, at: u64) -> bool {
        self.0.set_alarm(at)
    }
}

embassy_time_driver::time_driver_impl!(
    static DRIVER: QueueDriver<Milliseconds, 4> = QueueDriver::new(Milliseconds(Counter::new()))
);

board::on_timer!(|| {
    if DRIVER.alarm().0.tick() {
        DRIVER.on_alarm();
    }
});

#[board::entry]
fn main() -> ! {
    board::heap!(16);
    run()
}
