//! Random runtimes of every flavour, full of tasks, timers, blocking jobs and sockets, shut down in
//! every way, for as long as one likes. Memory, threads and open files have to stay where they are.
//!
//! ```text
//! ci/soak.sh 10
//! ```
//!
//! The time is divided into intervals. At the end of each all runtimes are gone, and what is left of
//! the process is looked at: everything counted in was counted out, there are as many threads and
//! open files as at the start, and no more memory than after the first quarter, up to a tolerance.

mod guests;
mod hosts;
mod process;

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    panic,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use jenny_tests::{Rng, Watchdog, ledger};
use process::Process;

const HELP: &str = "\
Runs random runtimes and checks that nothing is left of them.

Usage: jenny-soak [OPTIONS]

Options:
  --seconds N   how long [default: 60]
  --seed N      repeats the choices of a run, as far as the threads let it
  --help        print this";

/// How many threads run runtimes at the same time.
const HOSTS: usize = 3;

/// How much more memory there may be in the end than after the first quarter: allocators keep what
/// one burst needed for the next, and no burst is like another.
const TOLERANCE: f64 = 0.15;
const TOLERANCE_KIB: f64 = 4_096.0;

/// How long threads take to leave, at most.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), |(time, seed)| soak(time, seed))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jenny-soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<(Duration, u64)>, Box<dyn Error>> {
    let (mut seconds, mut seed) = (60, RandomState::new().hash_one(0));
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        use lexopt::prelude::*;
        match argument {
            Long("seconds") => seconds = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            Long("help") => {
                println!("{HELP}");
                return Ok(None);
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(Some((Duration::from_secs(seconds), seed)))
}

/// A runtime contains the panics of its tasks, so whatever panics without having been asked to ends the
/// process here. What the guests plan resumes an unwinding and does not come by.
fn watch_panics() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // A job of the blocking pool may wait for a timer while its runtime is shut down.
        let message = info.payload_as_str().unwrap_or_default();
        if !message.starts_with("the runtime of this timer has been shut down") {
            default(info);
            ledger::die("an unplanned panic");
        }
    }));
}

fn soak(time: Duration, seed: u64) -> Result<(), Box<dyn Error>> {
    watch_panics();
    println!("jenny-soak --seconds {} --seed {seed}", time.as_secs());
    let (start, watchdog, mut rng) = (Instant::now(), Watchdog::start(), Rng::new(seed));
    let interval = (time / 20).clamp(Duration::from_millis(500), Duration::from_secs(30));
    let before = Process::now()?;
    println!("{:>8} {:>9} {:>10}  {before}", "seconds", "runtimes", "futures");
    // The most that the process had after an interval of the first quarter.
    let (mut usual, mut last) = (0, before);
    while start.elapsed() < time {
        thread::scope(|scope| {
            for _ in 0..HOSTS {
                let rng = rng.fork();
                scope.spawn(move || hosts::host(rng, Instant::now() + interval));
            }
        });
        last = settle(&before)?;
        println!(
            "{:>8.1} {:>9} {:>10}  {last}",
            start.elapsed().as_secs_f32(),
            hosts::runtimes(),
            ledger::futures(),
        );
        if start.elapsed() < time / 4 {
            usual = usual.max(last.memory_kib);
        }
    }
    watchdog.stop();
    println!("{}", ledger::Summary);
    let limit = usual as f64 * (1.0 + TOLERANCE) + TOLERANCE_KIB;
    println!("memory: {usual} KiB after a quarter, {} KiB now, limit {limit:.0}", last.memory_kib);
    if last.memory_kib as f64 > limit {
        return Err("memory has grown".into());
    }
    Ok(())
}

/// Waits until nothing is left of the runtimes: some were shut down in the background.
fn settle(before: &Process) -> Result<Process, Box<dyn Error>> {
    let start = Instant::now();
    loop {
        let now = Process::now()?;
        let is_quiet = now.threads == before.threads && now.files == before.files;
        if is_quiet && ledger::is_settled() {
            return Ok(now);
        }
        if start.elapsed() > PATIENCE {
            let left = if is_quiet { "futures, outputs or closures" } else { "threads or files" };
            println!("before: {before}\n   now: {now}\n{}", ledger::Summary);
            return Err(format!("{left} are left after {PATIENCE:?}").into());
        }
        thread::sleep(Duration::from_millis(2));
    }
}
