//! All runtimes of the process, by their ids.
//!
//! For what belongs to a runtime and is to cost nothing before it is used: it keeps the id, and finds
//! the runtime where it is current, or else here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Ambient, Id, RuntimeTimers};
use crate::primitives::unmodelled::{Arc, Weak};

struct Entry {
    id: Id,
    ambient: Weak<Ambient>,
    timers: RuntimeTimers,
}

static RUNTIMES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, Vec<Entry>> {
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a runtime in the list.
pub(crate) struct Listed(Id);

impl Listed {
    pub(crate) fn new(id: Id, ambient: &Weak<Ambient>, timers: &RuntimeTimers) -> Self {
        lock().push(Entry { id, ambient: ambient.clone(), timers: timers.clone() });
        Self(id)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // Who does not find the runtime any more may take its timers for closed.
        if let Some(timers) = timers(self.0) {
            timers.close();
        }
        let mut runtimes = lock();
        let place = runtimes.iter().position(|entry| entry.id == self.0);
        let entry = place.map(|place| runtimes.swap_remove(place));
        drop(runtimes);
        drop(entry);
    }
}

/// The runtime, if it is not gone.
pub(super) fn find(runtime: Id) -> Option<Arc<Ambient>> {
    let runtimes = lock();
    // What this returns is dropped by the caller, and so without the lock.
    runtimes.iter().find(|entry| entry.id == runtime)?.ambient.upgrade()
}

/// The timers of a runtime, if they are not closed.
pub(super) fn timers(runtime: Id) -> Option<RuntimeTimers> {
    lock().iter().find(|entry| entry.id == runtime).map(|entry| entry.timers.clone())
}
