//! The local sets that are polled inside a runtime, for its dumps.
//!
//! A set belongs to no runtime: it is a future, which may wander. So whoever dumps a runtime asks
//! those sets that were polled in it last. A set is entered here by its first poll in a runtime, and
//! taken out by its first poll in another one, or by its end.

use std::{cell::RefCell, fmt};

use jenny_core::scheduler::local::Handle;
use parking_lot::Mutex;

use super::{Id, local::SetPlatform, try_with};
use crate::{
    local_set::{Audience, Set},
    primitives::unmodelled::Arc,
};

/// The sets of a runtime.
#[derive(Default)]
pub(crate) struct LocalSets(Mutex<Vec<KnownSet>>);

/// A set, and the way to its tasks.
#[derive(Clone)]
pub(crate) struct KnownSet {
    pub(crate) id: Id,
    pub(crate) scheduler: Handle<SetPlatform>,
    pub(crate) audience: Audience,
}

impl LocalSets {
    /// The sets at some moment of the call.
    pub(crate) fn list(&self) -> Vec<KnownSet> {
        self.0.lock().clone()
    }
}

/// Where a set was polled last.
#[derive(Default)]
pub(crate) struct Whereabouts(RefCell<Option<Stay>>);

/// Keeps a set among those of a runtime.
struct Stay {
    set: Id,
    runtime: Id,
    sets: Arc<LocalSets>,
}

impl Whereabouts {
    /// The set is polled, on this thread. Outside of runtimes that changes nothing.
    pub(crate) fn are_here(&self, id: Id, set: &Set<SetPlatform>) {
        let runtime = self.0.borrow().as_ref().map(|stay| stay.runtime);
        let moved = try_with(|ambient| {
            (runtime != Some(ambient.id)).then(|| (ambient.id, Arc::clone(&ambient.sets)))
        });
        if let Ok(Some((runtime, sets))) = moved {
            let (scheduler, audience) = (set.handle().clone(), set.audience());
            sets.0.lock().push(KnownSet { id, scheduler, audience });
            drop(self.0.replace(Some(Stay { set: id, runtime, sets })));
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let known = {
            let mut sets = self.sets.0.lock();
            let place = sets.iter().position(|known| known.id == self.set);
            place.map(|place| sets.swap_remove(place))
        };
        // Outside of the lock: it may be the last handle, which drops the wakers of others.
        drop(known);
    }
}

impl fmt::Debug for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whereabouts").finish_non_exhaustive()
    }
}
