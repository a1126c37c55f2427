//! embassy-time in tasks on all harts. The time driver is that of the binary, its alarm that of hart 0.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel};
use embassy_time::{Duration, Instant, Ticker, Timer, with_timeout};
use firmware_board::{self as board, Exit, println};

use crate::{HARTS, Handle, hart, harts};

/// Wakers that the driver has to have room for: the timed tasks', those that stay, the reader's.
pub const WAKERS: usize = TIMED + HARTS + 1;

const TIMED: usize = 16;
const TICKS: u32 = 20;
const PERIOD: Duration = Duration::from_millis(10);

/// The hart whose alarm the driver sets: from any of them.
const DRIVING: usize = 0;

/// What the harts read at each tick.
static READINGS: Channel<CriticalSectionRawMutex, usize, 2> = Channel::new();
/// Waits that ended on a hart.
static ENDED: [AtomicUsize; HARTS] = [const { AtomicUsize::new(0) }; HARTS];

/// The time of all harts, in ticks of the driver.
pub fn now() -> u64 {
    board::timer::now()
}

/// Sets the driver's alarm. False if that time has passed.
pub fn set_alarm(at: u64) -> bool {
    harts::set_alarm(DRIVING, at);
    now() < at
}

/// Runs the program, and ends QEMU.
pub fn run() -> ! {
    crate::run(conduct, |spawner| drop(spawner.spawn_local(tick())));
    println!("{HARTS} harts stopped");
    board::exit(Exit::Success)
}

/// Reads at a steady rate, always on one hart.
async fn tick() {
    let (home, start) = (hart(), Instant::now());
    let mut ticker = Ticker::every(PERIOD);
    for ticks in 1..=TICKS {
        ticker.next().await;
        assert_eq!(hart(), home, "a pinned task has moved");
        assert!(start.elapsed() >= PERIOD * ticks, "a tick too early");
        READINGS.send(home).await;
    }
}

/// Waits, on whatever hart.
async fn wait(time: Duration) {
    let start = Instant::now();
    Timer::after(time).await;
    assert!(start.elapsed() >= time, "too early");
    ENDED[hart()].fetch_add(1, Relaxed);
}

async fn conduct(handle: Handle) {
    let timed = core::array::from_fn::<_, TIMED, _>(|number| {
        handle.spawn(wait(Duration::from_millis(5 * number as u64)))
    });
    let mut readings = [0; HARTS];
    for _ in 0..TICKS * HARTS as u32 {
        readings[READINGS.receive().await] += 1;
    }
    println!("readings, by hart: {readings:?}");
    for wait in timed {
        wait.await.expect("nobody has aborted it");
    }
    let ended: usize = ENDED.iter().map(|ended| ended.load(Relaxed)).sum();
    println!("{ended} timers, none early");

    let silence = with_timeout(PERIOD, READINGS.receive()).await;
    println!("then {}", if silence.is_err() { "nothing in time" } else { "one more" });
    handle.close();
}
