//! A list of all live tasks, with the places where they wait. Taken by
//! [`Handle::dump`](super::Handle::dump).

use std::{collections::HashMap, fmt, panic::Location, time::Duration};

use jenny_core::{
    scheduler::WorkerDump,
    task::{Id, Snapshot, TaskState},
};

mod take;
mod trace;

pub use self::trace::Trace;

use crate::{blocking::RunningJob, context};

/// All live tasks of a runtime at some moment. Made by [`Handle::dump`](super::Handle::dump).
#[derive(Debug)]
pub struct Dump {
    tasks: Tasks,
    silent: Vec<SilentWorker>,
    silent_sets: Vec<SilentLocalSet>,
    blocking: Vec<BlockingJob>,
}

/// The tasks of a [`Dump`].
#[derive(Debug)]
pub struct Tasks {
    tasks: Vec<Task>,
}

/// A task in a [`Dump`].
#[derive(Debug)]
pub struct Task {
    snapshot: Snapshot,
    trace: Trace,
}

/// A worker that did not answer a [`Handle::dump`](super::Handle::dump) in time.
#[derive(Clone, Debug)]
pub struct SilentWorker {
    worker: usize,
    running: Option<Id>,
    /// What is known of that task.
    listed: Option<Snapshot>,
}

/// A [`LocalSet`](crate::task::LocalSet) with tasks that did not answer a
/// [`Handle::dump`](super::Handle::dump) in time: it is stuck in a poll, or nobody polls it.
#[derive(Clone, Debug)]
pub struct SilentLocalSet {
    id: context::Id,
    running: Option<Id>,
}

/// A job of the blocking pool that was running during a [`Handle::dump`](super::Handle::dump).
#[derive(Clone, Debug)]
pub struct BlockingJob(RunningJob);

impl Dump {
    /// The tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The workers that did not answer. If there is one, tasks may be missing.
    pub fn silent_workers(&self) -> impl Iterator<Item = &SilentWorker> {
        self.silent.iter()
    }

    /// The local sets that did not answer: their tasks are missing.
    pub fn silent_local_sets(&self) -> impl Iterator<Item = &SilentLocalSet> {
        self.silent_sets.iter()
    }

    /// The closures of `spawn_blocking` that were running; not those that wait for a thread.
    pub fn blocking(&self) -> impl Iterator<Item = &BlockingJob> {
        self.blocking.iter()
    }

    fn new(
        workers: Vec<WorkerDump>,
        sets: Vec<(context::Id, Vec<WorkerDump>)>,
        mut traces: HashMap<Id, Trace>,
        blocking: Vec<RunningJob>,
    ) -> Self {
        let (mut tasks, mut silent, mut silent_sets) = (Vec::new(), Vec::new(), Vec::new());
        let mut task = |snapshot: Snapshot| {
            let trace = traces.remove(&snapshot.id).unwrap_or_default();
            Task { snapshot, trace }
        };
        for (worker, dump) in workers.into_iter().enumerate() {
            match dump.tasks {
                Some(answer) => tasks.extend(answer.into_iter().map(&mut task)),
                None => {
                    silent.push(SilentWorker { worker, running: dump.running, listed: None });
                }
            }
        }
        for (id, dumps) in sets {
            for dump in dumps {
                match dump.tasks {
                    Some(answer) => tasks.extend(answer.into_iter().map(&mut task)),
                    None => silent_sets.push(SilentLocalSet { id, running: dump.running }),
                }
            }
        }
        tasks.sort_unstable_by_key(Task::id);
        for SilentWorker { running, listed, .. } in &mut silent {
            // Its own list is out of reach, but the task may be in another worker's.
            let place = running.and_then(|id| tasks.binary_search_by_key(&id, Task::id).ok());
            *listed = place.map(|place| tasks[place].snapshot.clone());
        }
        let blocking = blocking.into_iter().map(BlockingJob).collect();
        Self { tasks: Tasks { tasks }, silent, silent_sets, blocking }
    }
}

impl Tasks {
    /// The tasks, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter()
    }
}

impl Task {
    /// The task's id.
    pub fn id(&self) -> Id {
        self.snapshot.id
    }

    /// The name that the task was spawned with.
    pub fn name(&self) -> Option<&str> {
        self.snapshot.name.as_deref()
    }

    /// Where the task was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.snapshot.spawned_at
    }

    /// What the task was doing.
    pub fn state(&self) -> TaskState {
        self.snapshot.state
    }

    /// Where the task waits.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

impl SilentWorker {
    /// The worker's index, as in [`RuntimeMetrics`](super::RuntimeMetrics).
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The task that the worker was polling; `None` if it was not in a poll.
    pub fn running(&self) -> Option<Id> {
        self.running
    }

    /// The name of that task, if it has one, and if it is known: see
    /// [`running_spawned_at`](Self::running_spawned_at).
    pub fn running_name(&self) -> Option<&str> {
        self.listed.as_ref()?.name.as_deref()
    }

    /// Where that task was spawned, if it is known: if the task belongs to another worker, which
    /// answered, since this one has stolen it. What is in a worker's own list, nobody else may read,
    /// and to publish more than the id would cost every poll.
    pub fn running_spawned_at(&self) -> Option<&'static Location<'static>> {
        Some(self.listed.as_ref()?.spawned_at)
    }
}

impl SilentLocalSet {
    /// The set's [id](crate::task::LocalSet::id).
    pub fn id(&self) -> context::Id {
        self.id
    }

    /// The task that the set was polling; `None` if it was not in a poll.
    pub fn running(&self) -> Option<Id> {
        self.running
    }
}

impl BlockingJob {
    /// The id of the job's task.
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// The name that it was spawned with.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Where it was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.0.spawned_at
    }

    /// For how long it had been running.
    pub fn running_for(&self) -> Duration {
        self.0.running_for
    }
}

impl fmt::Display for Dump {
    /// A line for each task, with its [`Trace`] below, for each worker and each local set that did not
    /// answer, and for each blocking job.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for task in self.tasks.iter() {
            let (id, state, at) = (task.id(), task.state(), task.spawned_at());
            write!(f, "task {id}")?;
            if let Some(name) = task.name() {
                write!(f, " {name:?}")?;
            }
            writeln!(f, ": {state:?}, spawned at {at}")?;
            for call in task.trace().to_string().lines() {
                writeln!(f, "    {call}")?;
            }
        }
        for silent in &self.silent {
            write!(f, "worker {} did not answer", silent.worker)?;
            if let Some(task) = silent.running {
                write!(f, ": it is polling task {task}")?;
            }
            if let Some(name) = silent.running_name() {
                write!(f, " {name:?}")?;
            }
            if let Some(at) = silent.running_spawned_at() {
                write!(f, ", spawned at {at}")?;
            }
            writeln!(f)?;
        }
        for set in &self.silent_sets {
            write!(f, "local set {} did not answer", set.id)?;
            if let Some(task) = set.running {
                write!(f, ": it is polling task {task}")?;
            }
            writeln!(f)?;
        }
        for BlockingJob(job) in &self.blocking {
            write!(f, "blocking job {}", job.id)?;
            if let Some(name) = &job.name {
                write!(f, " {name:?}")?;
            }
            writeln!(f, ": running for {:?}, spawned at {}", job.running_for, job.spawned_at)?;
        }
        Ok(())
    }
}
