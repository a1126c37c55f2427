//! A thread in `block_on` that runs tasks in the place of a worker that sleeps, where the builder says
//! so.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::{pending, poll_fn},
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::Poll,
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::{Builder, Handle, Runtime, worker_index},
    sync::oneshot,
    task::{self, LocalSet, block_in_place, spawn, spawn_local, yield_now},
    time::{self, sleep},
};

use crate::support::{Flavour, wait_until, within_a_minute};

fn build(workers: usize) -> Runtime {
    build_with(workers, |builder| builder)
}

fn build_with(workers: usize, settings: impl FnOnce(&mut Builder) -> &mut Builder) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().block_on_runs_tasks(true);
    settings(&mut builder).build().unwrap()
}

/// Runs the test with one worker and with four.
fn with_workers(test: impl Fn(usize) + Clone + Send + 'static) {
    for workers in [1, 4] {
        let test = test.clone();
        within_a_minute(move || test(workers));
    }
}

/// Waits until all workers sleep, so that their seats are there to be taken.
fn wait_for_sleep(runtime: &Runtime) {
    let metrics = runtime.metrics();
    wait_until(|| {
        (0..metrics.num_workers()).all(|worker| metrics.worker_park_unpark_count(worker) % 2 == 1)
    });
}

/// Repeats an attempt that some other thread may come between.
fn at_last(mut attempt: impl FnMut() -> bool) {
    let start = Instant::now();
    while !attempt() {
        assert!(start.elapsed() < Duration::from_secs(30), "this never happens");
    }
}

async fn thread_of_a_task() -> ThreadId {
    spawn(async { thread::current().id() }).await.unwrap()
}

#[test]
fn a_task_runs_where_it_is_waited_for() {
    with_workers(|workers| {
        let runtime = build(workers);
        at_last(|| {
            wait_for_sleep(&runtime);
            runtime.block_on(thread_of_a_task()) == thread::current().id()
        });
        // Not in the handle's, which may be called while the runtime ends.
        let handle = runtime.handle();
        assert_ne!(handle.block_on(thread_of_a_task()), thread::current().id());
        let others = Flavour::OneWorker.build_shared();
        assert_ne!(others.block_on(thread_of_a_task()), thread::current().id(), "by default");
    });
}

#[test]
fn it_finds_what_it_finds_on_a_worker() {
    with_workers(|workers| {
        let runtime = build(workers);
        let here = thread::current().id();
        at_last(|| {
            wait_for_sleep(&runtime);
            runtime.block_on(async {
                let Some(worker) = worker_index() else { return false };
                assert_eq!(task::try_id(), None);
                let (index, id, runtime, nested, thread) = spawn(async {
                    let nested = catch_unwind(|| Handle::current().block_on(async {}));
                    let thread = thread::current().id();
                    (worker_index(), task::id(), Handle::current().id(), nested, thread)
                })
                .await
                .unwrap();
                let _: task::Id = id;
                assert_eq!(runtime, Handle::current().id());
                assert!(nested.is_err(), "a task may not block on its runtime");
                if thread != here {
                    return false;
                }
                assert_eq!(index, Some(worker));
                assert_eq!(Handle::current().metrics().worker_thread_id(worker), Some(here));
                true
            })
        });
        assert_eq!(worker_index(), None);
        wait_for_sleep(&runtime);
    });
}

/// Neither the tasks keep the future from being polled, nor the future the tasks.
#[test]
fn tasks_and_the_future_take_turns() {
    with_workers(|workers| {
        let runtime = build(workers);
        wait_for_sleep(&runtime);
        let over = Arc::new(AtomicBool::new(false));
        let polls = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let tasks: Vec<_> = (0..2 * workers)
                .map(|_| {
                    let (over, polls) = (Arc::clone(&over), Arc::clone(&polls));
                    spawn(async move {
                        while !over.load(SeqCst) {
                            polls.fetch_add(1, SeqCst);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for _ in 0..1000 {
                yield_now().await;
            }
            while polls.load(SeqCst) < 1000 {
                yield_now().await;
            }
            // Woken by a timer, with tasks that are always ready.
            sleep(Duration::from_millis(5)).await;
            over.store(true, SeqCst);
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn a_task_that_blocks_in_place_keeps_no_other_waiting() {
    with_workers(|workers| {
        let runtime = build(workers);
        for _ in 0..50 {
            let sum = runtime.block_on(async {
                let (sender, receiver) = mpsc::channel();
                let blocks = spawn(async move {
                    spawn(async move { (0..10).for_each(|number| sender.send(number).unwrap()) });
                    block_in_place(|| receiver.iter().sum::<i32>())
                });
                let after = spawn(async { worker_index().is_some() });
                assert!(after.await.unwrap());
                blocks.await.unwrap()
            });
            assert_eq!(sum, 45);
        }
    });
}

#[test]
fn the_future_may_block_in_place() {
    with_workers(|workers| {
        let runtime = build(workers);
        for _ in 0..50 {
            runtime.block_on(async {
                let (sender, receiver) = mpsc::channel();
                spawn(async move { sender.send(()).unwrap() });
                block_in_place(|| receiver.recv().unwrap());
                assert_eq!(worker_index(), None, "the worker went to its thread");
                let handle = Handle::current();
                let task = block_in_place(|| handle.block_on(async { spawn(async { 7 }).await }));
                assert_eq!(task.unwrap(), 7);
                // It goes on as before.
                yield_now().await;
                assert_eq!(spawn(async { 8 }).await.unwrap(), 8);
            });
        }
    });
}

#[test]
fn many_threads_wait_at_once() {
    with_workers(|workers| {
        let runtime = build(workers);
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let runtime = &runtime;
                scope.spawn(move || {
                    for round in 0..1000 {
                        let number = thread * 1000 + round;
                        let joined = runtime.block_on(async move {
                            let outer = spawn(async move { spawn(async move { number }).await });
                            if round % 7 == 0 {
                                sleep(Duration::from_micros(10)).await;
                            }
                            outer.await
                        });
                        assert_eq!(joined.unwrap().unwrap(), number);
                    }
                });
            }
        });
        wait_for_sleep(&runtime);
    });
}

#[test]
fn a_panic_of_the_future_leaves_the_worker_as_it_was() {
    with_workers(|workers| {
        let runtime = build(workers);
        for _ in 0..20 {
            wait_for_sleep(&runtime);
            let (sender, receiver) = mpsc::channel();
            let panic = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    yield_now().await;
                    spawn(async move { sender.send(()).unwrap() });
                    panic!("on purpose");
                });
            }));
            assert!(panic.is_err());
            receiver.recv().unwrap();
            assert_eq!(worker_index(), None);
        }
        at_last(|| {
            wait_for_sleep(&runtime);
            runtime.block_on(thread_of_a_task()) == thread::current().id()
        });
    });
}

/// What a future leaves behind when it is ready is the worker's: its tasks, its timers, its sockets.
#[test]
fn what_is_left_behind_goes_on() {
    with_workers(|workers| {
        let runtime = build(workers);
        for _ in 0..20 {
            wait_for_sleep(&runtime);
            let (sender, receiver) = mpsc::channel();
            runtime.block_on(async {
                for number in 0..300 {
                    let sender = sender.clone();
                    drop(spawn(async move { sender.send(number).unwrap() }));
                }
            });
            drop(sender);
            assert_eq!(receiver.iter().sum::<i32>(), (0..300).sum());

            wait_for_sleep(&runtime);
            let (sender, receiver) = mpsc::channel();
            runtime.block_on(async {
                let (registered, is_registered) = oneshot::channel();
                drop(spawn(async move {
                    let mut sleep = std::pin::pin!(sleep(Duration::from_millis(2)));
                    let mut registered = Some(registered);
                    poll_fn(|context| {
                        let polled = sleep.as_mut().poll(context);
                        registered.take().map(|registered| registered.send(()));
                        polled
                    })
                    .await;
                    sender.send(()).unwrap();
                }));
                is_registered.await.unwrap();
            });
            receiver.recv().unwrap();
        }
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut byte = [0];
                while stream.read(&mut byte).await.unwrap() > 0 {
                    stream.write_all(&byte).await.unwrap();
                }
            });
            address
        });
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        for byte in 0..100 {
            // While the worker is lent, and while it is not.
            runtime.block_on(async { spawn(yield_now()).await.unwrap() });
            stream.write_all(&[byte]).unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [byte]);
        }
    });
}

#[test]
fn timers_and_sockets_of_the_future() {
    with_workers(|workers| {
        let runtime = build(workers);
        for _ in 0..10 {
            wait_for_sleep(&runtime);
            runtime.block_on(async {
                let start = Instant::now();
                sleep(Duration::from_millis(3)).await;
                spawn(async { sleep(Duration::from_millis(3)).await }).await.unwrap();
                assert!(start.elapsed() >= Duration::from_millis(6));
                time::timeout(Duration::from_millis(3), pending::<()>()).await.unwrap_err();

                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let client = spawn(async move {
                    let mut stream = jenny::net::TcpStream::connect(address).await.unwrap();
                    stream.write_all(b"jenny").await.unwrap();
                });
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                assert_eq!(text, "jenny");
                client.await.unwrap();
            });
        }
    });
}

/// The hooks are those of the runtime's threads, each of which parks and unparks in turn.
#[test]
fn hooks_hear_of_the_threads_of_workers_only() {
    with_workers(|workers| {
        // Each thread's parks, less its unparks.
        let parked = Arc::new(Mutex::new(HashMap::<ThreadId, Vec<i32>>::new()));
        let [park, unpark] = [(&parked, 1), (&parked, -1)].map(|(parked, change)| {
            let parked = Arc::clone(parked);
            move || {
                let mut parked = parked.lock().unwrap();
                let depths = parked.entry(thread::current().id()).or_default();
                depths.push(depths.last().unwrap_or(&0) + change);
            }
        });
        let runtime =
            build_with(workers, |builder| builder.on_thread_park(park).on_thread_unpark(unpark));
        for round in 0..100 {
            wait_for_sleep(&runtime);
            runtime.block_on(async move {
                spawn(yield_now()).await.unwrap();
                if round % 3 == 0 {
                    drop(spawn(yield_now()));
                }
            });
        }
        wait_for_sleep(&runtime);
        let parked = parked.lock().unwrap();
        assert_eq!(parked.len(), workers);
        assert!(!parked.contains_key(&thread::current().id()));
        assert!(parked.values().flatten().all(|&depth| depth == 0 || depth == 1), "{parked:?}");
    });
}

/// A future may be in another runtime, or in a local set, when it waits. Tasks may not.
#[test]
fn tasks_do_not_run_where_the_future_has_gone() {
    with_workers(|workers| {
        let (runtime, other) = (build(workers), build(1));
        for _ in 0..10 {
            wait_for_sleep(&runtime);
            runtime.block_on(async {
                let id = Handle::current().id();
                let task = spawn(async { (Handle::current().id(), thread::current().id()) });
                let _other = other.enter();
                let (seen, thread) = task.await.unwrap();
                assert_eq!(seen, id);
                assert_ne!(thread, thread::current().id());
            });
            wait_for_sleep(&runtime);
            let set = LocalSet::new();
            runtime.block_on(async {
                let task = spawn(async { drop(spawn_local(async {})) });
                let _set = set.enter();
                assert!(task.await.unwrap_err().is_panic(), "there is no local set for a task");
            });
            runtime.block_on(set.run_until(async {
                let local = spawn_local(async { spawn(async { 1 }).await.unwrap() });
                assert_eq!(local.await.unwrap(), 1);
            }));
        }
    });
}

thread_local! {
    static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

/// Waits for a task when its thread ends.
struct AtEnd {
    runtime: Arc<Runtime>,
    done: mpsc::Sender<u64>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        let task = self.runtime.spawn(async { spawn(async { 7 }).await.unwrap() });
        self.done.send(self.runtime.block_on(task).unwrap()).unwrap();
    }
}

/// What tasks look for in thread-local variables may be gone then.
#[test]
fn a_thread_that_ends_runs_no_tasks() {
    with_workers(|workers| {
        let runtime = Arc::new(build(workers));
        let (done, is_done) = mpsc::channel();
        let at_end = AtEnd { runtime: Arc::clone(&runtime), done };
        thread::spawn(move || {
            // In this order: what came into use last is gone first.
            AT_END.set(Some(at_end));
            at_last(|| {
                wait_for_sleep(&runtime);
                runtime.block_on(thread_of_a_task()) == thread::current().id()
            });
        })
        .join()
        .unwrap();
        assert_eq!(is_done.recv(), Ok(7));
    });
}

/// Other workers take what waits behind a future that blocks.
#[test]
fn a_future_that_blocks_is_noticed() {
    within_a_minute(|| {
        let runtime = build(4);
        for _ in 0..3 {
            wait_for_sleep(&runtime);
            runtime.block_on(async {
                let (sender, receiver) = mpsc::channel();
                spawn(async move { sender.send(()).unwrap() });
                receiver.recv().unwrap();
            });
        }
    });
}

#[test]
fn it_ends_with_tasks_of_all_kinds() {
    with_workers(|workers| {
        for round in 0..50 {
            let runtime = build(workers);
            let handle = runtime.handle().clone();
            let alive = Arc::new(());
            runtime.block_on(async {
                for number in 0..round {
                    let alive = Arc::clone(&alive);
                    drop(spawn(async move {
                        let _alive = alive;
                        match number % 3 {
                            0 => pending().await,
                            1 => sleep(Duration::from_secs(3600)).await,
                            _ => yield_now().await,
                        }
                    }));
                }
                if round % 2 == 0 {
                    yield_now().await;
                }
            });
            drop(runtime);
            assert_eq!(Arc::strong_count(&alive), 1);
            assert!(handle.block_on(handle.spawn(async {})).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_dump_of_the_worker_that_waits_for_it() {
    with_workers(|workers| {
        let runtime = build(workers);
        wait_for_sleep(&runtime);
        runtime.block_on(async {
            let tasks: Vec<_> = (0..10).map(|_| spawn(pending::<()>())).collect();
            yield_now().await;
            let dump = Handle::current().dump().await;
            assert_eq!(dump.silent_workers().count(), 0);
            assert_eq!(dump.tasks().iter().count(), 10);
            tasks.iter().for_each(task::JoinHandle::abort);
        });
    });
}

/// A poll that is ready at once stays on its thread, and what it has woken comes after it.
#[test]
fn wakes_of_the_future_are_local() {
    with_workers(|workers| {
        let runtime = build(workers);
        for _ in 0..100 {
            let order = Arc::new(Mutex::new(Vec::new()));
            let (sender, receiver) = oneshot::channel::<()>();
            let waits = {
                let order = Arc::clone(&order);
                runtime.spawn(async move {
                    receiver.await.unwrap();
                    order.lock().unwrap().push("task");
                })
            };
            let mut sender = Some(sender);
            let wakes = poll_fn(|_| {
                sender.take().map(|sender| sender.send(()));
                Poll::Ready(())
            });
            runtime.block_on(async {
                wakes.await;
                waits.await.unwrap();
                order.lock().unwrap().push("future");
            });
            assert_eq!(*order.lock().unwrap(), ["task", "future"]);
        }
    });
}
