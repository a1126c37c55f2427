//! The time driver is one as HALs have it: its queue lies in the tasks, or in what jenny gives it.

#![no_std]
#![no_main]

use core::{cell::RefCell, task::Waker};

use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use firmware_board as board;
use firmware_embassy::{Counter, run};

struct Hal {
    counter: Counter,
    queue: Mutex<RefCell<Queue>>,
}

impl Hal {
    fn expire(&self, queue: &mut Queue) {
        while !self.counter.set_alarm(queue.next_expiration(self.counter.now())) {}
    }
}

impl Driver for Hal {
    fn now(&self) -> u64 {
        self.counter.now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|token| {
            let queue = &mut *self.queue.borrow_ref_mut(token);
            if queue.schedule_wake(at, waker) {
                self.expire(queue);
            }
        });
    }
}

embassy_time_driver::time_driver_impl!(static DRIVER: Hal = Hal {
    counter: Counter::new(),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

// Two tasks use the driver, and the board's alarm.
jenny_core::embassy_timer_items!(3);

board::on_timer!(|| {
    if DRIVER.counter.tick() {
        critical_section::with(|token| DRIVER.expire(&mut DRIVER.queue.borrow_ref_mut(token)));
    }
});

#[board::entry]
fn main() -> ! {
    board::heap!(16);
    run()
}
