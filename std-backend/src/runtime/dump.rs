//! A list of all live tasks.

use std::{
    collections::HashMap,
    fmt,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use jenny_core::{
    scheduler::WorkerDump,
    task::{Id, Snapshot, TaskState, Tracer},
};
use parking_lot::Mutex;

mod trace;

pub use self::trace::Trace;

use self::trace::Traces;
use super::Handle;
use crate::{
    blocking::RunningJob,
    context::{Ambient, Scheduler},
};

/// How long a worker may take to answer: many times as long as a poll should last, and not so long
/// that it matters that the others take no work from each other meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// All live tasks of a runtime at some moment. Made by [`Handle::dump`].
#[derive(Debug)]
pub struct Dump {
    tasks: Tasks,
    silent: Vec<SilentWorker>,
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

/// A worker that did not answer a [`Handle::dump`] in time.
#[derive(Clone, Debug)]
pub struct SilentWorker {
    worker: usize,
    running: Option<Id>,
    /// What is known of that task.
    listed: Option<Snapshot>,
}

/// A job of the blocking pool that was running during a [`Handle::dump`].
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

    /// The closures of `spawn_blocking` that were running; not those that wait for a thread.
    pub fn blocking(&self) -> impl Iterator<Item = &BlockingJob> {
        self.blocking.iter()
    }

    fn new(
        workers: Vec<WorkerDump>,
        mut traces: HashMap<Id, Trace>,
        blocking: Vec<RunningJob>,
    ) -> Self {
        let (mut tasks, mut silent) = (Vec::new(), Vec::new());
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
        tasks.sort_unstable_by_key(Task::id);
        for SilentWorker { running, listed, .. } in &mut silent {
            // Its own list is out of reach, but the task may be in another worker's.
            let place = running.and_then(|id| tasks.binary_search_by_key(&id, Task::id).ok());
            *listed = place.map(|place| tasks[place].snapshot.clone());
        }
        let blocking = blocking.into_iter().map(BlockingJob).collect();
        Self { tasks: Tasks { tasks }, silent, blocking }
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
    /// A line for each task, with its [`Trace`] below, for each worker that did not answer, and for each
    /// blocking job.
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

impl Handle {
    /// Lists all live tasks of the runtime, and where each of them waits.
    ///
    /// To find out where a task waits, the worker that it belongs to polls it once more, and takes
    /// down the calls that lead to each place where the future leaves its waker: all that is in the
    /// task's own poll, whatever crate it is of. Futures have to expect polls for no reason; such a
    /// poll is like any other, with its hooks, its budget and its place in the metrics. It may also
    /// get on with the task's work, and a task that it ends is not listed. Futures that do not leave
    /// their waker anew, because they remember to have left one of this task, are missing, and so
    /// are those that have a waker of their own, as in a `FuturesUnordered`. Only tasks that wait are
    /// polled, for 200 ms in all; [`dump_without_traces`](Self::dump_without_traces) polls none.
    ///
    /// Each worker lists its own tasks when its present poll is over. A worker that is stuck in a
    /// poll for another 100 ms is left out, with the tasks that it polled first, and named in
    /// [`Dump::silent_workers`]; so is that of a current-thread runtime if nobody is in `block_on`.
    /// Until the last worker has answered, idle ones take no work from others. Blocking jobs that
    /// are running are listed [apart](Dump::blocking). Not listed are the future of a `block_on`, and
    /// the tasks of a `LocalSet`: whoever awaits the set shows in its own trace that it does. After
    /// the shutdown there are no tasks to list.
    ///
    /// A task that is alive from the call until the end is in the list once. One that is spawned or
    /// ends meanwhile may be.
    ///
    /// May be awaited on any runtime. Cancel safe: the dump is called off, and nothing is lost.
    ///
    /// # Examples
    /// ```
    /// use jenny::{runtime::{Handle, TaskState}, task};
    ///
    /// # #[jenny::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let waiting = task::Builder::new().name("waiting").spawn(std::future::pending::<()>())?;
    /// task::yield_now().await;
    /// let dump = Handle::current().dump().await;
    /// let task = dump.tasks().iter().find(|task| task.id() == waiting.id()).unwrap();
    /// assert_eq!(task.name(), Some("waiting"));
    /// assert!(matches!(task.state(), TaskState::Idle | TaskState::Scheduled | TaskState::Running));
    /// println!("{dump}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn dump(&self) -> Dump {
        self.take_dump(true).await
    }

    /// As [`dump`](Self::dump), but polls no task: their [traces](Task::trace) are empty.
    ///
    /// # Examples
    /// ```
    /// # #[jenny::main]
    /// # async fn main() {
    /// let waiting = jenny::spawn(std::future::pending::<()>());
    /// let dump = jenny::runtime::Handle::current().dump_without_traces().await;
    /// assert_eq!(dump.tasks().iter().map(|task| task.id()).collect::<Vec<_>>(), [waiting.id()]);
    /// # }
    /// ```
    pub async fn dump_without_traces(&self) -> Dump {
        self.take_dump(false).await
    }

    async fn take_dump(&self, traced: bool) -> Dump {
        let place = Arc::new(Place::default());
        // A thread of its own: the workers and the pool may be what is looked into.
        let asker = thread::Builder::new().name("jenny-dump".into()).spawn({
            let (place, ambient) = (Arc::clone(&place), self.ambient.clone());
            move || place.put(take(&ambient, traced, PATIENCE))
        });
        if asker.is_err() {
            // Nobody can wait for the answers.
            place.put(take(&self.ambient, false, Duration::ZERO));
        }
        Wait { place }.await
    }
}

/// Dumps a runtime, on a thread that may block.
fn take(ambient: &Ambient, traced: bool, patience: Duration) -> Dump {
    let _one_at_a_time = ambient.stats.dumping.lock();
    let scheduler = &ambient.scheduler;
    let _no_look_ups = traced.then(|| trace::STACKS.lock());
    let traces = traced.then(Traces::new);
    let deadline = Instant::now() + patience + if traced { trace::TRACING } else { Duration::ZERO };
    if !scheduler.start_dump(traces.as_ref().map(Traces::tracer)) {
        return Dump::new(Vec::new(), HashMap::new(), ambient.blocking.running());
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while scheduler.poll_dump(&mut context).is_pending() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::park_timeout(left);
    }
    let workers = scheduler.end_dump();
    let traces = traces.map(|traces| traces.take()).unwrap_or_default();
    Dump::new(workers, traces, ambient.blocking.running())
}

impl Scheduler {
    fn start_dump(&self, tracer: Option<Box<dyn Tracer>>) -> bool {
        match (self, tracer) {
            (Self::CurrentThread(handle), None) => handle.start_dump(),
            (Self::CurrentThread(handle), Some(tracer)) => handle.start_traced_dump(tracer),
            #[cfg(feature = "rt-multi-thread")]
            (Self::MultiThread(handle), None) => handle.start_dump(),
            #[cfg(feature = "rt-multi-thread")]
            (Self::MultiThread(handle), Some(tracer)) => handle.start_traced_dump(tracer),
        }
    }

    fn poll_dump(&self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::CurrentThread(handle) => handle.poll_dump(context),
            #[cfg(feature = "rt-multi-thread")]
            Self::MultiThread(handle) => handle.poll_dump(context),
        }
    }

    fn end_dump(&self) -> Vec<WorkerDump> {
        match self {
            Self::CurrentThread(handle) => handle.end_dump(),
            #[cfg(feature = "rt-multi-thread")]
            Self::MultiThread(handle) => handle.end_dump(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Where the dump is handed over.
#[derive(Default)]
struct Place(Mutex<(Option<Dump>, Option<Waker>)>);

impl Place {
    fn put(&self, dump: Dump) {
        let waker = {
            let mut place = self.0.lock();
            place.0 = Some(dump);
            place.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Wait {
    place: Arc<Place>,
}

impl Future for Wait {
    type Output = Dump;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Dump> {
        let waker = context.waker().clone();
        let mut place = self.place.0.lock();
        let (ready, previous) = match place.0.take() {
            Some(dump) => (Poll::Ready(dump), None),
            None => (Poll::Pending, place.1.replace(waker)),
        };
        drop(place);
        drop(previous);
        ready
    }
}
