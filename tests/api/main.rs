//! Every behaviour on every runtime.
#![cfg(not(jenny_loom))]

mod net_tcp;
mod signal;
