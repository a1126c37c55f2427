//! Loom models of the shipped code. Run by `ci/loom.sh`.
#![cfg(jenny_loom)]

mod harness;
mod platform;

mod berth;
mod block_on;
mod broken;
mod dormancy;
mod dump;
mod handoff;
mod idle;
mod join_list;
mod local;
mod local_set;
mod locks;
mod one_thread;
mod owned;
mod park;
mod pool;
mod queue;
mod readiness;
mod rescue;
mod single;
mod smp;
mod task;
mod time;
mod time_driver;
mod workers;
