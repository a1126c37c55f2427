//! placeholder
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test, jenny_loom))]
extern crate std;

mod frame;
mod link;
pub mod list;
pub mod lock;
pub mod owned;
pub mod platform;
pub mod queue;
mod rand;
pub mod scheduler;
mod sync;
pub mod task;
