//! Which jobs the pool's threads are running, for dumps: each thread has a [`Place`].

use std::{cell::Cell, ptr, sync::Arc, time::Instant};

use jenny_core::task::Runnable;
use parking_lot::Mutex;

use super::place::{Place, RunningJob};

/// The places of all threads of a pool.
pub(super) struct Jobs {
    epoch: Instant,
    places: Mutex<Vec<Arc<Place>>>,
}

thread_local! {
    /// The place of this thread. Without a destructor, so that it can be read in those of others.
    static PLACE: Cell<*const Place> = const { Cell::new(ptr::null()) };
}

impl Jobs {
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), places: Mutex::default() }
    }

    /// Runs a thread of the pool.
    pub(super) fn with_place(&self, thread: impl FnOnce()) {
        let place = Arc::new(Place::new(self.epoch));
        self.places.lock().push(Arc::clone(&place));
        PLACE.set(Arc::as_ptr(&place));
        thread();
        PLACE.set(ptr::null());
        self.places.lock().retain(|other| !Arc::ptr_eq(other, &place));
    }

    /// What is running at some moment of the call.
    pub(super) fn running(&self) -> Vec<RunningJob> {
        let places = self.places.lock().clone();
        places.iter().filter_map(|place| place.read()).collect()
    }
}

/// Runs a job, and has it known while it does.
pub(super) fn run<R>(task: Runnable, run: impl FnOnce(Runnable) -> R) -> R {
    // SAFETY: `with_place`, below this call on the stack, keeps the place alive until it has put null
    // here.
    match unsafe { PLACE.get().as_ref() } {
        Some(place) if place.is_free() => {
            place.start(&task);
            let result = run(task);
            place.end();
            result
        }
        // The end of a pool runs what is left over, on any thread and inside of other jobs.
        _ => run(task),
    }
}
