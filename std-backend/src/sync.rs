//! The std backend's one switch between real threads and a model checker's.

#[cfg(not(jenny_loom))]
pub(crate) use self::real::*;
#[cfg(jenny_loom)]
pub(crate) use self::checked::*;

#[cfg(not(jenny_loom))]
#[allow(unused_imports)]
mod real {
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence},
        },
        thread,
    };
}

#[cfg(jenny_loom)]
#[allow(unused_imports)]
mod checked {
    pub(crate) use loom::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence},
        },
        thread,
    };
}
