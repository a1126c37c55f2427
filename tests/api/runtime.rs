//! Runtimes, their builders and handles.

use std::{
    cell::Cell,
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use jenny::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle, LocalRuntime, Runtime, RuntimeFlavor, worker_index},
    sync::{Notify, oneshot},
    task::{spawn, yield_now},
};

use crate::support::{on_every_runtime, on_every_shared_runtime, wait_until};

on_every_runtime! {
    fn the_root_future_may_borrow_and_need_not_be_send(flavour: Flavour) {
        let runtime = flavour.build();
        let turns = Rc::new(Cell::new(0));
        let borrowed = &turns;
        let output = runtime.block_on(async {
            for _ in 0..10 {
                borrowed.set(borrowed.get() + 1);
                yield_now().await;
            }
            Rc::clone(borrowed)
        });
        assert_eq!(output.get(), 10);
    }

    fn the_root_future_is_woken_from_another_thread(flavour: Flavour) {
        flavour.build().block_on(async {
            for round in 0..200 {
                let (tell, told) = oneshot::channel();
                let thread = thread::spawn(move || {
                    if round % 2 == 0 {
                        thread::sleep(Duration::from_micros(200));
                    }
                    tell.send(round).unwrap();
                });
                assert_eq!(told.await.unwrap(), round);
                thread.join().unwrap();
            }
        });
    }

    fn the_root_future_is_not_polled_without_a_wake(flavour: Flavour) {
        let runtime = flavour.build();
        let mut polls = 0;
        let busy = runtime.spawn(async {
            for _ in 0..1_000 {
                yield_now().await;
            }
        });
        let mut join = Box::pin(busy);
        runtime.block_on(poll_fn(|context| {
            polls += 1;
            join.as_mut().poll(context).map(Result::unwrap)
        }));
        assert!(polls <= 2, "polled {polls} times");
    }

    fn a_panic_of_the_root_future_leaves_the_runtime_usable(flavour: Flavour) {
        let runtime = flavour.build();
        for _ in 0..3 {
            let panicking = AssertUnwindSafe(|| runtime.block_on(async {
                yield_now().await;
                resume_unwind(Box::new(42));
            }));
            let payload = catch_unwind(panicking).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&42));
            assert!(Handle::try_current().is_err());
            assert_eq!(runtime.block_on(async { spawn(async { 1 }).await.unwrap() }), 1);
        }
    }

    fn tasks_go_on_between_two_calls(flavour: Flavour) {
        let runtime = flavour.build();
        let open = Arc::new(Notify::new());
        let gate = Arc::clone(&open);
        let join = runtime.spawn(async move { gate.notified().await });
        runtime.block_on(yield_now());
        open.notify_one();
        runtime.block_on(join).unwrap();
    }

    fn a_handle_spawns_from_any_thread(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let joins = thread::spawn(move || {
            (0..500_usize).map(|i| handle.spawn(async move { i })).collect::<Vec<_>>()
        });
        let joins = joins.join().unwrap();
        runtime.block_on(async {
            for (i, join) in joins.into_iter().enumerate() {
                assert_eq!(join.await.unwrap(), i);
            }
        });
    }

    fn a_handle_blocks_while_somebody_runs_the_tasks(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let (done, is_done) = oneshot::channel();
        let thread = thread::spawn(move || {
            let output = handle.block_on(async { spawn(async { 3 }).await.unwrap() });
            done.send(output).unwrap();
        });
        assert_eq!(runtime.block_on(is_done).unwrap(), 3);
        thread.join().unwrap();
    }

    fn entering_makes_a_runtime_current(flavour: Flavour) {
        let (outer, inner) = (flavour.build(), flavour.build());
        assert!(Handle::try_current().unwrap_err().is_missing_context());
        let guard = outer.enter();
        assert_eq!(Handle::current().id(), outer.handle().id());
        {
            let _inner = inner.enter();
            assert_eq!(Handle::current().id(), inner.handle().id());
        }
        assert_eq!(Handle::current().id(), outer.handle().id());
        let join = spawn(async { Handle::current().id() });
        assert_eq!(inner.block_on(async { Handle::current().id() }), inner.handle().id());
        drop(guard);
        assert!(Handle::try_current().is_err());
        assert_eq!(outer.block_on(join).unwrap(), outer.handle().id());
    }

    /// A task waits for one of another runtime, and each wakes the other's worker.
    fn runtimes_wait_for_each_other(flavour: Flavour) {
        let there = flavour.build();
        let here = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = here.handle().clone();
        there.block_on(async move {
            for i in 0..200 {
                let join = handle.spawn(async move {
                    yield_now().await;
                    i
                });
                assert_eq!(join.await.unwrap(), i);
            }
        });
    }

    fn a_runtime_says_what_it_is(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.name("spinning"));
        let expected = match flavour {
            Flavour::CurrentThread | Flavour::Local => RuntimeFlavor::CurrentThread,
            _ => RuntimeFlavor::MultiThread,
        };
        assert_eq!(runtime.handle().runtime_flavor(), expected);
        assert_eq!(runtime.handle().name(), Some("spinning"));
        assert_eq!(runtime.metrics().num_workers(), flavour.workers());
        assert_ne!(runtime.handle().id(), flavour.build().handle().id());
    }

    fn tasks_are_counted(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        assert_eq!(metrics.num_alive_tasks(), 0);
        runtime.block_on(async {
            let waiting: Vec<_> = (0..100).map(|_| spawn(pending::<()>())).collect();
            let polls = || (0..metrics.num_workers()).map(|w| metrics.worker_poll_count(w)).sum();
            loop {
                let polls: u64 = polls();
                if polls >= 100 {
                    break;
                }
                yield_now().await;
            }
            assert_eq!(metrics.num_alive_tasks(), 100);
            waiting.iter().for_each(|task| task.abort());
            for task in waiting {
                task.await.unwrap_err();
            }
        });
        wait_until(|| metrics.num_alive_tasks() == 0);
        drop(runtime);
        assert_eq!(metrics.num_alive_tasks(), 0);
    }

    /// With every switch away from its default.
    fn switches_change_no_outcome(flavour: Flavour) {
        let mut builder = flavour.builder();
        builder.event_interval(1).disable_lifo_slot().thread_stack_size(1 << 20);
        // A builder can be used again.
        for _ in 0..2 {
            let runtime = flavour.build_from(&mut builder);
            let sum: usize = runtime.block_on(async {
                let tasks: Vec<_> = (0..1_000_usize).map(|i| spawn(async move {
                    yield_now().await;
                    i
                })).collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap();
                }
                sum
            });
            assert_eq!(sum, 499_500);
        }
    }
}

on_every_runtime! {
    /// The index is that of the metrics, and nobody else has one.
    fn workers_know_their_index(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        assert_eq!(worker_index(), None);
        {
            let _entered = runtime.enter();
            assert_eq!(worker_index(), None);
        }
        let root = runtime.block_on(async { worker_index() });
        assert_eq!(root, flavour.has_one_thread().then_some(0));
        let (index, thread) = runtime
            .block_on(runtime.spawn(async { (worker_index(), thread::current().id()) }))
            .unwrap();
        assert_eq!(metrics.worker_thread_id(index.unwrap()), Some(thread));
        assert_eq!(runtime.block_on(runtime.spawn_blocking(worker_index)).unwrap(), None);
    }
}

on_every_shared_runtime! {
    /// Whoever has to run the tasks: when one caller leaves, another takes over.
    fn several_threads_block_at_once(flavour: Flavour) {
        const THREADS: usize = 4;
        let runtime = &flavour.build_shared();
        let barrier = &Barrier::new(THREADS);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    barrier.wait();
                    for round in 0..200 {
                        let sum = runtime.block_on(async move {
                            let tasks: Vec<_> = (0..=thread)
                                .map(|task| spawn(async move {
                                    yield_now().await;
                                    task + round
                                }))
                                .collect();
                            let mut sum = 0;
                            for task in tasks {
                                sum += task.await.unwrap();
                            }
                            sum
                        });
                        assert_eq!(sum, (0..=thread).map(|task| task + round).sum());
                    }
                });
            }
        });
    }

    /// The one that runs the tasks leaves first, while the other waits for a task.
    fn who_waits_for_a_task_takes_over(flavour: Flavour) {
        let runtime = &flavour.build_shared();
        let (leave, left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (go, gone) = (Arc::clone(&leave), Arc::clone(&left));
        let task = runtime.spawn(async move {
            go.notify_one();
            gone.notified().await;
            7
        });
        thread::scope(|scope| {
            let runs = scope.spawn(|| runtime.block_on(leave.notified()));
            let waits = scope.spawn(|| runtime.block_on(task));
            runs.join().unwrap();
            left.notify_one();
            assert_eq!(waits.join().unwrap().unwrap(), 7);
        });
    }
}

on_every_shared_runtime! {
    /// While another thread runs the tasks, whoever waits does so asleep.
    fn who_waits_beside_another_is_polled_when_woken(flavour: Flavour) {
        let runtime = &flavour.build_shared();
        let (begun, has_begun) = mpsc::channel();
        let (wake, woken) = oneshot::channel();
        let polls = thread::scope(|scope| {
            let runs = scope.spawn(move || {
                runtime.block_on(async {
                    begun.send(()).unwrap();
                    jenny::time::sleep(Duration::from_millis(30)).await;
                    wake.send(()).unwrap();
                });
            });
            has_begun.recv().unwrap();
            let (mut polls, mut woken) = (0, woken);
            runtime.block_on(poll_fn(|context| {
                polls += 1;
                Pin::new(&mut woken).poll(context).map(Result::unwrap)
            }));
            runs.join().unwrap();
            polls
        });
        // Once for the core that it may come to have, on a runtime of one thread.
        assert!(polls <= 3, "polled {polls} times");
    }
}

/// They may be used on both sides of a `catch_unwind`, without `AssertUnwindSafe`.
#[test]
fn runtimes_survive_an_unwinding() {
    fn survives<T: UnwindSafe + RefUnwindSafe>() {}
    survives::<Runtime>();
    survives::<LocalRuntime>();
    survives::<Handle>();
    survives::<TcpListener>();
    survives::<TcpStream>();

    let runtime = Builder::new_current_thread().build().unwrap();
    catch_unwind(|| runtime.block_on(async { panic!("in the root future") })).unwrap_err();
    assert_eq!(runtime.block_on(runtime.spawn(async { 42 })).unwrap(), 42);
}

#[test]
fn worker_threads_are_named_and_hooked() {
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (on_start, on_stop) = (Arc::clone(&started), Arc::clone(&stopped));
    let runtime = Builder::new_multi_thread()
        .worker_threads(3)
        .thread_name("spindle")
        .on_thread_start(move || _ = on_start.fetch_add(1, SeqCst))
        .on_thread_stop(move || _ = on_stop.fetch_add(1, SeqCst))
        .build()
        .unwrap();
    let name = runtime.spawn(async { thread::current().name().map(String::from) });
    assert_eq!(runtime.block_on(name).unwrap().as_deref(), Some("spindle"));
    wait_until(|| started.load(SeqCst) == 3);
    assert_eq!(stopped.load(SeqCst), 0);
    drop(runtime);
    assert_eq!((started.load(SeqCst), stopped.load(SeqCst)), (3, 3));
}

/// The threads that were started before are ended again.
#[test]
fn a_name_that_panics_leaves_no_thread() {
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (on_start, on_stop) = (Arc::clone(&started), Arc::clone(&stopped));
    let names = AtomicUsize::new(0);
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(3)
        .thread_name_fn(move || match names.fetch_add(1, SeqCst) {
            0 | 1 => "spindle".into(),
            _ => resume_unwind(Box::new("name")),
        })
        .on_thread_start(move || _ = on_start.fetch_add(1, SeqCst))
        .on_thread_stop(move || _ = on_stop.fetch_add(1, SeqCst));
    catch_unwind(AssertUnwindSafe(|| builder.build())).unwrap_err();
    wait_until(|| (started.load(SeqCst), stopped.load(SeqCst)) == (2, 2));
}

/// Some of its workers have a thread, some have not. Who has its handle must not wait for ever.
#[test]
fn what_is_spawned_on_a_runtime_that_is_not_built_is_cancelled() {
    let (tell, told) = mpsc::channel();
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let spawned = Arc::clone(&tasks);
    // Each foreign thread has its worker; these should reach all of them.
    let spawn_everywhere = |handle: &Handle| -> Vec<_> {
        thread::scope(|scope| {
            let spawners: Vec<_> =
                (0..16).map(|_| scope.spawn(|| handle.spawn(pending::<()>()))).collect();
            spawners.into_iter().map(|spawner| spawner.join().unwrap()).collect()
        })
    };
    let (told, names) = (Mutex::new(told), AtomicUsize::new(0));
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(4)
        .on_thread_start(move || tell.send(Handle::current()).unwrap())
        .thread_name_fn(move || {
            if names.fetch_add(1, SeqCst) == 1 {
                let handle = told.lock().unwrap().recv().unwrap();
                let tasks = spawn_everywhere(&handle);
                *spawned.lock().unwrap() = vec![(handle, tasks)];
                resume_unwind(Box::new("name"));
            }
            "spindle".into()
        });
    catch_unwind(AssertUnwindSafe(|| builder.build())).unwrap_err();
    for (handle, mut tasks) in tasks.lock().unwrap().drain(..) {
        tasks.extend(spawn_everywhere(&handle));
        for task in tasks {
            assert!(handle.block_on(task).unwrap_err().is_cancelled());
        }
    }
}

#[test]
fn a_panicking_hook_is_contained() {
    let hook = || resume_unwind(Box::new("hook"));
    for mut builder in [Builder::new_multi_thread(), Builder::new_current_thread()] {
        let runtime = builder
            .on_thread_start(hook)
            .on_thread_stop(hook)
            .on_thread_park(hook)
            .on_thread_unpark(hook)
            .build()
            .unwrap();
        for _ in 0..10 {
            let (tell, told) = oneshot::channel();
            let thread = thread::spawn(|| {
                thread::sleep(Duration::from_millis(1));
                tell.send(()).unwrap();
            });
            runtime.block_on(async { spawn(told).await.unwrap().unwrap() });
            thread.join().unwrap();
        }
    }
}

/// What the park hook spawns is not forgotten by the thread that is about to sleep.
#[test]
fn a_park_hook_may_spawn() {
    for mut builder in [Builder::new_multi_thread(), Builder::new_current_thread()] {
        let (tell, told) = oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let runtime = builder
            .on_thread_park(move || {
                if let Some(tell) = tell.lock().unwrap().take() {
                    spawn(async { tell.send(5).unwrap() });
                }
            })
            .build()
            .unwrap();
        assert_eq!(runtime.block_on(told).unwrap(), 5);
    }
}

#[test]
fn a_new_runtime_uses_all_cores() {
    let runtime = Runtime::new().unwrap();
    let cores = thread::available_parallelism().unwrap().get();
    if std::env::var_os("JENNY_WORKER_THREADS").is_none() {
        assert_eq!(runtime.metrics().num_workers(), cores);
    }
    assert_eq!(runtime.block_on(async { spawn(async { 1 }).await.unwrap() }), 1);
}
