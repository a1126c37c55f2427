//! The benchmark: `cargo run --release -p jenny-bench -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    jenny_bench::bench()
}
