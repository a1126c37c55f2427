//! The time driver is jenny's queue of wakers, over the clock of all harts and an alarm of one.

#![no_std]
#![no_main]

use firmware_board as board;
use firmware_four_harts::{Virt, clock};
use jenny_core::{
    embassy::{Alarm, QueueDriver},
    smp,
};

struct Clock;

impl Alarm for Clock {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn set(&self, at: u64) -> bool {
        clock::set_alarm(at)
    }
}

embassy_time_driver::time_driver_impl!(
    static DRIVER: QueueDriver<Clock, { clock::WAKERS }> = QueueDriver::new(Clock)
);

#[unsafe(no_mangle)]
extern "C" fn MachineTimer() {
    clock::set_alarm(u64::MAX);
    smp::in_interrupt::<Virt, _>(|| DRIVER.on_alarm());
}

#[board::entry]
fn main() -> ! {
    clock::run()
}
