//! Taking a dump.

use std::{
    io, iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

#[cfg(feature = "rt-multi-thread")]
use jenny_core::scheduler::stealing;
use jenny_core::{
    platform::Platform,
    scheduler::{WorkerDump, local},
    task::Tracer,
};
use parking_lot::Mutex;

use super::{
    Dump,
    trace::{self, Traces},
};
use crate::{
    context::{Ambient, KnownSet, Scheduler},
    primitives::unmodelled,
    runtime::Handle,
};

/// How long a worker may take to answer: many times as long as a poll should last, and not so long
/// that it matters that the others take no work from each other meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a local set may that nobody is polling: somebody may be about to.
const PATIENCE_WITH_ABANDONED: Duration = Duration::from_millis(10);

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
    /// Until the last worker has answered, idle ones take no work from others. A
    /// [`LocalSet`](crate::task::LocalSet) that was last polled inside this runtime is woken, and
    /// lists its tasks at its next poll; one with tasks that nobody polls is named in
    /// [`Dump::silent_local_sets`], 10 ms later. Blocking jobs that are running are listed
    /// [apart](Dump::blocking). Not listed is the future of a `block_on`. After the shutdown there
    /// are no tasks of the runtime to list. If the system gives no thread to wait on, all are
    /// silent.
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

    /// As [`dump`](Self::dump), but polls no task: their [traces](super::Task::trace) are empty.
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
        // A thread of its own: the workers and the pool may be what is looked into.
        let builder = thread::Builder::new().name("jenny-dump".into());
        begin(&self.ambient, traced, |asker| builder.spawn(asker).map(drop)).await
    }
}

/// Has a dump taken on a thread that `start` starts.
fn begin(
    ambient: &unmodelled::Arc<Ambient>,
    traced: bool,
    start: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<()>,
) -> Wait {
    let place = Arc::new(Place::default());
    let asker = {
        let (place, ambient) = (Arc::clone(&place), unmodelled::Arc::clone(ambient));
        move || place.put(take(&ambient, traced))
    };
    if start(Box::new(asker)).is_err() {
        // Nobody can wait for answers, nor for the end of another dump.
        place.put(glance(ambient));
    }
    Wait { place }
}

/// Dumps a runtime, on a thread that may block.
fn take(ambient: &Ambient, traced: bool) -> Dump {
    let _one_at_a_time = ambient.stats.dumping.lock();
    let _no_look_ups = traced.then(|| trace::STACKS.lock());
    let traces = traced.then(Traces::new);
    let start = Instant::now();
    let patience = PATIENCE + if traced { trace::TRACING } else { Duration::ZERO };
    let ask = |asked: &dyn Asked| asked.start(traces.as_ref().map(Traces::tracer));

    let workers = ambient.scheduler.asked();
    if !ask(workers) {
        return glance(ambient);
    }
    let mut sets = sets(ambient);
    // One that is asked already is so by the dump of a runtime that it has moved to.
    sets.retain(|set| ask(&set.scheduler));

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        let abandoned = |set: &KnownSet| !set.audience.is_there();
        let sets = sets.iter().map(|set| (&set.scheduler as &dyn Asked, abandoned(set)));
        // All of them, since each wakes only for a poll that came before its answer.
        let silent = iter::once((workers, false))
            .chain(sets)
            .filter(|(asked, _)| asked.poll(&mut context).is_pending());
        let waits =
            silent.map(|(_, abandoned)| if abandoned { PATIENCE_WITH_ABANDONED } else { patience });
        let left = waits.max().map(|wait| wait.saturating_sub(start.elapsed()));
        match left {
            None | Some(Duration::ZERO) => break,
            Some(left) => thread::park_timeout(left),
        }
    }
    let workers = workers.end();
    let sets = sets.into_iter().map(|set| (set.id, set.scheduler.end())).collect();
    let traces = traces.map(|traces| traces.take()).unwrap_or_default();
    Dump::new(workers, sets, traces, ambient.blocking.running())
}

/// What can be said at once: nobody has answered.
fn glance(ambient: &Ambient) -> Dump {
    let workers = ambient.scheduler.asked().unasked();
    let sets = sets(ambient).into_iter().map(|set| (set.id, set.scheduler.unasked())).collect();
    Dump::new(workers, sets, Default::default(), ambient.blocking.running())
}

/// The local sets that have tasks. There may be many without, which nobody will poll.
fn sets(ambient: &Ambient) -> Vec<KnownSet> {
    let mut sets = ambient.sets.list();
    sets.retain(|set| {
        let counts = set.scheduler.metrics();
        counts.spawns.wrapping_add(counts.remote_spawns) != counts.completions
    });
    sets
}

/// A scheduler, as a dump sees it.
trait Asked {
    fn start(&self, tracer: Option<Box<dyn Tracer>>) -> bool;
    fn poll(&self, context: &mut Context<'_>) -> Poll<()>;
    fn end(&self) -> Vec<WorkerDump>;
    fn unasked(&self) -> Vec<WorkerDump>;
}

macro_rules! asked {
    ($handle:ty) => {
        fn start(&self, tracer: Option<Box<dyn Tracer>>) -> bool {
            match tracer {
                None => self.start_dump(),
                Some(tracer) => self.start_traced_dump(tracer),
            }
        }

        fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
            self.poll_dump(context)
        }

        fn end(&self) -> Vec<WorkerDump> {
            self.end_dump()
        }

        fn unasked(&self) -> Vec<WorkerDump> {
            <$handle>::unasked(self)
        }
    };
}

impl<P: Platform> Asked for local::Handle<P> {
    asked! { local::Handle<P> }
}

#[cfg(feature = "rt-multi-thread")]
impl<P: Platform> Asked for stealing::Handle<P> {
    asked! { stealing::Handle<P> }
}

impl Scheduler {
    fn asked(&self) -> &dyn Asked {
        match self {
            Self::CurrentThread(handle) => handle,
            #[cfg(feature = "rt-multi-thread")]
            Self::MultiThread(handle) => handle,
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::runtime::Builder;

    #[test]
    fn without_a_thread_it_waits_neither_for_workers_nor_for_another_dump() {
        let runtime = Builder::new_current_thread().build().unwrap();
        drop(runtime.spawn(pending::<()>()));
        let another = runtime.handle.ambient.stats.dumping.lock();
        let refuse = |_| Err(io::ErrorKind::WouldBlock.into());
        let mut dump = begin(&runtime.handle.ambient, true, refuse);
        let Poll::Ready(dump) = Pin::new(&mut dump).poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("it waits")
        };
        assert_eq!((dump.tasks().iter().count(), dump.silent_workers().count()), (0, 1));
        drop(another);
        let dump = runtime.block_on(runtime.handle().dump());
        assert_eq!((dump.tasks().iter().count(), dump.silent_workers().count()), (1, 0));
    }
}
