//! The table.

use std::process::Command;

use crate::scaling;
use jenny_count::{
    cases::{self, Case},
    meter::{self, Counts},
};

/// Whole ticks, and fewer than a worker's queue takes at once.
const OPERATIONS: u64 = 183;

/// Few and many operations, whose difference in system calls is that of the operations.
const FEW_AND_MANY: (u64, u64) = (100, 1100);

pub(crate) fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut arguments = arguments.iter().map(String::as_str);
    let (mut filter, mut sites) = ("", false);
    while let Some(argument) = arguments.next() {
        match argument {
            "--filter" => filter = arguments.next().unwrap_or_default(),
            "--sites" => sites = true,
            "--scaling" => return scaling::main(arguments.next()),
            "--only" => return run_only(arguments),
            other => {
                eprintln!("unknown argument {other:?}: --filter TEXT, --sites, --scaling FILE");
                std::process::exit(2);
            }
        }
    }
    print(filter, sites);
}

/// `--only NAME OPERATIONS`: runs a case and counts nothing, for a parent that counts system calls.
fn run_only<'a>(mut arguments: impl Iterator<Item = &'a str>) {
    let name = arguments.next().expect("a name");
    let operations = arguments.next().and_then(|text| text.parse().ok()).expect("a number");
    meter::disable();
    let case = cases::all().find(|case| case.name == name).expect("the name of a case");
    (case.run)(operations);
}

fn print(filter: &str, sites: bool) {
    println!(
        "| path, per operation | RMW | shared | writes, shared | SeqCst fences | locks | allocations \
         | clock reads | system calls | Tokio 1.53, RMW |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for case in cases::all().filter(|case| case.name.contains(filter)) {
        let counts = (case.run)(OPERATIONS);
        println!("{}", row(case, &counts));
        if sites {
            for (site, count) in counts.sites() {
                println!("|   {site} | {} |", number(count));
            }
        }
    }
}

fn row(case: &Case, counts: &Counts) -> String {
    let numbers = [
        counts.rmw,
        counts.rmw_shared,
        counts.writes_shared,
        counts.fences,
        counts.locks,
        counts.allocations,
        counts.clock_reads,
    ];
    let numbers = numbers.map(|count| number(counts.per_operation(count))).join(" | ");
    let calls = if case.threads { system_calls(case).map(number) } else { Some("0".into()) };
    let calls = calls.unwrap_or_else(|| "?".into());
    format!("| {} | {numbers} | {calls} | {} |", case.name, case.tokio)
}

/// Two digits behind the point, if there are any.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// System calls for each operation, by strace; `None` if it is not there.
fn system_calls(case: &Case) -> Option<f64> {
    let calls = |operations: u64| {
        let output = Command::new("strace")
            // Whoever waits for a thread to fall asleep yields, however often.
            .args(["-f", "-c", "-U", "calls,name", "-e", "trace=!sched_yield", "--"])
            .arg(std::env::current_exe().ok()?)
            .args(["--only", case.name, &operations.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let total = text.lines().rev().find(|line| line.trim().ends_with("total"))?;
        total.split_whitespace().next()?.parse::<f64>().ok()
    };
    let (few, many) = FEW_AND_MANY;
    Some((calls(many)? - calls(few)?).max(0.0) / (many - few) as f64)
}
