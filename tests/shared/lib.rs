//! What the stress test and the soak share: values that are counted, choices that can be repeated, and
//! an end to whatever hangs.

pub mod ledger;
mod rng;
mod watchdog;

pub use rng::Rng;
pub use watchdog::Watchdog;
