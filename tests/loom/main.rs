//! Loom models of the shipped code. Run by `ci/loom.sh`.
#![cfg(jenny_loom)]

mod harness;
mod queue;
