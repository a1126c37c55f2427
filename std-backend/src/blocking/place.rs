//! What one thread of the pool is running, for dumps.
//!
//! The thread writes its job down with plain stores, and anybody may read. What belongs to a job is
//! written before its id and replaced after the id is taken away; ids are never used twice. So a
//! reader that finds the same id before and after has read what belongs to it. Names, which few jobs
//! have, are behind a lock.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::{
    fmt,
    panic::Location,
    ptr,
    time::{Duration, Instant},
};

use jenny_core::{
    scheduler::Running,
    task::{Id, Runnable},
};

use crate::primitives::{AtomicPtr, AtomicU64, Mutex, Ordering, fence};

/// A job that is running.
#[derive(Clone, Debug)]
pub struct RunningJob {
    /// The id of its task.
    pub id: Id,
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// For how long it has been running.
    pub running_for: Duration,
}

/// Where a thread writes its job down.
pub struct Place {
    running: Running,
    spawned_at: AtomicPtr<Location<'static>>,
    /// In nanoseconds since the epoch of the pool.
    since: AtomicU64,
    epoch: Instant,
    name: Mutex<Option<(Id, Box<str>)>>,
}

impl Place {
    /// No job is running.
    pub fn new(epoch: Instant) -> Self {
        Self {
            running: Running::default(),
            spawned_at: AtomicPtr::new(ptr::null_mut()),
            since: AtomicU64::new(0),
            epoch,
            name: Mutex::new(None),
        }
    }

    /// Whether no job is running.
    pub fn is_free(&self) -> bool {
        self.running.get().is_none()
    }

    /// The thread begins with a job.
    pub fn start(&self, task: &Runnable) {
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

    /// The job has ended.
    pub fn end(&self) {
        self.running.end();
    }

    /// The job, if one is running all the time.
    pub fn read(&self) -> Option<RunningJob> {
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

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("running", &self.running).finish_non_exhaustive()
    }
}
