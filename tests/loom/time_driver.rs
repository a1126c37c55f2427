//! The time driver for Embassy, of a counter and an alarm: whatever interrupts do between its steps,
//! nobody sleeps beyond his time.

use std::{
    sync::{
        Arc as StdArc,
        atomic::{AtomicUsize as Count, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

use jenny_core::embassy::{Alarm, QueueDriver};
use loom::{
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    harness::{Bounds, check},
    single::interrupt,
};

/// A counter that raises an interrupt when it *becomes* what the alarm is set to, and never later.
struct Counter(Mutex<Registers>);

struct Registers {
    now: u64,
    alarm: u64,
}

impl Alarm for Counter {
    fn now(&self) -> u64 {
        self.0.lock().unwrap().now
    }

    fn set(&self, at: u64) -> bool {
        self.0.lock().unwrap().alarm = at;
        self.now() < at
    }
}

type Driver = Arc<QueueDriver<Counter, 2>>;

fn new() -> Driver {
    Arc::new(QueueDriver::new(Counter(Mutex::new(Registers { now: 0, alarm: u64::MAX }))))
}

/// Lets time pass, with the interrupts that come with it.
fn pass(driver: &Driver, ticks: u64) -> thread::JoinHandle<()> {
    let driver = Arc::clone(driver);
    thread::spawn(move || {
        for _ in 0..ticks {
            let matches = {
                let mut registers = driver.alarm().0.lock().unwrap();
                registers.now += 1;
                registers.now == registers.alarm
            };
            if matches {
                let handler = Arc::clone(&driver);
                interrupt(move || handler.on_alarm()).join().unwrap();
            }
        }
    })
}

/// Whoever sleeps: counts how often it is woken.
#[derive(Default)]
struct Sleeper(Count);

impl Wake for Sleeper {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn sleeper() -> (StdArc<Sleeper>, Waker) {
    let sleeper = StdArc::<Sleeper>::default();
    (StdArc::clone(&sleeper), sleeper.into())
}

fn schedule(driver: &Driver, at: u64, waker: &Waker) {
    driver.try_schedule_wake(at, waker).expect("there is room for two");
}

/// Two sleepers, the earlier of them either in thread mode or in an interrupt, while time passes.
fn two_sleepers(at: [u64; 2]) {
    let driver = new();
    let [(first, waker), (second, other)] = [sleeper(), sleeper()];
    let time = pass(&driver, 2);
    let handler = {
        let driver = Arc::clone(&driver);
        interrupt(move || schedule(&driver, at[1], &other))
    };
    schedule(&driver, at[0], &waker);
    handler.join().unwrap();
    time.join().unwrap();
    assert_eq!([first, second].map(|sleeper| sleeper.0.load(SeqCst)), [1, 1]);
    assert!(driver.is_empty());
}

#[test]
fn thread_mode_is_earlier() {
    check("time driver: thread mode is earlier", Bounds::preemptions(3), || two_sleepers([1, 2]));
}

#[test]
fn an_interrupt_is_earlier() {
    check("time driver: an interrupt is earlier", Bounds::preemptions(3), || two_sleepers([2, 1]));
}

/// One sleeper is scheduled from both sides: it is in the queue once, with the earlier time, unless it
/// has been woken in between.
#[test]
fn the_same_sleeper_from_both_sides() {
    check("time driver: the same sleeper from both sides", Bounds::preemptions(3), || {
        let driver = new();
        let (sleeper, waker) = sleeper();
        let handler = {
            let (driver, waker) = (Arc::clone(&driver), waker.clone());
            interrupt(move || schedule(&driver, 1, &waker))
        };
        schedule(&driver, 2, &waker);
        handler.join().unwrap();
        assert_eq!(driver.len(), 1);
        pass(&driver, 1).join().unwrap();
        assert_eq!(sleeper.0.load(SeqCst), 1);
    });
}
