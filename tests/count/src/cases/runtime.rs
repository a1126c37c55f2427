//! Whole runtimes with their threads. What happens once in a tick or a sleep is spread over the
//! operations, and where threads meet, who comes first varies a little.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
    thread,
    time::Duration,
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalRuntime, Runtime},
    task::{JoinSet, spawn_blocking, yield_now},
    time::sleep,
};

use super::Case;
use crate::{
    meter::{Counts, Meter, count},
    task::{Waits, take_wakers},
};

const TIMER: &str = "2 locks of the runtime's wheel";

/// The paths of whole runtimes.
pub const CASES: &[Case] = &[
    Case { name: "task::spawn, worker", tokio: "6 (4 shared)", threads: true, run: spawn },
    Case {
        name: "spawn + join, worker",
        tokio: "16-23 (6-7 shared)",
        threads: true,
        run: spawn_join,
    },
    Case {
        name: "yield_now, 2 workers",
        tokio: "6 + per batch 2 locks, 1 system call",
        threads: true,
        run: yields,
    },
    Case { name: "spawn + join in a JoinSet, worker", tokio: "", threads: true, run: join_set },
    Case {
        name: "spawn + join, current_thread",
        tokio: "16-23 (6-7 shared)",
        threads: true,
        run: spawn_join_current,
    },
    Case {
        name: "spawn_local + join, LocalRuntime",
        tokio: "16-23 (6-7 shared)",
        threads: true,
        run: spawn_join_local,
    },
    Case { name: "yield_now, current_thread", tokio: "5", threads: true, run: yields_current },
    Case {
        name: "spawn from outside, busy workers",
        tokio: "10 (8 shared)",
        threads: false,
        run: spawn_busy,
    },
    Case {
        name: "spawn from outside, idle, and join",
        tokio: "spawn 10, waking 5",
        threads: true,
        run: spawn_idle,
    },
    Case {
        name: "wake from outside, idle worker, park",
        tokio: "waking 5, park 5 + 6 locks",
        threads: true,
        run: wake_parked,
    },
    Case { name: "block_on, ready future", tokio: "", threads: true, run: block_on },
    Case {
        name: "block_on, ready, current_thread",
        tokio: "",
        threads: true,
        run: block_on_current,
    },
    Case { name: "sleep, create + drop", tokio: "", threads: true, run: sleep_drop },
    Case { name: "sleep, insert + cancel", tokio: TIMER, threads: true, run: sleep_cancel },
    Case { name: "sleep, insert + fire, 64 at once", tokio: TIMER, threads: true, run: sleep_fire },
    Case {
        name: "spawn_blocking round trip",
        tokio: "3 locks of the pool",
        threads: true,
        run: blocking,
    },
    Case {
        name: "TCP, 64 B there and back, 1 worker",
        tokio: "1 + 1 lock for each event",
        threads: true,
        run: tcp,
    },
];

/// A runtime whose workers have all gone to sleep.
fn multi_thread(workers: usize) -> Runtime {
    let runtime =
        Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("built");
    let metrics = runtime.metrics();
    while (0..workers).any(|worker| metrics.worker_park_count(worker) == 0) {
        thread::yield_now();
    }
    runtime
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("built")
}

/// Counts inside a task on one of two workers.
fn on_worker<F>(body: impl FnOnce() -> F) -> Counts
where
    F: Future<Output = Counts> + Send + 'static,
{
    on_one_of(2, body)
}

fn on_one_of<F>(workers: usize, body: impl FnOnce() -> F) -> Counts
where
    F: Future<Output = Counts> + Send + 'static,
{
    let runtime = multi_thread(workers);
    let counts = runtime.spawn(body());
    runtime.block_on(counts).expect("counted")
}

/// Counts the second of two runs of the same loop: the first has made what is made once.
async fn warm<F: Future<Output = ()>>(operations: u64, mut body: impl FnMut(u64) -> F) -> Counts {
    body(operations.min(100)).await;
    let meter = Meter::start();
    body(operations).await;
    meter.stop(operations)
}

fn spawn(operations: u64) -> Counts {
    on_worker(move || async move {
        // In groups that the queue holds, so that each is one poll's worth.
        let operations = operations.next_multiple_of(100);
        let mut joins = Vec::with_capacity(100);
        let mut total = Counts::default();
        for _ in 0..operations / 100 {
            let counts = count(100, || joins.extend((0..100).map(|_| jenny::spawn(async {}))));
            total.add(counts);
            for join in joins.drain(..) {
                join.await.expect("joined");
            }
        }
        total
    })
}

async fn spawn_and_join(operations: u64) {
    for _ in 0..operations {
        jenny::spawn(async {}).await.expect("joined");
    }
}

async fn yield_often(operations: u64) {
    for _ in 0..operations {
        yield_now().await;
    }
}

fn spawn_join(operations: u64) -> Counts {
    on_worker(move || warm(operations, spawn_and_join))
}

fn yields(operations: u64) -> Counts {
    on_worker(move || warm(operations, yield_often))
}

fn join_set(operations: u64) -> Counts {
    on_worker(move || {
        warm(operations, |operations| async move {
            let mut set = JoinSet::new();
            for _ in 0..operations {
                set.spawn(async {});
                set.join_next().await.expect("one").expect("joined");
            }
        })
    })
}

fn spawn_join_current(operations: u64) -> Counts {
    current_thread().block_on(warm(operations, spawn_and_join))
}

fn yields_current(operations: u64) -> Counts {
    let runtime = current_thread();
    let counts = runtime.spawn(warm(operations, yield_often));
    runtime.block_on(counts).expect("counted")
}

fn spawn_join_local(operations: u64) -> Counts {
    LocalRuntime::new().expect("built").block_on(warm(operations, |operations| async move {
        for _ in 0..operations {
            jenny::task::spawn_local(async {}).await.expect("joined");
        }
    }))
}

fn spawn_busy(operations: u64) -> Counts {
    let runtime = multi_thread(2);
    let (busy, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    for _ in 0..2 {
        let (busy, over) = (Arc::clone(&busy), Arc::clone(&over));
        drop(runtime.spawn(async move {
            busy.fetch_add(1, SeqCst);
            while !over.load(SeqCst) {
                thread::yield_now();
            }
        }));
    }
    while busy.load(SeqCst) < 2 {
        thread::yield_now();
    }
    let mut joins = Vec::with_capacity(operations as usize);
    let counts = count(operations, || {
        joins.extend((0..operations).map(|_| runtime.spawn(async {})));
    });
    over.store(true, SeqCst);
    counts
}

fn spawn_idle(operations: u64) -> Counts {
    let runtime = multi_thread(2);
    let round = |operations| {
        for _ in 0..operations {
            let join = runtime.spawn(async {});
            runtime.block_on(join).expect("joined");
        }
    };
    round(10);
    count(operations, || round(operations))
}

fn wake_parked(operations: u64) -> Counts {
    let runtime = multi_thread(1);
    let (polls, waiting) = (Arc::new(AtomicU64::new(0)), Waits::default());
    let waker = runtime.block_on(runtime.spawn({
        let polls = Arc::clone(&polls);
        async move {
            let mut waiting = waiting;
            drop(jenny::spawn(poll_fn(move |context| {
                polls.fetch_add(1, SeqCst);
                Pin::new(&mut waiting).poll(context)
            })));
            // Behind the task.
            yield_now().await;
            yield_now().await;
            take_wakers().pop().expect("the task has been polled")
        }
    }));
    let waker = waker.expect("joined");
    let metrics = runtime.metrics();
    let round = |operations| {
        for _ in 0..operations {
            let parked = metrics.worker_park_count(0);
            let before = polls.load(SeqCst);
            waker.wake_by_ref();
            while polls.load(SeqCst) == before || metrics.worker_park_count(0) == parked {
                thread::yield_now();
            }
        }
    };
    round(10);
    count(operations, || round(operations))
}

fn block_on(operations: u64) -> Counts {
    block_on_with(&multi_thread(2), operations)
}

fn block_on_current(operations: u64) -> Counts {
    block_on_with(&current_thread(), operations)
}

fn block_on_with(runtime: &Runtime, operations: u64) -> Counts {
    runtime.block_on(async {});
    count(operations, || (0..operations).for_each(|_| runtime.block_on(async {})))
}

fn sleep_drop(operations: u64) -> Counts {
    on_one_of(1, move || {
        warm(operations, |operations| async move {
            (0..operations).for_each(|_| drop(sleep(Duration::from_secs(1))));
        })
    })
}

fn sleep_cancel(operations: u64) -> Counts {
    on_one_of(1, move || {
        warm(operations, |operations| async move {
            for _ in 0..operations {
                let mut sleep = std::pin::pin!(sleep(Duration::from_secs(1)));
                poll_fn(|context| {
                    assert!(sleep.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
        })
    })
}

fn sleep_fire(operations: u64) -> Counts {
    on_one_of(1, move || {
        let operations = operations.next_multiple_of(64);
        warm(operations, |operations| async move {
            for _ in 0..operations.div_ceil(64) {
                let mut sleeps: [_; 64] =
                    std::array::from_fn(|_| Box::pin(sleep(Duration::from_millis(2))));
                // A sleep that is over stays so.
                poll_fn(|context| {
                    let polls = sleeps.each_mut().map(|sleep| sleep.as_mut().poll(context));
                    if polls.iter().all(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        })
    })
}

fn blocking(operations: u64) -> Counts {
    on_worker(move || {
        warm(operations, |operations| async move {
            for _ in 0..operations {
                spawn_blocking(|| {}).await.expect("joined");
            }
        })
    })
}

fn tcp(operations: u64) -> Counts {
    on_one_of(1, move || async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = jenny::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut message = [0; 64];
            while stream.read_exact(&mut message).await.is_ok() {
                stream.write_all(&message).await.expect("echoed");
            }
        });
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let mut message = [1; 64];
        let mut meter = Meter::start();
        for round in 0..operations + 10 {
            if round == 10 {
                meter = Meter::start();
            }
            stream.write_all(&message).await.expect("sent");
            stream.read_exact(&mut message).await.expect("answered");
        }
        let counts = meter.stop(operations);
        drop(stream);
        server.await.expect("joined");
        counts
    })
}
