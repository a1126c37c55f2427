//! What changes no result, only how soon it is there: when a worker calls a thief, and when the monitor
//! looks again. Where others may come in between, one round in many has to show it.

use std::{
    future::{Future, poll_fn},
    io::Write,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use super::monitor::{Monitor, PERIOD};
// Unit tests may look anywhere: by this mark `ci/floors.py` knows them.
#[cfg(test)]
use crate::{
    context::{self, Scheduler},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Kind, Runtime},
    task::{spawn, yield_now},
    time::{Instant, sleep, sleep_until},
};

/// As many wakes as one turn brings, before the last waker, which looks around.
const WAKES: usize = 8;

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        thread::sleep(Duration::from_micros(100));
    }
}

/// How many workers sleep. On a worker.
fn sleepers() -> usize {
    match &context::current().scheduler {
        Scheduler::MultiThread(scheduler) => scheduler.sleepers(),
        Scheduler::CurrentThread(_) => unreachable!("there is a worker"),
    }
}

/// Holds one worker in its next park, where it is registered as asleep.
#[derive(Default)]
struct Bed {
    is_ready: AtomicBool,
    is_held: AtomicBool,
    is_over: AtomicBool,
}

impl Bed {
    fn park(&self) {
        if self.is_ready.swap(false, SeqCst) {
            self.is_held.store(true, SeqCst);
            until(|| self.is_over.load(SeqCst));
        }
    }

    /// Has the other worker park. On a worker, in a poll.
    fn hold(self: &Arc<Self>) {
        let bed = Arc::clone(self);
        // The monitor gives it to the other one, since this one is stuck.
        drop(spawn(async move { bed.is_ready.store(true, SeqCst) }));
        until(|| self.is_held.load(SeqCst));
    }
}

/// What the last waker has seen of a turn, and the tasks that it has woken: how many workers sleep.
#[derive(Default)]
struct Seen {
    by_the_waker: Mutex<Option<usize>>,
    by_tasks: Mutex<Vec<usize>>,
}

impl Wake for Seen {
    fn wake(self: Arc<Self>) {
        *self.by_the_waker.lock().unwrap() = Some(sleepers());
    }
}

/// A task that waits for one wake, and its waker.
async fn waker(seen: &Arc<Seen>) -> Waker {
    let (seen, place) = (Arc::clone(seen), Arc::new(Mutex::new(None)));
    let left = Arc::clone(&place);
    let mut is_woken = false;
    drop(spawn(poll_fn(move |context| {
        if is_woken {
            seen.by_tasks.lock().unwrap().push(sleepers());
            return Poll::Ready(());
        }
        is_woken = true;
        *left.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    })));
    loop {
        if let Some(waker) = place.lock().unwrap().take() {
            return waker;
        }
        yield_now().await;
    }
}

/// What may wake a task.
type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;

fn begin(mut waits: Waits, waker: &Waker) -> Waits {
    if waits.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
        // A timer that is due already, since the system had other things to do.
        waker.wake_by_ref();
    }
    waits
}

/// Waits that end together, soon after the other worker has gone to sleep.
fn timers(wakers: &[Waker], bed: &Arc<Bed>) -> Vec<Waits> {
    bed.hold();
    let due = Instant::now() + Duration::from_millis(5);
    wakers.iter().map(|waker| begin(Box::pin(sleep_until(due)), waker)).collect()
}

/// The same by the driver.
async fn sockets(wakers: &[Waker], bed: &Arc<Bed>) -> Vec<Waits> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut all, mut peers) = (Vec::new(), Vec::new());
    for waker in wakers {
        peers.push(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        // Not by guess, as a new one's.
        stream.try_read(&mut [0]).unwrap_err();
        let readable = |stream: TcpStream| async move { stream.readable().await.unwrap() };
        all.push(begin(Box::pin(readable(stream)), waker));
    }
    bed.hold();
    peers.iter_mut().for_each(|peer| peer.write_all(b"x").unwrap());
    all
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Wheel,
    Park,
    /// The worker parks beside its seat.
    ParkBeside,
    /// It has a task that yields all the time.
    Between,
}

/// One worker wakes many tasks in one turn while the other sleeps.
fn turn(turn: Turn) -> Arc<Seen> {
    let bed = Arc::new(Bed::default());
    let parks = Arc::clone(&bed);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .block_on_runs_tasks(matches!(turn, Turn::ParkBeside))
        .on_thread_park(move || parks.park())
        .build()
        .unwrap();
    let seen = Arc::new(Seen::default());
    let (held, sees) = (Arc::clone(&bed), Arc::clone(&seen));
    let task = runtime.spawn(async move {
        let mut wakers = Vec::new();
        for _ in 0..WAKES {
            wakers.push(waker(&sees).await);
        }
        wakers.push(Waker::from(sees));
        let waits = match turn {
            Turn::Wheel => timers(&wakers, &held),
            _ => sockets(&wakers, &held).await,
        };
        if matches!(turn, Turn::Between) {
            for _ in 0..200 {
                yield_now().await;
            }
        }
        waits
    });
    until(|| seen.by_tasks.lock().unwrap().len() == WAKES);
    bed.is_over.store(true, SeqCst);
    drop(runtime.block_on(task).unwrap());
    seen
}

#[test]
fn a_thief_is_called_when_all_are_awake() {
    for kind in [Turn::Wheel, Turn::Park, Turn::ParkBeside, Turn::Between] {
        // The monitor calls one, too, if the system keeps the worker from its processor.
        let is_called_last = (0..20).any(|_| {
            let seen = turn(kind);
            let (waker, tasks) = (seen.by_the_waker.lock().unwrap(), seen.by_tasks.lock().unwrap());
            *waker == Some(1) && *tasks == [0; WAKES]
        });
        assert!(is_called_last, "{kind:?}");
    }
}

/// How long a task waits behind one that is stuck.
fn rescue(runtime: &Runtime) -> Duration {
    let stuck = runtime.spawn(async {
        let (start, has_run) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let runs = Arc::clone(&has_run);
        drop(spawn(async move { runs.store(true, SeqCst) }));
        until(|| has_run.load(SeqCst));
        start.elapsed()
    });
    runtime.block_on(stuck).unwrap()
}

/// Whether the monitor has a thread after the closure, in a runtime of two workers.
fn is_monitored(act: impl AsyncFnOnce()) -> bool {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(act());
    has_monitor(&runtime)
}

/// Whether the monitor of a runtime of several workers has a thread.
fn has_monitor(runtime: &Runtime) -> bool {
    let Kind::MultiThread(kind) = &runtime.kind else { unreachable!("built as such") };
    kind.team.monitor.as_ref().is_some_and(Monitor::is_started)
}

/// The thread costs memory and time, so a runtime has it from the second thing on that a stuck worker
/// could keep waiting.
#[test]
fn the_monitor_has_a_thread_once_there_is_company() {
    assert!(!is_monitored(async || {}));
    assert!(!is_monitored(async || spawn(async {}).await.unwrap()));
    assert!(is_monitored(async || drop((spawn(async {}), spawn(async {})))));
    let nested = async || spawn(async { spawn(async {}).await.unwrap() }).await.unwrap();
    assert!(is_monitored(nested));
    let sleeps = async || spawn(sleep(Duration::from_millis(1))).await.unwrap();
    assert!(is_monitored(sleeps));
    let listens = async { TcpListener::bind("127.0.0.1:0").await.map(drop).unwrap() };
    assert!(is_monitored(async move || spawn(listens).await.unwrap()));
}

/// What the hook of the first worker's thread brings counts, whenever the other threads start.
#[test]
fn the_monitor_hears_of_what_a_hook_brings() {
    let hooked = Arc::new(AtomicBool::new(false));
    let (threads, is_second) = (AtomicUsize::new(0), AtomicBool::new(false));
    let has_run = Arc::clone(&hooked);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name_fn({
            let hooked = Arc::clone(&hooked);
            move || {
                if threads.fetch_add(1, SeqCst) == 1 {
                    until(|| hooked.load(SeqCst));
                }
                "worker".into()
            }
        })
        .on_thread_start(move || {
            if is_second.swap(true, SeqCst) {
                return;
            }
            let has_run = Arc::clone(&has_run);
            drop(spawn(async move {
                drop(spawn(async {}));
                has_run.store(true, SeqCst);
            }));
        })
        .build()
        .unwrap();
    assert!(has_monitor(&runtime));
}

/// Two of its looks find out that a worker is stuck. Where the first has shown that it may be, the
/// second comes sooner.
#[test]
fn the_monitor_looks_again_soon() {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    assert!((0..200).any(|_| {
        // Not always at the same time after its last look.
        thread::sleep(PERIOD / 2);
        rescue(&runtime) < PERIOD
    }));
}

/// Two threads take tasks from workers all the time, with the system's fences, while these put them into
/// their slots and take them out.
#[test]
fn visitors_and_owners_take_each_task_once() {
    const TASKS: usize = 50_000;
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (runs, is_over) = (Arc::new(AtomicUsize::new(0)), AtomicBool::new(false));
    let Scheduler::MultiThread(scheduler) = &runtime.handle().ambient().scheduler else {
        unreachable!("built as such")
    };
    let visit = || {
        let mut glances = scheduler.glances();
        while !is_over.load(SeqCst) {
            // Between two looks without a pause hardly any worker begins a poll.
            let _ = scheduler.look_after(&mut glances, |_, _| false);
        }
    };
    thread::scope(|threads| {
        (0..2).for_each(|_| drop(threads.spawn(visit)));
        for chain in 0..2 {
            let runs = Arc::clone(&runs);
            drop(runtime.spawn(async move {
                for task in 0..TASKS {
                    let runs = Arc::clone(&runs);
                    let count = async move {
                        runs.fetch_add(1, SeqCst);
                    };
                    match (task + chain) % 3 {
                        0 => spawn(count).await.unwrap(),
                        1 => drop(spawn(count)),
                        _ => {
                            drop(spawn(count));
                            yield_now().await;
                        }
                    }
                }
            }));
        }
        until(|| runs.load(SeqCst) == 2 * TASKS);
        is_over.store(true, SeqCst);
    });
    assert!(scheduler.rescues() > 10, "only {} visits", scheduler.rescues());
    drop(runtime);
    assert_eq!(runs.load(SeqCst), 2 * TASKS);
}
