//! The executor for one core, on a machine whose interrupts come when a test says so.

mod heap;
mod machine;
mod pool;
mod priorities;
mod shutdown;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod stepping;
mod waking;
