//! What the loom models of the workspace's `tests` reach into. No part of the public interface.
#![allow(missing_docs)]

pub mod place {
    pub use crate::blocking::place::{Place, RunningJob};
}

pub mod pool {
    pub use crate::blocking::pool::{Config, Job, Mandatory, Metrics, Pool, SpawnError};
}

pub mod join_list {
    pub use crate::join_list::JoinList;
}

pub mod local_set {
    pub use crate::local_set::{Host, Set, UnparkHosts};
}

pub mod park {
    pub use crate::park::{
        Berth, Dormancy, Driver, DriverWaker, NoDriver, Parker, SharedDriver, ThreadParker,
        Unparker,
    };
}

pub mod locks {
    #[cfg(feature = "time")]
    pub use crate::primitives::BiasedLock;
    pub use crate::primitives::BriefLock;
}

pub mod runtime {
    pub use crate::runtime::stop::stop;
}

#[cfg(feature = "net")]
pub mod io {
    pub use crate::io::driver::{Direction, Doubt, Doubts, Interest, Readiness, Ready, WakeList};
}
