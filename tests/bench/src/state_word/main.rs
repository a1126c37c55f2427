//! Chooses the form of the task's state word by measurement: `counter` against `flags`.
//!
//! Prints read-modify-writes (counted, not guessed), nanoseconds of one thread (the two forms in
//! turns, ABBA, median), nanoseconds per contended wake, and what the shutdown race of either form
//! needs. Every cycle asserts each verdict of the state machine.

mod cases;
mod counter;
mod flags;
mod form;
mod stress;

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use counter::{Counter, WAKE_BITS};
use flags::Flags;
use form::{Counted, Form};

const PAIRS: usize = 31;
const CYCLES: u64 = 100_000;
const CONTENDED_WAKES: u64 = 100_000;
const SHUTDOWN_ROUNDS: u64 = 200_000;

/// Wide enough for two concurrent wakers, narrow enough to saturate all the time.
const NARROW: u32 = 3;

fn main() {
    let (mut rmws, mut nanos) = ([0.0; 2], [0.0; 2]);
    println!("{:<46} {:>9} {:>9}   {:>9} {:>9}", "", "RMWs", "", "ns", "");
    println!(
        "{:<46} {:>9} {:>9}   {:>9} {:>9}",
        "cycle (one thread)", "counter", "flags", "counter", "flags"
    );
    let counted = (cases::all::<Counter<Counted>>(), cases::all::<Flags<Counted>>());
    let real = (cases::all::<Counter>(), cases::all::<Flags>());
    for index in 0..real.0.len() {
        let count = [rmws_per_cycle(counted.0[index].run), rmws_per_cycle(counted.1[index].run)];
        let time =
            alternate(|| nanos_per_cycle(real.0[index].run), || nanos_per_cycle(real.1[index].run));
        println!(
            "{:<46} {:>9.2} {:>9.2}   {:>9.2} {:>9.2}",
            real.0[index].name, count[0], count[1], time[0], time[1]
        );
        for form in 0..2 {
            rmws[form] += count[form];
            nanos[form] += time[form];
        }
    }
    println!(
        "{:<46} {:>9.2} {:>9.2}   {:>9.2} {:>9.2}",
        "sum", rmws[0], rmws[1], nanos[0], nanos[1]
    );

    let contended = alternate(
        || stress::contended::<Counter>(CONTENDED_WAKES),
        || stress::contended::<Flags>(CONTENDED_WAKES),
    );
    println!(
        "{:<46} {:>9} {:>9}   {:>9.2} {:>9.2}",
        "wake, 2 threads against 1 poller", "", "", contended[0], contended[1]
    );
    stress::contended::<Counter<AtomicUsize, NARROW>>(CONTENDED_WAKES);
    println!(
        "\na wake field of {NARROW} bits instead of {WAKE_BITS}: {} wakes, none lost",
        2 * CONTENDED_WAKES
    );

    println!(
        "\nshutdown race, {SHUTDOWN_ROUNDS} rounds: every future dropped once, every cell freed once"
    );
    windows::<Counter>("counter");
    windows::<Flags>("flags");

    let fewer = rmws[0] < rmws[1] && nanos[0] < nanos[1];
    println!(
        "\nverdict: {} (RMWs {:.2}x, one thread {:.2}x, contended {:.2}x of flags)",
        if fewer { "counter" } else { "no clear winner on one thread" },
        rmws[0] / rmws[1],
        nanos[0] / nanos[1],
        contended[0] / contended[1],
    );
}

fn windows<F: Form>(name: &str) {
    let seen = stress::shutdown::<F>(SHUTDOWN_ROUNDS);
    let percent = |count: u64| 100.0 * count as f64 / seen.rounds as f64;
    println!(
        "  {name:<8} waited for a foreign Runnable {:>6.2} % (longest {:?}), \
         pushed to a closed inbox {:>6.2} %, found stale in the inbox {:>6.2} %",
        percent(seen.waited),
        seen.longest_wait,
        percent(seen.late),
        percent(seen.stale),
    );
}

fn rmws_per_cycle(run: fn(u64)) -> f64 {
    const COUNTED: u64 = 10_000;
    let before = Counted::rmws();
    run(COUNTED);
    (Counted::rmws() - before) as f64 / COUNTED as f64
}

fn nanos_per_cycle(run: fn(u64)) -> f64 {
    let start = Instant::now();
    run(CYCLES);
    start.elapsed().as_nanos() as f64 / CYCLES as f64
}

/// ABBA, so that a drift of the machine falls on both alike. Returns the two medians.
fn alternate(mut a: impl FnMut() -> f64, mut b: impl FnMut() -> f64) -> [f64; 2] {
    let mut samples = [Vec::new(), Vec::new()];
    for pair in 0..PAIRS {
        if pair % 2 == 0 {
            samples[0].push(a());
            samples[1].push(b());
        } else {
            samples[1].push(b());
            samples[0].push(a());
        }
    }
    samples.map(|mut samples| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    })
}
