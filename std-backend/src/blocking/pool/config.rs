//! What a pool is made of, and what it says.

use std::{any::Any, fmt, io, time::Duration};

/// What the pool's threads do.
pub trait Job: Send + 'static {
    /// Does the work. A panic is contained and otherwise ignored.
    fn run(self);

    /// Called instead of [`run`](Self::run) when the pool is shut down first.
    fn cancel(self);
}

/// Whether a job that is still queued at shutdown is run all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mandatory {
    /// It is run: somebody relies on its effect, as on a write to a file.
    Yes,
    /// It is cancelled.
    No,
}

/// Called on a thread of the pool.
pub type Hook = std::sync::Arc<dyn Fn() + Send + Sync>;

/// Keeps what a thread of the pool needs alive until it has come.
pub type Hold = std::sync::Arc<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

/// Calls its argument on a thread of the pool.
pub type Wrap = std::sync::Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Says whether the system gives a thread.
pub type MayStart = std::sync::Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// How threads are made, and how many. (`std::sync::Arc`, because loom's cannot hold a `dyn Fn`.)
#[derive(Clone)]
pub struct Config {
    /// The most threads at any time, at least one.
    pub max_threads: usize,
    /// The most threads that are woken or started at a time, at least one; each that has come sees to
    /// the next. More than there are cores cannot come at once.
    pub max_coming: usize,
    /// The most jobs of [`try_spawn`](super::Pool::try_spawn) that wait because all threads are busy.
    pub max_queue: usize,
    /// How long a thread waits for a job before it ends; [`Duration::MAX`] for ever.
    pub keep_alive: Duration,
    /// Names a new thread.
    pub thread_name: std::sync::Arc<dyn Fn() -> String + Send + Sync>,
    /// In bytes; `None` for the system's choice.
    pub stack_size: Option<usize>,
    /// Called first on each new thread, inside `wrap`.
    pub on_start: Option<Hook>,
    /// Called last on each ending thread, inside `wrap`.
    pub on_stop: Option<Hook>,
    /// Asked before each start of a thread: an error stands for the system's own. For tests of what
    /// then happens.
    pub may_start: Option<MayStart>,
    /// Called when a spawned job has ended and no other is queued or running: on the thread that ran,
    /// cancelled or failed to spawn it.
    pub on_quiet: Option<Hook>,
    /// Called by whoever starts a thread, under the pool's lock; what it returns is dropped by the
    /// thread, inside `wrap`. The pool's owner may be gone before the thread comes.
    pub hold: Hold,
    /// Calls its argument exactly once, in the surroundings that jobs expect, and does not panic. A
    /// strong reference to the pool's owner in here would be a cycle.
    pub wrap: Wrap,
}

/// A good [`Config::max_coming`]: half of the cores, since the other half has jobs to run.
#[cfg(not(jenny_loom))]
pub fn half_of_the_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.div_ceil(2)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("max_threads", &self.max_threads)
            .field("max_coming", &self.max_coming)
            .field("keep_alive", &self.keep_alive)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}

/// Why a job was not accepted. It is handed back, neither run nor cancelled.
pub enum SpawnError<J> {
    /// The pool is shut down.
    ShuttingDown(J),
    /// All threads are busy, no other may be or can be started, and as many jobs are waiting as may.
    Full(J),
    /// No thread is alive, and the system did not give one.
    NoThreads {
        /// The job.
        job: J,
        /// What the system said.
        source: io::Error,
    },
}

impl<J> fmt::Debug for SpawnError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShuttingDown(_) => f.write_str("ShuttingDown"),
            Self::Full(_) => f.write_str("Full"),
            Self::NoThreads { source, .. } => f.debug_tuple("NoThreads").field(source).finish(),
        }
    }
}

/// Figures of one moment, each exact, not necessarily of the same moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Metrics {
    /// Threads that take jobs.
    pub threads: usize,
    /// Those of them that wait for a job.
    pub idle_threads: usize,
    /// Jobs that wait for a thread.
    pub queue_depth: usize,
    /// Jobs that are queued or running, those of `Pool::run_now` excepted.
    pub alive_jobs: usize,
}
