//! A program of Embassy's crates in jenny's tasks. The time driver is that of the binary; nothing in
//! here knows which.

#![no_std]

use core::{cell::Cell, task::Waker};

use critical_section::Mutex;
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use embassy_time::{Duration, Instant, Ticker, Timer, with_timeout};
use firmware_board::{self as board, Exit, println};
use jenny_core::{
    embassy::DriverTimers,
    single::{Board, Executor, Idle, TaskPool, task_size},
};

/// A counter of milliseconds, and an alarm: what the drivers of both programs are made of.
pub struct Counter {
    now: Mutex<Cell<u64>>,
    alarm: Mutex<Cell<u64>>,
}

impl Counter {
    #[expect(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self { now: Mutex::new(Cell::new(0)), alarm: Mutex::new(Cell::new(u64::MAX)) }
    }

    pub fn now(&self) -> u64 {
        critical_section::with(|token| self.now.borrow(token).get())
    }

    /// Sets the alarm. False if that time has passed.
    pub fn set_alarm(&self, at: u64) -> bool {
        critical_section::with(|token| self.alarm.borrow(token).set(at));
        self.now() < at
    }

    /// A millisecond is over. True if the alarm goes off.
    pub fn tick(&self) -> bool {
        critical_section::with(|token| {
            let now = self.now.borrow(token).get() + 1;
            self.now.borrow(token).set(now);
            let rings = self.alarm.borrow(token).get() <= now;
            if rings {
                self.alarm.borrow(token).set(u64::MAX);
            }
            rings
        })
    }
}

struct Chip;

impl Board for Chip {
    fn turn(&self) {
        TIMERS.turn();
    }

    fn deadline(&self) -> Option<u64> {
        TIMERS.next()
    }

    fn wait(&self, idle: Idle<'_>) {
        // The interrupt itself ends the sleep.
        TIMERS.set_alarm(idle, Waker::noop());
        board::wait_for_interrupt();
    }
}

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static TIMERS: DriverTimers = DriverTimers::new();
static READINGS: Channel<CriticalSectionRawMutex, u32, 2> = Channel::new();

static SENSOR: TaskPool<{ task_size(&sense) }, 1> = TaskPool::new();
static LAMP: TaskPool<{ task_size(&blink) }, 1> = TaskPool::new();
static DISPLAY: TaskPool<{ task_size(&show) }, 1> = TaskPool::new();

/// Runs the program, and ends QEMU.
pub fn run() -> ! {
    board::timer::start(board::timer::HZ / 1000);
    EXECUTOR.run(|spawner| {
        drop(SENSOR.spawn_local(spawner, sense()).expect("the first"));
        drop(LAMP.spawn_local(spawner, blink()).expect("the first"));
        drop(DISPLAY.spawn_local(spawner, show()).expect("the first"));
    });
    println!("{} ms: shut down", milliseconds());
    board::exit(Exit::Success)
}

fn milliseconds() -> u64 {
    Instant::now().as_millis()
}

/// Measures every 100 ms, and then pauses.
async fn sense() {
    let mut ticker = Ticker::every(Duration::from_millis(100));
    for reading in 1..=3 {
        ticker.next().await;
        READINGS.send(reading).await;
    }
    Timer::after_millis(500).await;
    READINGS.send(4).await;
}

/// Waits on jenny's own timers.
async fn blink() {
    loop {
        TIMERS.sleep(240).await;
        println!("{} ms: blink", milliseconds());
    }
}

async fn show() {
    loop {
        match with_timeout(Duration::from_millis(150), READINGS.receive()).await {
            Ok(reading) => println!("{} ms: {reading}", milliseconds()),
            Err(_) => println!("{} ms: no reading", milliseconds()),
        }
        if milliseconds() >= 800 {
            break EXECUTOR.close();
        }
    }
}
