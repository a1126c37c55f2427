//! How long a timer, a socket and a task from outside wait at worst while others keep the workers
//! busy.
//!
//! A wait ends when the task that waited has been polled. Each figure is the longest wait of a round;
//! the table has the median of the rounds' and, behind it, the longest of all.

mod load;
mod probe;

use std::{process::ExitCode, thread, time::Duration};

use crate::peer::{Flavor, Jenny, Peer, Tokio};
use load::Load;
use probe::{Probe, Waits};

const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

const HELP: &str = "\
Measures the longest waits under load, next to Tokio's.

Usage: fairness [--rounds N]    [default: 5], of one second each
";

pub(crate) fn main() -> ExitCode {
    let rounds = match rounds() {
        Ok(Some(rounds)) => rounds,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("fairness: {error}\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    println!("longest waits in ms: median of {rounds} rounds (longest of all)\n");
    println!("{:37}{:23}{:>17}{:>17}", "load", "who waits", "jenny", "Tokio");
    let two = Flavor::MultiThread { workers: 2 };
    for (load, flavor) in [
        (Load::Flood, Flavor::CurrentThread),
        (Load::Flood, two),
        (Load::PingPong, Flavor::CurrentThread),
        (Load::PingPong, two),
        (Load::Stuck, two),
        (Load::Stuck, Flavor::MultiThread { workers: 4 }),
    ] {
        let mut longest = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            longest[0].push(round::<Jenny>(load, flavor));
            longest[1].push(round::<Tokio>(load, flavor));
        }
        report(load, flavor, &longest);
    }
    ExitCode::SUCCESS
}

fn rounds() -> Result<Option<usize>, lexopt::Error> {
    use lexopt::{Arg::Long, ValueExt};
    let (mut parser, mut rounds) = (lexopt::Parser::from_env(), ROUNDS);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => rounds = parser.value()?.parse()?,
            Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if rounds == 0 { Err("--rounds counts from 1".into()) } else { Ok(Some(rounds)) }
}

/// How long anything outside the stuck task has to wait for what is due.
pub(crate) fn longest_wait_beside_a_stuck_task<P: Peer>(flavor: Flavor) -> Duration {
    let longest = round::<P>(Load::Stuck, flavor);
    longest[Probe::Timer as usize].max(longest[Probe::Socket as usize])
}

/// The longest wait of each probe.
fn round<P: Peer>(load: Load, flavor: Flavor) -> [Duration; Probe::ALL.len()] {
    let runtime = P::build(flavor).expect("the system has threads and descriptors for a runtime");
    let waits = Waits::default();
    // On a current-thread runtime, what runs has to run inside `block_on`.
    thread::scope(|threads| {
        runtime.block_on(async {
            let mut probes = probe::start::<P>(&runtime, threads, &waits, ROUND).await;
            let load = load.start::<P>(&waits);
            for probe in probes.drain(..) {
                probe.await.expect("a probe");
            }
            load.stop().await;
        });
    });
    waits.longest()
}

fn report(load: Load, flavor: Flavor, longest: &[Vec<[Duration; Probe::ALL.len()]>; 2]) {
    let probes = Probe::ALL.iter().enumerate();
    for (index, probe) in probes.filter(|(_, probe)| load.has(**probe)) {
        let cell = |peer: usize| {
            let mut waits: Vec<_> = longest[peer].iter().map(|round| round[index]).collect();
            waits.sort();
            let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
            format!("{:.2} ({:.2})", ms(waits[waits.len() / 2]), ms(waits[waits.len() - 1]))
        };
        let load = if index == 0 { format!("{load}, {}", name(flavor)) } else { String::new() };
        println!("{load:37}{:23}{:>17}{:>17}", probe.to_string(), cell(0), cell(1));
    }
}

fn name(flavor: Flavor) -> String {
    match flavor {
        Flavor::CurrentThread => "current thread".into(),
        Flavor::MultiThread { workers } => format!("{workers} workers"),
    }
}
