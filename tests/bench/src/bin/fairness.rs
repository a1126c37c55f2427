//! The longest waits under load: jenny next to Tokio, in turns, in one process.
//!
//! ```text
//! cargo run --release -p jenny-bench --bin fairness
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    jenny_bench::fairness()
}
