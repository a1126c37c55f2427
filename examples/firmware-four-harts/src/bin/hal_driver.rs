//! The time driver is one as HALs have it: its queue lies in the tasks, or in what jenny gives it.

#![no_std]
#![no_main]

use core::{cell::RefCell, task::Waker};

use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use firmware_board as board;
use firmware_four_harts::{Virt, clock};
use jenny_core::smp;

struct Hal(Mutex<RefCell<Queue>>);

impl Hal {
    fn expire(&self, queue: &mut Queue) {
        while !clock::set_alarm(queue.next_expiration(clock::now())) {}
    }
}

impl Driver for Hal {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|token| {
            let queue = &mut *self.0.borrow_ref_mut(token);
            if queue.schedule_wake(at, waker) {
                self.expire(queue);
            }
        });
    }
}

embassy_time_driver::time_driver_impl!(
    static DRIVER: Hal = Hal(Mutex::new(RefCell::new(Queue::new())))
);

jenny_core::embassy_timer_items!(clock::WAKERS);

#[unsafe(no_mangle)]
extern "C" fn MachineTimer() {
    clock::set_alarm(u64::MAX);
    smp::in_interrupt::<Virt, _>(|| {
        critical_section::with(|token| DRIVER.expire(&mut DRIVER.0.borrow_ref_mut(token)));
    });
}

#[board::entry]
fn main() -> ! {
    clock::run()
}
