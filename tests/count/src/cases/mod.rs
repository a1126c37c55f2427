//! The paths that are counted.

pub mod runtime;
pub mod stepped;

use crate::meter::Counts;

/// A path.
#[derive(Debug)]
pub struct Case {
    /// What is done, and where.
    pub name: &'static str,
    /// What the source of Tokio 1.53 says of the same path.
    pub tokio: &'static str,
    /// Whether threads take part, so that it makes sense to count system calls.
    pub threads: bool,
    /// Does so many operations.
    pub run: fn(u64) -> Counts,
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    stepped::CASES.iter().chain(runtime::CASES)
}
