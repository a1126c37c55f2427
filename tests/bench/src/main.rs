//! jenny next to Tokio: the same cases, in one process, with the same allocator and as many
//! workers, strictly in turns. Absolute times drift with the machine; the ratios are the result.
//!
//! ```text
//! cargo run --release -p jenny-bench -- --filter spawn --pairs 40
//! ```
//!
//! Where a function happens to start moves a case of some fifty nanoseconds by a tenth: Tokio
//! against a second copy of Tokio in the same binary gave 1.12 for `ct_yield_200`. With every
//! function on a cache line of its own it gave 0.99, so figures to be quoted are built with
//! `RUSTFLAGS=-Cllvm-args=-align-all-functions=6`.

mod cases;
mod measure;
mod peer;
mod report;
mod stats;

use std::error::Error;
use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use cases::Case;
use report::Row;

const HELP: &str = "\
Measures jenny next to Tokio.

Usage: jenny-bench [OPTIONS]

Options:
  --filter TEXT   only cases whose name contains TEXT; may be given several times
  --pairs N       pairs of samples per case [default: 21]
  --quick         5 pairs: a smoke test, not a measurement
  --json          one JSON array on standard output
  --list          name the cases and stop
  --help          print this";

const PAIRS: usize = 21;
const QUICK_PAIRS: usize = 5;

#[derive(Debug)]
struct Options {
    filters: Vec<String>,
    pairs: usize,
    json: bool,
    list: bool,
}

impl Options {
    fn selected(&self) -> Vec<&'static Case> {
        let wanted = |case: &&Case| {
            self.filters.is_empty() || self.filters.iter().any(|text| case.name.contains(text))
        };
        cases::ALL.iter().filter(wanted).collect()
    }
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("jenny-bench: {error} (see --help)");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jenny-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `None`: the user asked for help.
fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { filters: Vec::new(), pairs: PAIRS, json: false, list: false };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("filter") => options.filters.push(arguments.value()?.string()?),
            Long("pairs") => match arguments.value()?.parse()? {
                0 => return Err("--pairs is at least 1".into()),
                pairs => options.pairs = pairs,
            },
            Long("quick") => options.pairs = QUICK_PAIRS,
            Long("json") => options.json = true,
            Long("list") => options.list = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let cases = options.selected();
    if cases.is_empty() {
        return Err("no case has such a name (see --list)".into());
    }
    if options.list {
        cases.iter().for_each(|case| println!("{:<17} {}", case.name, case.what));
        return Ok(());
    }
    if !options.json {
        println!("{} pairs, {} workers\n\n{}", options.pairs, cases::WORKERS, Row::heading());
    }
    let mut rows = Vec::new();
    for (number, case) in (1..).zip(&cases) {
        let pairs = measure::run(case, options.pairs, |pair| {
            progress(format_args!(
                "{number}/{} {}: pair {} of {}",
                cases.len(),
                case.name,
                pair + 1,
                options.pairs
            ));
        })?;
        progress(format_args!(""));
        let row = Row::new(case, &pairs);
        if !options.json {
            println!("{}", row.line());
        }
        rows.push(row);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    }
    Ok(())
}

/// Replaces the line that says what goes on, where somebody watches.
fn progress(line: std::fmt::Arguments<'_>) {
    const CLEAR: &str = "\r\x1b[K";
    let mut terminal = stderr();
    if terminal.is_terminal() {
        // Nothing depends on it.
        let _ = write!(terminal, "{CLEAR}{line}").and_then(|()| terminal.flush());
    }
}
