//! The scheduler of several workers that steal from each other.
//!
//! | file | holds |
//! |---|---|
//! | `shared.rs` | what every thread may use: each worker's queues, the set of sleepers, `Handle` |
//! | `core.rs` | what only a worker touches, and how it takes and gives tasks |
//! | `worker.rs` | the tick: run, search, sleep |
//! | `shutdown.rs` | the tick once the scheduler is closing |

mod core;
mod shared;
mod shutdown;
mod worker;

pub use self::shared::{Config, Handle};
pub use self::worker::{Entered, Worker, new};
