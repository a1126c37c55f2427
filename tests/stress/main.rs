//! Millions of spawns, wakes, timers, hand-offs, aborts and shutdowns on real threads, counted in
//! and out.
//!
//! `JENNY_STRESS_SCALE` is how much (1 is about a minute on two cores), `JENNY_STRESS_SEED`
//! repeats the choices of a run, as far as the threads let it.
#![cfg(not(jenny_loom))]

mod census;
mod local;
mod nested;
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

use census::{Census, threads};
use jenny_tests::{
    Rng, Watchdog,
    ledger::{self, Summary},
};
use local::locals;
use nested::nested;
use scenarios::{Flavour, churn, flood};
use strangers::Strangers;

/// The most threads that the scenarios explain: those of the test (4: the harness, the test, the
/// watchdog, the census), of the scenarios (2 strangers, 4 floods with 3 each, 2 churns with up to 2
/// guests each, 2 with local tasks, 3 with nested runtimes and a dump each), and of the runtimes that
/// live at the same time: their workers, a monitor if there are any, and up to 4 in the pool.
const EXPLAINED: usize = {
    const POOL: usize = scenarios::POOL;
    let test = 4;
    let scenarios = 2 + 4 * (1 + 3) + 2 * (1 + 2) + 2 + 3 * (1 + 1);
    let floods = (4 + 1 + POOL) + (1 + 1 + POOL) + (2 + 1 + POOL) + POOL;
    let churns = 2 * (3 + 1 + POOL);
    let locals = (2 + 1 + POOL) + POOL + 2 * POOL;
    let nested = (3 + 1 + POOL) + (1 + POOL) + POOL + 3 * (3 + 1 + POOL);
    test + scenarios + floods + churns + locals + nested
};

/// A task that blocks has its worker go on on a thread beyond the pool's, and a runtime that is shut
/// down in the background leaves its threads behind. Both pass within milliseconds, so twice as
/// many threads as can be explained is a pile.
const MOST_THREADS: usize = 2 * EXPLAINED;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

#[test]
fn what_goes_in_comes_out() {
    let scale: f64 = setting("JENNY_STRESS_SCALE").unwrap_or(1.0);
    let seed: u64 = setting("JENNY_STRESS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("JENNY_STRESS_SCALE={scale} JENNY_STRESS_SEED={seed}");
    let scaled = |amount: f64| (amount * scale).ceil() as usize;

    let watchdog = Watchdog::start();
    let (started, base) = (Instant::now(), threads());
    let census = Census::start();
    let mut rng = Rng::new(seed);
    let strangers = &Arc::new(Strangers::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            let rng = rng.fork();
            scope.spawn(move || strangers.live(rng));
        }
        let mut scenarios = Vec::new();
        let floods = [
            Flavour::MultiThread(4),
            Flavour::Lending(1),
            Flavour::Lending(2),
            Flavour::CurrentThread,
        ];
        for flavour in floods {
            let (rng, batches) = (rng.fork(), scaled(30_000.0));
            scenarios.push(scope.spawn(move || flood(strangers, rng, flavour, batches)));
        }
        for _ in 0..2 {
            let (rng, runtimes) = (rng.fork(), scaled(6_000.0));
            scenarios.push(scope.spawn(move || churn(strangers, rng, runtimes)));
        }
        for flavour in [Flavour::Lending(2), Flavour::CurrentThread] {
            let (rng, rounds) = (rng.fork(), scaled(6_000.0));
            scenarios.push(scope.spawn(move || locals(strangers, rng, &flavour.build(), rounds)));
        }
        for flavour in [Flavour::MultiThread(3), Flavour::Lending(1), Flavour::CurrentThread] {
            let (rng, rounds) = (rng.fork(), scaled(2_000.0));
            scenarios.push(scope.spawn(move || nested(strangers, rng, &flavour.build(), rounds)));
        }
        for scenario in scenarios {
            scenario.join().unwrap();
        }
        strangers.close();
    });
    let peak = census.peak();

    // Runtimes that were shut down in the background are still on their way. The watchdog ends this
    // if they do not arrive.
    while !ledger::is_settled() || threads() != base {
        thread::sleep(Duration::from_millis(1));
    }
    watchdog.stop();
    println!("{Summary}\n  threads: {peak:>9} at once\n     time: {:>9.1?}", started.elapsed());
    assert!(ledger::is_settled());
    assert!(peak <= MOST_THREADS, "{peak} threads at once; more than {MOST_THREADS} is a pile");
    assert!(ledger::futures() as f64 > 100_000.0 * scale, "that was no stress");
}
