//! What the hot paths cost, in numbers that no neighbour on the machine can change: read-modify-writes
//! and the memory they go to, locks, allocations, clock reads, system calls, instructions.

pub mod machine;
pub mod task;

#[cfg(jenny_count)]
mod clock;

#[cfg(jenny_count)]
pub mod cases;
#[cfg(jenny_count)]
pub mod meter;
