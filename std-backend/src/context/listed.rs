//! All runtimes of the process, by their ids.
//!
//! For what belongs to a runtime and is to cost nothing before it is used: it keeps the id, and finds
//! the runtime where it is current, or else here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Ambient, Id};
use crate::primitives::unmodelled::{Arc, Weak};

type Entry = (Id, Weak<Ambient>);

static RUNTIMES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, Vec<Entry>> {
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a runtime in the list.
pub(crate) struct Listed(Id);

impl Listed {
    pub(crate) fn new(id: Id, ambient: &Weak<Ambient>) -> Self {
        lock().push((id, ambient.clone()));
        Self(id)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock().retain(|(id, _)| *id != self.0);
    }
}

/// The runtime, if it is not gone.
pub(super) fn find(runtime: Id) -> Option<Arc<Ambient>> {
    let runtimes = lock();
    let (_, ambient) = runtimes.iter().find(|(id, _)| *id == runtime)?;
    // What this returns is dropped by the caller, and so without the lock.
    ambient.upgrade()
}
