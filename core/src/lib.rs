//! jenny-core.
#![no_std]
extern crate alloc;
#[cfg(jenny_loom)]
extern crate std;
