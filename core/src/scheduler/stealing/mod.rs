//! The scheduler of several workers that steal from each other.
//!
//! | file | holds |
//! |---|---|
//! | `shared.rs` | what every thread may use: each worker's queues and the set of sleepers |
//! | `lifo.rs` | the slot for the task that runs next |
//! | `core.rs` | what only a worker touches, and how it takes and gives tasks |
//! | `memory.rs` | the memory of finished tasks that a worker keeps |
//! | `appetite.rs` | whether it pays to take tasks from others |
//! | `handle.rs` | the way in: `Handle`, and what wakers and finished tasks call |
//! | `worker.rs` | the tick: run, search, sleep |
//! | `rescue.rs` | looking after a worker that is stuck in a poll |
//! | `detach.rs` | taking a worker from its thread, for a task that blocks |
//! | `shutdown.rs` | the tick once the scheduler is closing |

mod appetite;
mod core;
mod detach;
mod handle;
mod holder;
mod lifo;
mod memory;
mod rescue;
mod shared;
mod shutdown;
mod worker;

pub use self::handle::Handle;
pub use self::rescue::{Glances, Look};
pub use self::shared::Config;
pub use self::worker::{Entered, Worker, new};
