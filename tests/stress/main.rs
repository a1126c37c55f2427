//! Millions of spawns, wakes, timers, hand-offs, aborts and shutdowns on real threads, counted in
//! and out.
//!
//! `JENNY_STRESS_SCALE` is how much (1 is about half a minute on two cores), `JENNY_STRESS_SEED`
//! repeats the choices of a run, as far as the threads let it.
#![cfg(not(jenny_loom))]

mod local;
mod scenarios;
mod strangers;
mod tasks;

use std::{
    env,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jenny_tests::{
    Rng, Watchdog,
    ledger::{self, Summary},
};
use local::locals;
use scenarios::{Flavour, churn, flood};
use strangers::Strangers;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// How many threads this process has, where that can be told.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

#[test]
fn what_goes_in_comes_out() {
    let scale: f64 = setting("JENNY_STRESS_SCALE").unwrap_or(1.0);
    let seed: u64 = setting("JENNY_STRESS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("JENNY_STRESS_SCALE={scale} JENNY_STRESS_SEED={seed}");
    let scaled = |amount: f64| (amount * scale).ceil() as usize;

    let watchdog = Watchdog::start();
    let (started, base) = (Instant::now(), threads());
    let mut rng = Rng::new(seed);
    let strangers = &Arc::new(Strangers::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            let rng = rng.fork();
            scope.spawn(move || strangers.live(rng));
        }
        let mut scenarios = Vec::new();
        for flavour in [Flavour::MultiThread(4), Flavour::MultiThread(1), Flavour::CurrentThread] {
            let (rng, batches) = (rng.fork(), scaled(30_000.0));
            scenarios.push(scope.spawn(move || flood(strangers, rng, flavour, batches)));
        }
        for _ in 0..2 {
            let (rng, runtimes) = (rng.fork(), scaled(6_000.0));
            scenarios.push(scope.spawn(move || churn(strangers, rng, runtimes)));
        }
        for flavour in [Flavour::MultiThread(2), Flavour::CurrentThread] {
            let (rng, rounds) = (rng.fork(), scaled(6_000.0));
            scenarios.push(scope.spawn(move || locals(strangers, rng, &flavour.build(), rounds)));
        }
        for scenario in scenarios {
            scenario.join().unwrap();
        }
        strangers.close();
    });

    // Runtimes that were shut down in the background are still on their way. The watchdog ends this
    // if they do not arrive.
    while !ledger::is_settled() || threads() != base {
        thread::sleep(Duration::from_millis(1));
    }
    watchdog.stop();
    println!("{Summary}\n     time: {:>9.1?}", started.elapsed());
    assert!(ledger::is_settled());
    assert!(ledger::futures() as f64 > 100_000.0 * scale, "that was no stress");
}
