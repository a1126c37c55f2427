//! jenny next to Tokio and smol: the same cases, in one process, with the same allocator and as many
//! workers, strictly in turns. Absolute times drift with the machine; the ratios are the result.
//!
//! Many cases have a **floor**, too (`cases/floor`): what is left of them without any runtime, a
//! clock read for a sleep that is made and dropped, two threads that park and unpark each other for
//! a question to the only worker. It takes its turn in every round like a peer, so that its ratio to
//! Tokio can be set against the goal: where even the floor misses it, the machine forbids it.
//!
//! ```text
//! cargo run --release -p jenny-bench -- --filter spawn --rounds 40 --report target/report
//! ```
//!
//! Where a function happens to start moves a case of some fifty nanoseconds by a tenth: Tokio
//! against a second copy of Tokio in the same binary gave 1.12 for `ct_yield_many`. With every
//! function on a cache line of its own it gave 0.99, so figures to be quoted are built with
//! `RUSTFLAGS=-Cllvm-args=-align-all-functions=6`.

mod cases;
mod fairness;
mod measure;
mod options;
mod peer;
mod report;
mod run;
mod stats;

use std::process::ExitCode;

use options::{Command, HELP};

/// The benchmark: see `jenny-bench --help`.
pub fn bench() -> ExitCode {
    let result = match options::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Command::List(cases)) => {
            for case in cases {
                println!("{:<22} {}", case.name, case.what);
                if let Some(floor) = &case.floor {
                    println!("{:<22} floor: {}", "", floor.what);
                }
            }
            return ExitCode::SUCCESS;
        }
        Ok(Command::Resident { what, peer }) => cases::memory::resident(&what, &peer)
            .map(|bytes| println!("{bytes}"))
            .map_err(Into::into),
        Ok(Command::Measure(options)) => run::run(&options),
        Err(error) => {
            eprintln!("jenny-bench: {error} (see --help)");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jenny-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The longest waits under load, next to Tokio's: see `fairness --help`.
pub fn fairness() -> ExitCode {
    fairness::main()
}
