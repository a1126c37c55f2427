//! A task that blocks keeps nobody waiting but itself.

use std::{
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::{block_in_place, spawn, spawn_blocking, yield_now},
    time::sleep,
};

use crate::support::{Flavour, wait_until, within_a_minute};

fn on_multi_thread(test: impl Fn(Flavour) + Clone + Send + 'static) {
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        let test = test.clone();
        within_a_minute(move || test(flavour));
    }
}

#[test]
fn what_is_queued_behind_it_runs_meanwhile() {
    on_multi_thread(|flavour| {
        flavour.build().block_on(async {
            spawn(async {
                let (sender, receiver) = mpsc::channel();
                let tasks: Vec<_> = (0..1000)
                    .map(|_| {
                        let sender = sender.clone();
                        spawn(async move {
                            yield_now().await;
                            sender.send(()).unwrap();
                        })
                    })
                    .collect();
                drop(sender);
                // Ends when all have run, and with one worker only another thread can run them.
                assert_eq!(block_in_place(|| receiver.iter().count()), 1000);
                for task in tasks {
                    task.await.unwrap();
                }
            })
            .await
            .unwrap();
        });
    });
}

#[test]
fn the_driver_goes_on() {
    on_multi_thread(|flavour| {
        flavour.build().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let echo = spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                stream.write_all(&byte).await.unwrap();
            });
            spawn(async move {
                block_in_place(|| {
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    stream.write_all(b"j").unwrap();
                    let mut answer = [0];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(&answer, b"j");
                });
            })
            .await
            .unwrap();
            echo.await.unwrap();
        });
    });
}

#[test]
fn it_blocks_on_futures_and_nests() {
    on_multi_thread(|flavour| {
        let answer = flavour.build().block_on(async {
            spawn(async {
                let handle = Handle::current();
                block_in_place(|| {
                    let six = handle.block_on(async {
                        yield_now().await;
                        block_in_place(|| block_in_place(|| 6))
                    });
                    let seven = handle.block_on(async { spawn(async { 7 }).await.unwrap() });
                    six * seven
                })
            })
            .await
            .unwrap()
        });
        assert_eq!(answer, 42);
    });
}

#[test]
fn it_is_a_call_where_nothing_can_be_handed_off() {
    assert_eq!(block_in_place(|| 1), 1, "outside of a runtime");
    on_multi_thread(|flavour| {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let two = block_in_place(|| handle.block_on(async { 2 }));
            assert_eq!(two, 2, "in the future of `block_on`");
            let three = spawn_blocking(|| block_in_place(|| 3)).await.unwrap();
            assert_eq!(three, 3, "on the pool");
        });
    });
}

#[test]
fn the_task_goes_on_as_a_task() {
    on_multi_thread(|flavour| {
        flavour.build().block_on(async {
            let tasks: Vec<_> = (0..50)
                .map(|number| {
                    spawn(async move {
                        let id = jenny::task::id();
                        for _ in 0..5 {
                            block_in_place(thread::yield_now);
                            assert_eq!(jenny::task::id(), id);
                            let child = spawn(async move { number });
                            yield_now().await;
                            assert_eq!(child.await.unwrap(), number);
                        }
                        number
                    })
                })
                .collect();
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), number);
            }
        });
    });
}

#[test]
fn all_workers_block_at_once() {
    within_a_minute(|| {
        let runtime = Flavour::FourWorkers.build();
        runtime.block_on(async {
            // More than there are workers: each needs the worker that another one gave away.
            let together = Arc::new(Barrier::new(16));
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let together = Arc::clone(&together);
                    spawn(async move { block_in_place(|| together.wait().is_leader()) })
                })
                .collect();
            let mut leaders = 0;
            for task in tasks {
                leaders += usize::from(task.await.unwrap());
            }
            assert_eq!(leaders, 1);
        });
    });
}

#[test]
fn a_panic_is_the_tasks_and_the_worker_survives() {
    on_multi_thread(|flavour| {
        flavour.build().block_on(async {
            for _ in 0..20 {
                let error = spawn(async { block_in_place(|| panic!("planned")) }).await;
                assert!(error.unwrap_err().is_panic());
                spawn(async {
                    let caught = catch_unwind(AssertUnwindSafe(|| {
                        block_in_place(|| panic!("planned"));
                    }));
                    assert!(caught.is_err());
                    yield_now().await;
                })
                .await
                .unwrap();
            }
        });
    });
}

/// Its timer is in the wheel of a worker, which needs a thread, too.
#[test]
fn it_waits_for_a_timer_after_a_shutdown_that_waits_for_nobody() {
    on_multi_thread(|flavour| {
        let runtime = flavour.build_shared();
        let (go, may_go) = mpsc::channel();
        let (polled, is_polled) = mpsc::channel();
        let task = runtime.spawn(async move {
            polled.send(()).unwrap();
            may_go.recv().unwrap();
            let handle = Handle::current();
            block_in_place(|| {
                handle.block_on(jenny::time::sleep(Duration::from_millis(5)));
            });
        });
        is_polled.recv().unwrap();
        runtime.shutdown_background();
        go.send(()).unwrap();
        wait_until(|| task.is_finished());
    });
}

/// A multi-thread runtime whose pool gets no thread, for want of a name.
fn without_pool_threads(flavour: Flavour) -> Runtime {
    let (named, workers) = (AtomicUsize::new(0), flavour.workers());
    let mut builder = flavour.builder();
    builder.thread_name_fn(move || {
        let number = named.fetch_add(1, Ordering::Relaxed);
        assert!(number < workers, "planned");
        number.to_string()
    });
    builder.build().unwrap()
}

#[test]
fn a_worker_without_another_thread_waits_for_its_own() {
    on_multi_thread(|flavour| {
        without_pool_threads(flavour).block_on(async {
            let task = spawn(async {
                let child = spawn(yield_now());
                assert_eq!(block_in_place(|| 1), 1);
                child.await.unwrap();
            });
            task.await.unwrap();
        });
    });
}

#[test]
fn a_worker_without_another_thread_survives_a_panic() {
    on_multi_thread(|flavour| {
        let runtime = without_pool_threads(flavour);
        let child = runtime.block_on(async {
            spawn(async {
                // Bound to this very worker, or to one that lives on anyway.
                let child = spawn(std::future::pending::<()>());
                yield_now().await;
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    block_in_place(|| panic!("planned"));
                }));
                assert!(caught.is_err());
                child.abort_handle()
            })
            .await
        });
        // The shutdown ends only when each worker has cancelled what is bound to it.
        drop(runtime);
        assert!(child.unwrap().is_finished());
    });
}

#[test]
fn shutdowns_wait_for_it_or_do_not() {
    on_multi_thread(|flavour| {
        let start = |runtime: &Runtime| {
            let (entered, is_entered) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let task = runtime.spawn(async move {
                block_in_place(|| {
                    entered.send(()).unwrap();
                    let _ = released.recv();
                });
                std::future::pending::<()>().await;
            });
            is_entered.recv().unwrap();
            (task, release)
        };

        let runtime = flavour.build_shared();
        let (task, release) = start(&runtime);
        runtime.shutdown_timeout(Duration::from_millis(10));
        assert!(!task.is_finished());
        drop(release);
        wait_until(|| task.is_finished());

        let runtime = flavour.build_shared();
        let (task, release) = start(&runtime);
        runtime.shutdown_background();
        drop(release);
        wait_until(|| task.is_finished());

        let runtime = flavour.build_shared();
        let (task, release) = start(&runtime);
        let waits = thread::spawn(move || drop(runtime));
        assert!(!task.is_finished());
        drop(release);
        waits.join().unwrap();
        assert!(task.is_finished());
    });
}

#[test]
fn after_a_shutdown_its_worker_still_cancels_what_it_waits_for() {
    on_multi_thread(|flavour| {
        let runtime = flavour.build_shared();
        let handle = runtime.handle().clone();
        let (entered, is_entered) = mpsc::channel();
        let (shut_down, is_shut_down) = mpsc::channel();
        let task = runtime.spawn(async move {
            let neighbour = spawn(std::future::pending::<()>());
            entered.send(()).unwrap();
            is_shut_down.recv().unwrap();
            block_in_place(|| handle.block_on(neighbour)).unwrap_err().is_cancelled()
        });
        is_entered.recv().unwrap();
        // Waits neither for the worker nor for the pool, which takes nothing more.
        runtime.shutdown_background();
        shut_down.send(()).unwrap();
        wait_until(|| task.is_finished());
        // The task itself was in a poll, and finishes it.
        assert!(Flavour::CurrentThread.build().block_on(task).unwrap());
    });
}

#[test]
fn a_runtime_is_dropped_on_its_own_thread() {
    on_multi_thread(|flavour| {
        let runtime = flavour.build_shared();
        let handle = runtime.handle().clone();
        let (done, is_done) = mpsc::channel();
        handle.spawn(async move {
            block_in_place(|| drop(runtime));
            done.send(()).unwrap();
        });
        is_done.recv().unwrap();
    });
}

/// Nobody calls anything: the task just does not return.
#[test]
fn a_stuck_worker_keeps_neither_its_next_task_nor_the_driver() {
    within_a_minute(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            // The other worker is woken all the time, so it looks around in passing or not at all.
            let ticker = spawn(async {
                loop {
                    sleep(Duration::from_millis(1)).await;
                }
            });
            for _ in 0..20 {
                let (woken, is_woken) = oneshot::channel();
                let (result, passed) = mpsc::channel();
                let waits = spawn(async move {
                    is_woken.await.unwrap();
                    result.send(()).unwrap();
                });
                yield_now().await;
                let stuck = spawn(async move {
                    // Next on this very worker, in the slot that no thief looks into.
                    woken.send(()).unwrap();
                    passed.recv_timeout(Duration::from_secs(20)).unwrap();
                });
                let accept = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.unwrap();
                    byte[0]
                };
                let client = thread::spawn(move || {
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    stream.write_all(b"j").unwrap();
                });
                assert_eq!(accept.await, b'j');
                stuck.await.unwrap();
                waits.await.unwrap();
                client.join().unwrap();
            }
            ticker.abort();
        });
        let rescues = runtime.metrics().rescued_tasks_count();
        assert!((1..100).contains(&rescues), "{rescues} tasks were rescued");
    });
}
