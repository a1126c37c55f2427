//! The end of a runtime, in whatever state its tasks are.

use std::{
    future::{pending, poll_fn},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use jenny::{
    runtime::{Handle, Runtime},
    sync::oneshot,
    task::{JoinHandle, spawn, yield_now},
};

use crate::support::{Flavour, TestRuntime, on_every_runtime, wait_until};

/// Counts its drops.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn counted(&self) -> Counted {
        Counted(self.clone())
    }
}

struct Counted(Drops);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

/// Blocks this thread, which runs nothing, on what a runtime that is gone has left behind.
fn result_of<T>(gone: &Handle, join: JoinHandle<T>) -> Result<T, jenny::task::JoinError> {
    gone.block_on(join)
}

fn must_be_cancelled<T: std::fmt::Debug>(gone: &Handle, join: JoinHandle<T>) {
    assert!(result_of(gone, join).unwrap_err().is_cancelled());
}

/// A job of the blocking pool that stays in its closure until the sender is dropped.
fn stuck_job(runtime: &TestRuntime) -> (JoinHandle<()>, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let join = runtime.spawn_blocking(move || {
        started.send(()).unwrap();
        released.recv().unwrap_err();
    });
    has_started.recv().unwrap();
    (join, release)
}

on_every_runtime! {
    fn idle_tasks_are_cancelled(flavour: Flavour) {
        let runtime = flavour.build();
        let (handle, drops) = (runtime.handle().clone(), Drops::default());
        let joins = runtime.block_on(async {
            let joins: Vec<_> = (0..100)
                .map(|_| {
                    let held = drops.counted();
                    spawn(async move {
                        let _held = held;
                        pending::<()>().await;
                    })
                })
                .collect();
            for _ in 0..200 {
                yield_now().await;
            }
            joins
        });
        drop(runtime);
        assert_eq!(drops.count(), 100);
        joins.into_iter().for_each(|join| must_be_cancelled(&handle, join));
    }

    /// More than a ring holds, none of which has been polled.
    fn queued_tasks_are_cancelled(flavour: Flavour) {
        const TASKS: usize = 1_000;
        let runtime = flavour.build();
        let (handle, drops, ran) =
            (runtime.handle().clone(), Drops::default(), Arc::new(AtomicUsize::new(0)));
        let occupied = flavour.occupy(&handle);
        let joins: Vec<_> = (0..TASKS)
            .map(|_| {
                let (held, ran) = (drops.counted(), Arc::clone(&ran));
                runtime.spawn(async move {
                    let _held = held;
                    ran.fetch_add(1, SeqCst);
                    pending::<()>().await;
                })
            })
            .collect();
        // The workers are let go when the shutdown has begun.
        let releaser = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            drop(occupied);
        });
        drop(runtime);
        releaser.join().unwrap();
        assert_eq!(drops.count(), TASKS);
        joins.into_iter().for_each(|join| must_be_cancelled(&handle, join));
        if flavour.has_one_thread() {
            assert_eq!(ran.load(SeqCst), 0);
        }
    }

    fn self_waking_tasks_are_cancelled(flavour: Flavour) {
        let runtime = flavour.build();
        let (handle, drops) = (runtime.handle().clone(), Drops::default());
        let joins: Vec<_> = (0..20)
            .map(|_| {
                let held = drops.counted();
                runtime.spawn(async move {
                    let _held = held;
                    loop {
                        yield_now().await;
                    }
                })
            })
            .collect();
        runtime.block_on(async {
            for _ in 0..5 {
                yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!(drops.count(), 20);
        joins.into_iter().for_each(|join| must_be_cancelled::<()>(&handle, join));
    }

    /// The drop of a future spawns, wakes, aborts and drops others.
    fn drops_that_use_the_runtime(flavour: Flavour) {
        struct Busy {
            counted: Counted,
            others: Vec<JoinHandle<()>>,
            waker: Option<Waker>,
        }
        impl Drop for Busy {
            fn drop(&mut self) {
                let held = Counted(self.counted.0.clone());
                let late = spawn(async move {
                    let _held = held;
                    pending::<()>().await;
                });
                late.abort();
                self.others.drain(..).for_each(|other| other.abort());
                self.waker.take().into_iter().for_each(Waker::wake);
            }
        }
        let runtime = flavour.build();
        let drops = Drops::default();
        runtime.block_on(async {
            for _ in 0..50 {
                let mut busy = Busy { counted: drops.counted(), others: Vec::new(), waker: None };
                for _ in 0..3 {
                    let held = drops.counted();
                    busy.others.push(spawn(async move {
                        let _held = held;
                        pending::<()>().await;
                    }));
                }
                spawn(async move {
                    let busy = &mut busy;
                    poll_fn(|context| {
                        busy.waker = Some(context.waker().clone());
                        Poll::<()>::Pending
                    })
                    .await;
                });
            }
            for _ in 0..100 {
                yield_now().await;
            }
        });
        drop(runtime);
        // Each: itself, three others, and the one that its drop spawned.
        assert_eq!(drops.count(), 50 * 5);
    }

    fn a_started_job_is_waited_for_and_a_queued_one_is_not_run(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(1));
        let handle = runtime.handle().clone();
        let (started, release) = stuck_job(&runtime);
        let drops = Drops::default();
        let held = drops.counted();
        let queued = runtime.spawn_blocking(move || drop(held));
        let cancelled = drops.clone();
        let releaser = thread::spawn(move || {
            wait_until(|| cancelled.count() == 1);
            drop(release);
        });
        drop(runtime);
        assert!(started.is_finished());
        releaser.join().unwrap();
        result_of(&handle, started).unwrap();
        must_be_cancelled(&handle, queued);
        assert_eq!(drops.count(), 1);
    }

    fn a_job_that_need_not_wait_for_another_runs(flavour: Flavour) {
        for (jobs, threads) in [(1, 1), (2, 2), (8, 512)] {
            for _ in 0..20 {
                let runtime =
                    flavour.build_with(|builder| builder.max_blocking_threads(threads));
                let handle = runtime.handle().clone();
                let jobs: Vec<_> = (0..jobs).map(|_| runtime.spawn_blocking(|| ())).collect();
                drop(runtime);
                for job in jobs {
                    result_of(&handle, job).unwrap();
                }
            }
        }
    }

    fn a_stuck_job_is_left_behind_after_the_time_out(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let (stuck, release) = stuck_job(&runtime);
        let start = Instant::now();
        runtime.shutdown_timeout(Duration::from_millis(50));
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert!(!stuck.is_finished());
        // It ends as if nothing had happened.
        drop(release);
        result_of(&handle, stuck).unwrap();
    }

    fn who_blocks_on_a_task_elsewhere_hears_of_the_end(flavour: Flavour) {
        let runtime = flavour.build();
        let (handle, task) = (runtime.handle().clone(), runtime.spawn(pending::<()>()));
        let (begun, has_begun) = mpsc::channel();
        let other = thread::spawn(move || {
            handle.block_on(async {
                begun.send(()).unwrap();
                task.await
            })
        });
        has_begun.recv().unwrap();
        drop(runtime);
        assert!(other.join().unwrap().unwrap_err().is_cancelled());
    }

    fn a_time_out_that_is_not_needed_is_not_used(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async { spawn(async {}).await.unwrap() });
        let start = Instant::now();
        runtime.shutdown_timeout(Duration::from_secs(50));
        assert!(start.elapsed() < Duration::from_secs(25));
    }

    fn in_the_background_from_inside(flavour: Flavour) {
        let runtime = flavour.build();
        let (handle, drops) = (runtime.handle().clone(), Drops::default());
        let (stuck, release) = stuck_job(&runtime);
        let held = drops.counted();
        let join = runtime.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        flavour.build().block_on(async move { runtime.shutdown_background() });
        must_be_cancelled(&handle, join);
        wait_until(|| drops.count() == 1);
        assert!(!stuck.is_finished());
        drop(release);
        result_of(&handle, stuck).unwrap();
    }

    fn what_is_spawned_afterwards_is_cancelled(flavour: Flavour) {
        let runtime = flavour.build();
        let (handle, drops) = (runtime.handle().clone(), Drops::default());
        drop(runtime);
        for _ in 0..10 {
            let held = drops.counted();
            must_be_cancelled(&handle, handle.spawn(async move { drop(held) }));
            let held = drops.counted();
            must_be_cancelled(&handle, handle.spawn_blocking(move || drop(held)));
        }
        assert_eq!(drops.count(), 20);
    }

    /// Each thread spawns until it sees the end.
    fn spawning_against_the_shutdown(flavour: Flavour) {
        for _ in 0..20 {
            let runtime = flavour.build();
            let ended = Arc::new(AtomicBool::new(false));
            let drops = Drops::default();
            let spawned = Arc::new(AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..2 {
                    let handle = runtime.handle().clone();
                    let (ended, drops, spawned) = (&ended, &drops, &spawned);
                    scope.spawn(move || {
                        let mut last = false;
                        while !last {
                            last = ended.load(SeqCst);
                            let held = drops.counted();
                            spawned.fetch_add(1, SeqCst);
                            let join = handle.spawn(async move {
                                let _held = held;
                                pending::<()>().await;
                            });
                            if last {
                                must_be_cancelled::<()>(&handle, join);
                            }
                        }
                    });
                }
                wait_until(|| spawned.load(SeqCst) > 20);
                drop(runtime);
                ended.store(true, SeqCst);
            });
            assert_eq!(drops.count(), spawned.load(SeqCst));
        }
    }

    fn wakers_live_on(flavour: Flavour) {
        let runtime = flavour.build();
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let drops = Drops::default();
        runtime.block_on(async {
            for _ in 0..100 {
                let (wakers, held) = (Arc::clone(&wakers), drops.counted());
                spawn(poll_fn(move |context| {
                    let _held = &held;
                    wakers.lock().unwrap().push(context.waker().clone());
                    Poll::<()>::Pending
                }));
            }
            while wakers.lock().unwrap().len() < 100 {
                yield_now().await;
            }
        });
        let mut wakers = std::mem::take(&mut *wakers.lock().unwrap());
        let rest = wakers.split_off(50);
        // Half of them during the shutdown, half of them after it.
        thread::scope(|scope| {
            scope.spawn(|| {
                for waker in wakers {
                    waker.wake_by_ref();
                    waker.wake();
                    thread::yield_now();
                }
            });
            drop(runtime);
        });
        assert_eq!(drops.count(), 100);
        for waker in rest {
            Waker::wake(waker.clone());
            waker.wake_by_ref();
        }
        assert_eq!(drops.count(), 100);
    }
}

/// Its worker is in a poll that does not return.
#[test]
fn a_stuck_poll_is_left_behind_after_the_time_out() {
    let runtime = Flavour::OneWorker.build();
    let handle = runtime.handle().clone();
    let occupied = Flavour::OneWorker.occupy(&handle);
    let queued = runtime.spawn(pending::<()>());
    let start = Instant::now();
    runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(!queued.is_finished());
    drop(occupied);
    must_be_cancelled(&handle, queued);
}

#[test]
fn a_task_ends_its_own_runtime() {
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        let runtime = flavour.build_shared();
        let handle = runtime.handle().clone();
        let (give, take) = oneshot::channel::<Runtime>();
        let join = runtime.spawn(async move {
            take.await.unwrap().shutdown_background();
            5
        });
        give.send(runtime).unwrap();
        assert_eq!(result_of(&handle, join).unwrap(), 5, "its poll goes on to the end");
    }
}

/// A worker takes in a long inbox a part at a time; the end comes when it has begun.
#[test]
fn a_long_inbox_is_cancelled_to_its_last_task() {
    const TASKS: usize = 20_000;
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        let runtime = flavour.build_with(|builder| builder.event_interval(1));
        let handle = runtime.handle().clone();
        let drops = Drops::default();
        let (spawned, all_spawned) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        runtime.spawn(async move {
            all_spawned.recv().unwrap();
            // With one task per tick the worker has looked into its inbox meanwhile.
            for _ in 0..3 {
                yield_now().await;
            }
            begun.send(()).unwrap();
            stopped.recv().unwrap();
        });
        for _ in 0..TASKS {
            let held = drops.counted();
            handle.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
        }
        spawned.send(()).unwrap();
        has_begun.recv().unwrap();
        runtime.shutdown_background();
        stop.send(()).unwrap();
        wait_until(|| drops.count() == TASKS);
    }
}

#[test]
fn no_thread_outlives_the_drop() {
    let stopped = Arc::new(AtomicUsize::new(0));
    let on_stop = Arc::clone(&stopped);
    let runtime = Flavour::FourWorkers
        .build_with(|builder| builder.on_thread_stop(move || _ = on_stop.fetch_add(1, SeqCst)));
    let jobs = (0..3).map(|_| runtime.spawn_blocking(|| ())).collect::<Vec<_>>();
    runtime.block_on(async {
        for job in jobs {
            job.await.unwrap();
        }
    });
    let pool = runtime.metrics().num_blocking_threads();
    drop(runtime);
    assert_eq!(stopped.load(SeqCst), 4 + pool);
}
