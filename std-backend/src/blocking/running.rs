//! Which jobs the pool's threads are running, for dumps.
//!
//! Each thread writes down its job in a place of its own, with plain stores, and anybody may read.
//! What belongs to a job is written before its id and replaced after the id is taken away; ids are
//! never used twice. So a reader that finds the same id before and after has read what belongs to it.
//! Names, which few jobs have, are behind a lock.

use std::{
    cell::Cell,
    panic::Location,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicPtr, AtomicU64, Ordering, fence},
    },
    time::{Duration, Instant},
};

use jenny_core::{
    scheduler::Running,
    task::{Id, Runnable},
};
use parking_lot::Mutex;

/// A job that is running.
#[derive(Clone, Debug)]
pub(crate) struct RunningJob {
    pub(crate) id: Id,
    pub(crate) name: Option<Box<str>>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) running_for: Duration,
}

/// The places of all threads of a pool.
pub(super) struct Jobs {
    epoch: Instant,
    places: Mutex<Vec<Arc<Place>>>,
}

struct Place {
    running: Running,
    spawned_at: AtomicPtr<Location<'static>>,
    /// In nanoseconds since the epoch of the pool.
    since: AtomicU64,
    epoch: Instant,
    name: Mutex<Option<(Id, Box<str>)>>,
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
        let place = Arc::new(Place {
            running: Running::default(),
            spawned_at: AtomicPtr::default(),
            since: AtomicU64::new(0),
            epoch: self.epoch,
            name: Mutex::default(),
        });
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
        Some(place) if place.running.get().is_none() => {
            place.start(&task);
            let result = run(task);
            place.running.end();
            result
        }
        // The end of a pool runs what is left over, on any thread and inside of other jobs.
        _ => run(task),
    }
}

impl Place {
    fn start(&self, task: &Runnable) {
        // Ordering: Release, with the second fence of `read`: the id of the job before is gone
        // before what belongs to it is replaced.
        fence(Ordering::Release);
        self.spawned_at.store(ptr::from_ref(task.spawned_at()).cast_mut(), Ordering::Relaxed);
        // Wraps after 584 years.
        self.since.store(self.epoch.elapsed().as_nanos() as u64, Ordering::Relaxed);
        if let Some(name) = task.name() {
            *self.name.lock() = Some((task.id(), name.into()));
        }
        // Ordering: Release, with the first fence of `read`: whoever sees the id sees the rest.
        fence(Ordering::Release);
        self.running.start(task.id());
    }

    fn read(&self) -> Option<RunningJob> {
        let id = self.running.get()?;
        // Ordering: Acquire, with the second fence of `start`.
        fence(Ordering::Acquire);
        let spawned_at = self.spawned_at.load(Ordering::Relaxed);
        let since = Duration::from_nanos(self.since.load(Ordering::Relaxed));
        let name = self.name.lock().clone();
        // Ordering: Acquire, with the first fence of `start` for the next job.
        fence(Ordering::Acquire);
        if self.running.get() != Some(id) {
            return None;
        }
        Some(RunningJob {
            id,
            name: name.filter(|(named, _)| *named == id).map(|(_, name)| name),
            // SAFETY: null, or made of a `'static` reference.
            spawned_at: unsafe { spawned_at.as_ref() }?,
            running_for: self.epoch.elapsed().saturating_sub(since),
        })
    }
}
