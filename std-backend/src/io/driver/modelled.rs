//! What a model checker sees of the driver: all but the system's part.

mod doubts;
mod habit;
mod interest;
mod readiness;
mod ready;
mod wake_list;

pub use doubts::{Doubt, Doubts};
pub use interest::Interest;
pub use readiness::{Direction, Readiness};
pub use ready::Ready;
pub use wake_list::WakeList;
