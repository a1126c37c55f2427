//! A waker is code of a stranger's, and may block the worker that calls it: others go on with what
//! that worker has.

use std::{
    future::Future,
    io::Write,
    pin::{Pin, pin},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
    thread,
};

use jenny::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time::{Duration, Instant, sleep, sleep_until},
};

use crate::support::{wait_until, within_a_minute};

/// So long after the last task the monitor of a runtime rests.
const QUIET: Duration = Duration::from_millis(100);

/// Less than the monitor needs to see that a worker is stuck.
const SOON: Duration = Duration::from_millis(2);

fn until(time: Instant) -> Duration {
    time.saturating_duration_since(Instant::now())
}

/// A waker that blocks its first caller.
#[derive(Default)]
struct Blocks {
    /// What it does before.
    first: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    began: AtomicBool,
    over: AtomicBool,
}

impl Blocks {
    fn new(first: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let first = Mutex::new(Some(Box::new(first) as _));
        Arc::new(Self { first, ..Self::default() })
    }

    fn begin<F: Future>(self: &Arc<Self>, future: F) -> Begun<F> {
        let (waker, mut future) = (Waker::from(Arc::clone(self)), Box::pin(future));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        Begun(future)
    }
}

/// A future that waits.
struct Begun<F>(#[expect(dead_code, reason = "held for its drop")] Pin<Box<F>>);

impl Wake for Blocks {
    fn wake(self: Arc<Self>) {
        let Some(first) = self.first.lock().unwrap().take() else { return };
        first();
        self.began.store(true, SeqCst);
        wait_until(|| self.over.load(SeqCst));
    }
}

fn two_workers(lend_seats: bool) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().block_on_runs_tasks(lend_seats);
    builder.build().unwrap()
}

/// Each worker has a timer that is due then.
fn timers(handle: &Handle, due: Instant) -> [JoinHandle<()>; 2] {
    let both_are_there = Arc::new(Barrier::new(2));
    [(); 2].map(|()| {
        let both_are_there = Arc::clone(&both_are_there);
        handle.spawn(async move {
            both_are_there.wait();
            sleep_until(due).await;
        })
    })
}

/// Tasks that wait for a call, and the call.
fn sleepers(handle: &Handle) -> (Vec<JoinHandle<()>>, impl FnOnce() + Send + use<>) {
    let (calls, tasks): (Vec<_>, _) = (0..2)
        .map(|_| {
            let (call, called) = oneshot::channel();
            (call, handle.spawn(async { called.await.unwrap() }))
        })
        .unzip();
    (tasks, || calls.into_iter().for_each(|call| call.send(()).unwrap()))
}

/// Each comes by another inbox, maybe.
fn spawn_from_threads(runtime: &Runtime) -> [JoinHandle<()>; 4] {
    [(); 4].map(|()| {
        let handle = runtime.handle().clone();
        thread::spawn(move || handle.spawn(async {})).join().unwrap()
    })
}

/// A waker that `wait` has called within a worker wakes tasks on it and blocks. These tasks, timers
/// and what comes from outside are somebody else's business then.
fn others_go_on<F>(lend_seats: bool, wait: impl FnOnce(&Runtime, &Arc<Blocks>) -> Begun<F>) {
    let runtime = two_workers(lend_seats);
    let (mut waiting, call) = sleepers(runtime.handle());
    let blocks = Blocks::new(call);
    let due = Instant::now() + 3 * QUIET;
    waiting.extend(timers(runtime.handle(), due));
    let waits = wait(&runtime, &blocks);
    wait_until(|| blocks.began.load(SeqCst));
    waiting.extend(spawn_from_threads(&runtime));
    for task in waiting {
        runtime.block_on(task).unwrap();
    }
    blocks.over.store(true, SeqCst);
    drop(waits);
}

/// A wait for a socket whose waker blocks, and the peer. The workers sleep.
fn socket(
    runtime: &Runtime,
    blocks: &Arc<Blocks>,
) -> (Begun<impl Future + use<>>, std::net::TcpStream) {
    let (stream, peer) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().await.unwrap().0, peer)
    });
    // A new one is readable by guess, until a read finds nothing and no report comes in between.
    let mut nobody = Context::from_waker(Waker::noop());
    while pin!(stream.readable()).poll(&mut nobody).is_ready() {
        stream.try_read(&mut [0]).unwrap_err();
    }
    let readable = |stream: TcpStream| async move { stream.readable().await.unwrap() };
    let readable = blocks.begin(readable(stream));
    thread::sleep(QUIET);
    (readable, peer)
}

fn in_the_driver(lend_seats: bool) {
    within_a_minute(move || {
        others_go_on(lend_seats, |runtime, blocks| {
            let (readable, mut peer) = socket(runtime, blocks);
            peer.write_all(b"x").unwrap();
            readable
        });
    });
}

#[test]
fn in_the_driver_within_a_park() {
    in_the_driver(false);
}

#[test]
fn in_the_driver_beside_a_seat() {
    in_the_driver(true);
}

/// Both seats have guests when a resident comes with what was in the driver. They leave while it is
/// stuck, and there is nothing to do. What comes then is for the other worker.
#[test]
fn in_the_driver_without_the_seat() {
    within_a_minute(|| {
        let (runtime, blocks) = (two_workers(true), Blocks::new(|| {}));
        let (readable, mut peer) = socket(&runtime, &blocks);
        let both_are_there = Barrier::new(3);
        let visit = async || {
            both_are_there.wait();
            wait_until(|| blocks.began.load(SeqCst));
        };
        thread::scope(|threads| {
            threads.spawn(|| runtime.block_on(visit()));
            threads.spawn(|| runtime.block_on(visit()));
            both_are_there.wait();
            peer.write_all(b"x").unwrap();
        });
        let tasks = spawn_from_threads(&runtime);
        // This thread would help if it waited as a guest.
        wait_until(|| tasks.iter().all(JoinHandle::is_finished));
        blocks.over.store(true, SeqCst);
        drop(readable);
    });
}

#[test]
fn in_the_wheel() {
    within_a_minute(|| {
        others_go_on(false, |runtime, blocks| {
            let blocks = Arc::clone(blocks);
            let sleeps = runtime.spawn(async move { blocks.begin(sleep(QUIET)) });
            runtime.block_on(sleeps).unwrap()
        });
    });
}

/// The worker has been woken to search for work, and others would rely on that.
#[test]
fn in_the_wheel_of_a_worker_that_searches() {
    within_a_minute(|| {
        let (due, is_late) = (Instant::now() + 2 * QUIET, Arc::new(AtomicBool::new(false)));
        let late = Arc::clone(&is_late);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_unpark(move || {
                if late.load(SeqCst) {
                    thread::sleep(until(due + SOON));
                }
            })
            .build()
            .unwrap();
        let blocks = Blocks::new(|| {});
        let waker = Arc::clone(&blocks);
        // Where both sleep, the one whose inbox is this thread's runs the task.
        thread::sleep(QUIET);
        let sleeps = runtime.spawn(async move { waker.begin(sleep_until(due)) });
        let sleeps = runtime.block_on(sleeps).unwrap();
        thread::sleep(until(due - SOON));
        is_late.store(true, SeqCst);
        // For that one again.
        let task = runtime.spawn(async {});
        wait_until(|| blocks.began.load(SeqCst));
        runtime.block_on(task).unwrap();
        blocks.over.store(true, SeqCst);
        drop(sleeps);
    });
}
