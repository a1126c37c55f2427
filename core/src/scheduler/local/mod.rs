//! The scheduler of one thread or one core.
//!
//! One FIFO of tasks that only the worker touches, and one inbox for wakes and spawns from
//! elsewhere. Futures need not be `Send`: whoever makes a `Runnable` elsewhere only puts it in the
//! inbox, and every task is run, cancelled and dropped by the worker.
//!
//! [`Worker`] is the right to do that. A backend may keep it on one thread for ever (`!Send` futures
//! need that), or hand it from one thread to the next if all futures are `Send`.
//!
//! | file | holds |
//! |---|---|
//! | `shared.rs` | what every thread may use: the inbox, and whether the worker sleeps |
//! | `core.rs` | what only the worker touches, and how it takes and gives tasks |
//! | `handle.rs` | the way in: `Handle`, and what wakers and finished tasks call |
//! | `worker.rs` | the tick: run, sleep, stop |

mod core;
mod handle;
mod shared;
mod worker;

pub use self::handle::Handle;
pub use self::shared::Config;
pub use self::worker::{Entered, Worker, new};
