//! Nobody starves: not behind a flood of tasks that wake themselves, not behind a pair that wakes
//! each other.
//!
//! Where one thread runs all tasks, waiting is counted in polls of the others, which no load of the
//! machine can change.

use std::{
    future::poll_fn,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use jenny::{
    io::AsyncReadExt,
    net::TcpListener,
    runtime::Handle,
    sync::{Notify, oneshot},
    task::{JoinHandle, spawn, yield_now},
    time::sleep,
};

use crate::support::{Flavour, on_every_runtime};

/// Tasks that always have something to do, and how often they have begun it.
struct Flood {
    polls: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(tasks: usize) -> Self {
        Self::of(tasks, yield_now)
    }

    /// Of tasks that await this in a loop.
    fn of<F>(tasks: usize, turn: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (polls, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let tasks = (0..tasks)
            .map(|_| {
                let (polls, over) = (Arc::clone(&polls), Arc::clone(&over));
                let turn = turn.clone();
                spawn(async move {
                    while !over.load(SeqCst) {
                        polls.fetch_add(1, SeqCst);
                        turn().await;
                    }
                })
            })
            .collect();
        Self { polls, over, tasks }
    }

    async fn end(self) {
        self.over.store(true, SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// Runs a closure on a thread of no runtime, while this worker waits: nothing is polled meanwhile.
fn elsewhere<R: Send + 'static>(act: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(act).join().unwrap()
}

/// How many polls of others somebody may wait for. Each way into a worker is visited after at most
/// one event interval, and what is found there waits once behind what is queued.
const PATIENCE: usize = 1_000;

fn must_be_soon(flavour: Flavour, waited: usize) {
    // With more workers the clock decides how much the others do meanwhile: there it is enough that
    // the test ends.
    if flavour.workers() == 1 {
        assert!(waited < PATIENCE, "waited for {waited} polls of others");
    }
}

on_every_runtime! {
    fn a_flood_lets_in_what_comes_from_outside(flavour: Flavour) {
        flavour.build().block_on(async move {
            let flood = Flood::start(8 * flavour.workers());
            for _ in 0..20 {
                let (handle, polls) = (Handle::current(), Arc::clone(&flood.polls));
                let spawner = spawn(async move {
                    let before = polls.load(SeqCst);
                    let join = elsewhere(move || handle.spawn(async move { polls.load(SeqCst) }));
                    join.await.unwrap().saturating_sub(before)
                });
                must_be_soon(flavour, spawner.await.unwrap());
            }
            flood.end().await;
        });
    }

    fn a_flood_lets_in_a_foreign_wake(flavour: Flavour) {
        flavour.build().block_on(async move {
            let flood = Flood::start(8 * flavour.workers());
            for _ in 0..20 {
                let (leave, left) = oneshot::channel::<Waker>();
                let mut leave = Some(leave);
                let polls = Arc::clone(&flood.polls);
                let waiter = spawn(poll_fn(move |context| match leave.take() {
                    Some(leave) => {
                        leave.send(context.waker().clone()).unwrap();
                        Poll::Pending
                    }
                    None => Poll::Ready(polls.load(SeqCst)),
                }));
                let polls = Arc::clone(&flood.polls);
                let waker = spawn(async move {
                    let waker = left.await.unwrap();
                    let before = polls.load(SeqCst);
                    elsewhere(move || waker.wake());
                    before
                });
                let before = waker.await.unwrap();
                must_be_soon(flavour, waiter.await.unwrap().saturating_sub(before));
            }
            flood.end().await;
        });
    }

    fn a_flood_lets_in_the_events_of_a_socket(flavour: Flavour) {
        flavour.build().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            peer.set_nodelay(true).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let flood = Flood::start(8 * flavour.workers());
            let polls = Arc::clone(&flood.polls);
            let reader = spawn(async move {
                let mut longest = 0;
                for _ in 0..20 {
                    let (polls, mut peer) = (Arc::clone(&polls), peer.try_clone().unwrap());
                    let before = Arc::new(AtomicUsize::new(0));
                    let noted = Arc::clone(&before);
                    let counted = Arc::clone(&polls);
                    // From another task, so that the reader really waits for the driver.
                    spawn(async move {
                        noted.store(counted.load(SeqCst), SeqCst);
                        peer.write_all(b"x").unwrap();
                    });
                    stream.read_exact(&mut [0]).await.unwrap();
                    longest = longest.max(polls.load(SeqCst).saturating_sub(before.load(SeqCst)));
                }
                longest
            });
            must_be_soon(flavour, reader.await.unwrap());
            flood.end().await;
        });
    }

    /// Where each tick leaves nothing to run, and before the next one a timer is due.
    fn timers_that_are_always_due_let_in_the_events_of_a_socket(flavour: Flavour) {
        const NAPPERS: usize = 8;
        flavour.build().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let is_evening = Arc::new(AtomicBool::new(false));
            let flood = Flood::of(NAPPERS * flavour.workers(), {
                let is_evening = Arc::clone(&is_evening);
                move || {
                    let naps = is_evening.load(SeqCst);
                    async move {
                        if naps {
                            sleep(Duration::from_millis(1)).await;
                            thread::sleep(Duration::from_millis(1));
                        } else {
                            yield_now().await;
                        }
                    }
                }
            });
            let naps = Arc::clone(&flood.polls);
            let writer = thread::spawn(move || {
                for _ in 0..20 {
                    // The reader waits by now, or the naps are counted for nothing.
                    thread::sleep(Duration::from_millis(10));
                    peer.write_all(&naps.load(SeqCst).to_be_bytes()).unwrap();
                }
            });
            let naps = Arc::clone(&flood.polls);
            let reader = spawn(async move {
                let (mut longest, mut before) = (0, [0; size_of::<usize>()]);
                while stream.read_exact(&mut before).await.is_ok() {
                    // The first comes while the driver is asked all the time, and has something.
                    if is_evening.swap(true, SeqCst) {
                        longest = longest.max(naps.load(SeqCst) - usize::from_be_bytes(before));
                    }
                }
                longest
            });
            let longest = reader.await.unwrap();
            writer.join().unwrap();
            flood.end().await;
            // Those that are due before and after the turn.
            if flavour.workers() == 1 {
                assert!(longest <= 4 * NAPPERS, "waited for {longest} naps of others");
            }
        });
    }

    /// The future of `block_on` is always ready, and a task waits for the driver, which takes the
    /// events one by one.
    fn a_yielding_root_lets_in_the_driver(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.max_io_events_per_tick(1));
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut readers = Vec::new();
            for _ in 0..5 {
                let mut peer =
                    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                readers.push(spawn(async move { stream.read_exact(&mut [0]).await.unwrap() }));
                yield_now().await;
                peer.write_all(b"x").unwrap();
            }
            let mut yields = 0;
            while !readers.iter().all(JoinHandle::is_finished) {
                yield_now().await;
                yields += 1;
            }
            if flavour.has_one_thread() {
                must_be_soon(flavour, yields);
            }
        });
    }

    /// The driver has its turn after a thousand polls; the inbox is looked at in between if it is
    /// asked for.
    fn the_inbox_has_an_interval_of_its_own(flavour: Flavour) {
        let waits = |events: u32, inbox: Option<u32>| {
            let runtime = flavour.build_with(|builder| {
                builder.event_interval(events);
                match inbox {
                    Some(interval) => builder.global_queue_interval(interval),
                    None => builder,
                }
            });
            runtime.block_on(async {
                spawn(async {
                    let handle = Handle::current();
                    let arrived = elsewhere(move || handle.spawn(async {}));
                    let mut yields = 0;
                    while !arrived.is_finished() {
                        yield_now().await;
                        yields += 1;
                    }
                    yields
                })
                .await
                .unwrap()
            })
        };
        if flavour.workers() == 1 {
            let (rare, often) = (waits(1_000, None), waits(1_000, Some(3)));
            assert!(rare > 500 && often <= 10, "{rare} and {often} yields");
            let no_rarer = waits(10, Some(100_000));
            assert!(no_rarer <= 30, "{no_rarer} yields, with a turn of the driver after 10");
        } else {
            waits(1_000, Some(3));
        }
    }

    fn a_flood_lets_in_the_root_future(flavour: Flavour) {
        flavour.build().block_on(async move {
            let flood = Flood::start(8 * flavour.workers());
            for _ in 0..20 {
                let before = flood.polls.load(SeqCst);
                yield_now().await;
                if flavour.has_one_thread() {
                    must_be_soon(flavour, flood.polls.load(SeqCst) - before);
                }
            }
            flood.end().await;
        });
    }

    /// Each wakes the other, so that the LIFO slot is never empty.
    fn a_pair_that_wakes_each_other_lets_a_third_run(flavour: Flavour) {
        flavour.build().block_on(async move {
            let starter = spawn(async move {
                let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
                let rounds = Arc::new(AtomicUsize::new(0));
                let over = Arc::new(AtomicBool::new(false));
                let waited = Arc::clone(&rounds);
                let third = spawn(async move { waited.load(SeqCst) });
                let pair: Vec<_> = [(&ping, &pong), (&pong, &ping)]
                    .into_iter()
                    .map(|(mine, other)| {
                        let (mine, other) = (Arc::clone(mine), Arc::clone(other));
                        let (rounds, over) = (Arc::clone(&rounds), Arc::clone(&over));
                        spawn(async move {
                            while !over.load(SeqCst) {
                                mine.notified().await;
                                rounds.fetch_add(1, SeqCst);
                                other.notify_one();
                            }
                            other.notify_one();
                        })
                    })
                    .collect();
                ping.notify_one();
                let rounds = third.await.unwrap();
                over.store(true, SeqCst);
                for task in pair {
                    task.await.unwrap();
                }
                rounds
            });
            must_be_soon(flavour, starter.await.unwrap());
        });
    }

    /// A poll that wakes itself many times gets one more poll, not many.
    fn wakes_are_not_turns(flavour: Flavour) {
        flavour.build().block_on(async move {
            let greedy = Arc::new(AtomicUsize::new(0));
            let (polls, over) = (Arc::clone(&greedy), Arc::new(AtomicBool::new(false)));
            let ends = Arc::clone(&over);
            let modest = spawn(async move {
                let task = spawn(poll_fn(move |context| {
                    polls.fetch_add(1, SeqCst);
                    (0..100).for_each(|_| context.waker().wake_by_ref());
                    if ends.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
                }));
                for _ in 0..1_000 {
                    yield_now().await;
                }
                over.store(true, SeqCst);
                task.await.unwrap();
            });
            modest.await.unwrap();
            must_be_soon(flavour, greedy.load(SeqCst).saturating_sub(1_000));
        });
    }
}

/// Where the future of `block_on` shares its thread with the tasks, it is one of them in this, too.
#[test]
fn a_root_that_yields_lets_the_others_go_first() {
    for flavour in [Flavour::CurrentThread, Flavour::Local] {
        flavour.build().block_on(async {
            let ran = Arc::new(AtomicUsize::new(0));
            for _ in 0..20 {
                let ran = Arc::clone(&ran);
                spawn(async move { ran.fetch_add(1, SeqCst) });
            }
            yield_now().await;
            assert_eq!(ran.load(SeqCst), 20);
        });
    }
}

/// One worker is in a poll that does not return: the other takes what it has queued.
#[test]
fn a_stuck_worker_is_stolen_from() {
    let runtime = jenny::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks = runtime.spawn(async {
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            spawn(async move { done.fetch_add(1, SeqCst) });
        }
        // The last one, in the LIFO slot, is beyond the reach of thieves, but not of the monitor.
        while done.load(SeqCst) < 100 {
            thread::yield_now();
        }
    });
    runtime.block_on(tasks).unwrap();
}
