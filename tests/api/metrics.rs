//! The numbers of a runtime, against what was done to it.

use std::{
    collections::HashSet,
    future::pending,
    hint,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, HistogramConfiguration, LogHistogram, RuntimeMetrics},
    sync::oneshot,
    task::{LocalSet, block_in_place, consume_budget, spawn, spawn_blocking, yield_now},
};

use crate::support::{Flavour, on_every_runtime, wait_until, within_a_minute};

/// A number of all workers together.
fn total(metrics: &RuntimeMetrics, number: impl Fn(&RuntimeMetrics, usize) -> u64) -> u64 {
    (0..metrics.num_workers()).map(|worker| number(metrics, worker)).sum()
}

fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

on_every_runtime! {
    fn every_poll_is_counted(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let polls = || total(&metrics, RuntimeMetrics::worker_poll_count);
        assert_eq!(polls(), 0);
        runtime.block_on(async {
            spawn(async {
                for _ in 0..1_000 {
                    yield_now().await;
                }
            })
            .await
            .unwrap();
        });
        assert_eq!(polls(), 1_001);
        assert_eq!(metrics.spawned_tasks_count(), 1);
        if flavour.workers() == 1 {
            assert_eq!(metrics.rescued_tasks_count(), 0, "there is nobody to rescue it");
        }
        wait_until(|| metrics.num_alive_tasks() == 0);
    }

    fn tasks_are_counted_from_the_spawn_to_the_end(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        {
            let _occupied = flavour.occupy(runtime.handle());
            let occupants = metrics.num_alive_tasks();
            // Nobody can have taken them up.
            let waiting: Vec<_> = (0..50).map(|_| runtime.spawn(pending::<()>())).collect();
            #[allow(deprecated)]
            let old_name = metrics.active_tasks_count();
            assert_eq!((metrics.num_alive_tasks(), old_name), (occupants + 50, occupants + 50));
            assert_eq!(metrics.spawned_tasks_count(), occupants as u64 + 50);
            waiting.into_iter().for_each(|task| task.abort());
        }
        runtime.block_on(async { spawn(yield_now()).await.unwrap() });
        drop(runtime);
        assert_eq!(metrics.num_alive_tasks(), 0, "cancelled, never polled, or finished: all ended");
    }

    fn what_comes_from_outside_is_counted_and_waits_in_an_inbox(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let (wake, woken) = oneshot::channel();
        let sleeper = runtime.spawn(woken);
        if flavour.has_one_thread() {
            runtime.block_on(yield_now());
        }
        wait_until(|| total(&metrics, RuntimeMetrics::worker_poll_count) == 1);
        assert_eq!((metrics.remote_schedule_count(), metrics.global_queue_depth()), (1, 0));
        {
            let _occupied = flavour.occupy(runtime.handle());
            let before = metrics.remote_schedule_count();
            let (others, depth) = (metrics.spawned_tasks_count(), metrics.global_queue_depth());
            assert_eq!((before, depth), (others, 0), "only spawns so far, and all are running");
            for _ in 0..20 {
                drop(runtime.spawn(async {}));
            }
            wake.send(()).unwrap();
            assert_eq!(metrics.remote_schedule_count(), before + 21);
            #[allow(deprecated)]
            let old_name = metrics.injection_queue_depth();
            assert_eq!((metrics.global_queue_depth(), old_name), (21, 21));
        }
        runtime.block_on(sleeper).unwrap().unwrap();
        wait_until(|| {
            if flavour.has_one_thread() {
                runtime.block_on(yield_now());
            }
            metrics.global_queue_depth() == 0
        });
    }

    fn local_work_is_counted_where_it_is_done(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let of = metrics.clone();
        let depth = runtime.block_on(async move {
            spawn(async move {
                let before = total(&of, RuntimeMetrics::worker_local_schedule_count);
                // More than fit a ring; a current-thread runtime has none.
                (0..1_000).for_each(|_| drop(spawn(async {})));
                assert_eq!(total(&of, RuntimeMetrics::worker_local_schedule_count) - before, 1_000);
                (0..of.num_workers()).map(|worker| of.worker_local_queue_depth(worker)).sum::<usize>()
            })
            .await
            .unwrap()
        });
        let overflows = total(&metrics, RuntimeMetrics::worker_overflow_count);
        match flavour {
            // The wakes of the `block_on` future are no tasks, and the task itself runs.
            Flavour::CurrentThread | Flavour::Local => assert_eq!((depth, overflows), (1_000, 0)),
            // One is in the LIFO slot, the ring takes 256.
            Flavour::OneWorker => assert_eq!((depth, overflows), (999, 999 - 256)),
            // Thieves may have been at work.
            Flavour::FourWorkers => assert!(depth <= 999 && overflows <= 999 - 256),
        }
        assert_eq!(total(&metrics, RuntimeMetrics::worker_spawn_count), 1_000 + u64::from(
            // The task that spawned the others was spawned on the worker itself.
            flavour.has_one_thread(),
        ));
        assert_eq!(metrics.spawned_tasks_count(), 1_001);
    }

    fn a_thief_counts_its_tasks_and_its_thefts(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        // The first task's worker stays in its poll until another one has run all the others but the
        // last, which is in the LIFO slot.
        let of = metrics.clone();
        let stolen = runtime.block_on(async move {
            spawn(async move {
                if of.num_workers() == 1 {
                    return 0;
                }
                let (sender, receiver) = mpsc::channel();
                for _ in 0..101 {
                    let sender = sender.clone();
                    drop(spawn(async move { sender.send(()).unwrap() }));
                }
                receiver.iter().take(100).count()
            })
            .await
            .unwrap()
        });
        let steals = total(&metrics, RuntimeMetrics::worker_steal_count);
        let operations = total(&metrics, RuntimeMetrics::worker_steal_operations);
        assert!(steals >= stolen as u64, "{steals} stolen in {operations} thefts");
        assert!(operations <= steals && (operations > 0) == (stolen > 0));
    }

    fn a_flood_of_yields_forced_by_the_budget_is_counted(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        runtime.block_on(async {
            // 128 units a poll: nine polls have to stop, the tenth uses up its own and ends.
            let greedy = spawn(async {
                for _ in 0..1_280 {
                    consume_budget().await;
                }
            });
            greedy.await.unwrap();
        });
        assert_eq!(metrics.budget_forced_yield_count(), 9);
    }

    /// Also where the thread in `block_on` runs no tasks, or a set on behalf of the future.
    fn yields_of_a_root_future_are_counted(flavour: Flavour) {
        let greedy = async || {
            for _ in 0..1_280 {
                consume_budget().await;
            }
        };
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        runtime.block_on(greedy());
        assert_eq!(metrics.budget_forced_yield_count(), 9);
        runtime.handle().block_on(greedy());
        assert_eq!(metrics.budget_forced_yield_count(), 18);
        runtime.block_on(LocalSet::new().run_until(greedy()));
        assert_eq!(metrics.budget_forced_yield_count(), 27);
    }

    fn sleep_is_not_busy_time(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let workers = 0..metrics.num_workers();
        let start = Instant::now();
        // Long enough to be seen. Whoever is not parked is busy.
        let work = Duration::from_millis(30);
        runtime.block_on(async move { spawn(async move { spin(work) }).await.unwrap() });
        let busy = |worker| metrics.worker_total_busy_duration(worker);
        assert!(workers.clone().map(busy).sum::<Duration>() >= work);
        for worker in workers.clone() {
            if !flavour.has_one_thread() {
                wait_until(|| metrics.worker_park_unpark_count(worker) % 2 == 1);
            }
            let before = busy(worker);
            thread::sleep(Duration::from_millis(5));
            assert_eq!(busy(worker), before, "asleep, or nobody is in `block_on`");
            assert!(before <= start.elapsed());
        }
    }

    fn parks_are_counted_on_both_sides(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let both = || total(&metrics, RuntimeMetrics::worker_park_unpark_count);
        for _ in 0..10 {
            let (parks, before) = (total(&metrics, RuntimeMetrics::worker_park_count), both());
            let polls = total(&metrics, RuntimeMetrics::worker_poll_count);
            let (sender, receiver) = oneshot::channel();
            let task = runtime.spawn(receiver);
            let waker = {
                let metrics = metrics.clone();
                thread::spawn(move || {
                    // Once the task waits and everybody sleeps, one is woken.
                    wait_until(|| {
                        total(&metrics, RuntimeMetrics::worker_poll_count) > polls
                    });
                    wait_until(|| {
                        (0..metrics.num_workers())
                            .all(|worker| metrics.worker_park_unpark_count(worker) % 2 == 1)
                    });
                    sender.send(()).unwrap();
                })
            };
            runtime.block_on(task).unwrap().unwrap();
            waker.join().unwrap();
            let parked = total(&metrics, RuntimeMetrics::worker_park_count);
            assert!(parked > parks && both() > before);
        }
    }

    fn a_wake_without_work_is_counted(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let noops = || total(&metrics, RuntimeMetrics::worker_noop_count);
        runtime.block_on(async {
            // Wakes a sleeper, or the sleeper inside the driver, for a resource that no task waits for.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let before = noops();
            let (sender, receiver) = oneshot::channel();
            let connector = thread::spawn({
                let metrics = metrics.clone();
                move || {
                    wait_until(|| {
                        drop(std::net::TcpStream::connect(address).unwrap());
                        total(&metrics, RuntimeMetrics::worker_noop_count) > before
                    });
                    sender.send(()).unwrap();
                }
            });
            receiver.await.unwrap();
            connector.join().unwrap();
            assert!(noops() > before);
        });
    }

    fn a_worker_names_its_thread(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let threads = || -> HashSet<_> {
            (0..metrics.num_workers()).filter_map(|worker| metrics.worker_thread_id(worker)).collect()
        };
        if flavour.has_one_thread() {
            assert!(threads().is_empty(), "nobody is in `block_on`");
        } else {
            wait_until(|| threads().len() == flavour.workers());
        }
        let ran_on = runtime.block_on(async { spawn(async { thread::current().id() }).await.unwrap() });
        assert!(threads().contains(&ran_on));
    }

    fn the_histogram_counts_every_poll_once(flavour: Flavour) {
        let configuration = HistogramConfiguration::linear(Duration::from_millis(2), 3);
        let runtime = flavour.build_with(|builder| builder
            .enable_metrics_poll_time_histogram()
            .metrics_poll_time_histogram_configuration(configuration));
        let metrics = runtime.metrics();
        assert!(metrics.poll_time_histogram_enabled());
        assert_eq!(metrics.poll_time_histogram_num_buckets(), 3);
        let second = metrics.poll_time_histogram_bucket_range(1);
        assert_eq!(second, Duration::from_millis(2)..Duration::from_millis(4));
        runtime.block_on(async {
            let quick = spawn(async {
                for _ in 0..99 {
                    yield_now().await;
                }
            });
            quick.await.unwrap();
            spawn(async { spin(Duration::from_millis(4)) }).await.unwrap();
        });
        let bucket = |bucket| {
            total(&metrics, |metrics, worker| {
                metrics.poll_time_histogram_bucket_count(worker, bucket)
            })
        };
        wait_until(|| (0..3).map(bucket).sum::<u64>() == 101);
        assert_eq!(total(&metrics, RuntimeMetrics::worker_poll_count), 101);
        // A machine that is busy elsewhere makes polls longer, never shorter.
        assert!(bucket(2) >= 1, "4 ms fall into the last bucket");
        assert!(bucket(0) >= 50, "most yields take less than 2 ms");
    }

    fn a_poll_is_timed_though_its_hook_panics(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| {
            builder
                .enable_metrics_poll_time_histogram()
                .on_before_task_poll(|_| resume_unwind(Box::new("expected")))
        });
        let metrics = runtime.metrics();
        runtime.block_on(async { spawn(async {}).await.unwrap() });
        let buckets = 0..metrics.poll_time_histogram_num_buckets();
        let polls = |bucket| {
            total(&metrics, |of, worker| of.poll_time_histogram_bucket_count(worker, bucket))
        };
        wait_until(|| buckets.clone().map(polls).sum::<u64>() == 1);
    }

    #[allow(deprecated)]
    fn the_histogram_has_old_names(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.enable_metrics_poll_count_histogram());
        let metrics = runtime.metrics();
        assert!(metrics.poll_count_histogram_enabled());
        let buckets = metrics.poll_count_histogram_num_buckets();
        assert_eq!(buckets, metrics.poll_time_histogram_num_buckets());
        for bucket in 0..buckets {
            let range = metrics.poll_count_histogram_bucket_range(bucket);
            assert_eq!(range, metrics.poll_time_histogram_bucket_range(bucket));
        }
        runtime.block_on(async { spawn(async {}).await.unwrap() });
        let polls = |bucket| {
            total(&metrics, |of, worker| of.poll_count_histogram_bucket_count(worker, bucket))
        };
        wait_until(|| (0..buckets).map(polls).sum::<u64>() == 1);
    }

    #[allow(deprecated)]
    fn without_a_histogram_there_are_no_buckets(flavour: Flavour) {
        let metrics = flavour.build().metrics();
        assert!(!metrics.poll_count_histogram_enabled());
        assert_eq!(metrics.poll_count_histogram_bucket_count(0, 0), 0);
        assert!(!metrics.poll_time_histogram_enabled());
        assert_eq!(metrics.poll_time_histogram_num_buckets(), 0);
        assert_eq!(metrics.poll_time_histogram_bucket_count(0, 0), 0);
    }

    fn the_mean_poll_time_follows_the_polls(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let mean = || {
            let workers = 0..metrics.num_workers();
            workers.map(|worker| metrics.worker_mean_poll_time(worker)).max().unwrap()
        };
        assert_eq!(mean(), Duration::ZERO);
        runtime.block_on(async {
            spawn(async {
                for _ in 0..200 {
                    spin(Duration::from_micros(200));
                    yield_now().await;
                }
            })
            .await
            .unwrap();
        });
        // The average is taken when a tick is over.
        assert!(mean() >= Duration::from_micros(190), "{:?}", mean());
    }

    fn sockets_are_counted_when_they_come_and_go(flavour: Flavour) {
        let runtime = flavour.build();
        let metrics = runtime.metrics();
        let counts =
            || (metrics.io_driver_fd_registered_count(), metrics.io_driver_fd_deregistered_count());
        assert_eq!((counts(), metrics.io_driver_ready_count()), ((0, 0), 0));
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            assert_eq!(counts(), (1, 0));
            let (connected, accepted) =
                jenny::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
            let (mut client, (mut server, _)) = (connected.unwrap(), accepted.unwrap());
            assert_eq!(counts(), (3, 0));
            client.write_all(b"ready").await.unwrap();
            drop(client);
            assert_eq!(counts(), (3, 1));
            assert_eq!(server.read_to_end(&mut Vec::new()).await.unwrap(), 5);
        });
        assert_eq!(counts(), (3, 3));
        assert!(metrics.io_driver_ready_count() >= 2, "accepted, readable");
    }

    fn the_pool_counts_its_threads_and_its_jobs(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(2));
        let metrics = runtime.metrics();
        let (release, held) = mpsc::channel::<()>();
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        let jobs: Vec<_> = {
            let _entered = runtime.enter();
            (0..5)
                .map(|_| {
                    let held = std::sync::Arc::clone(&held);
                    spawn_blocking(move || held.lock().unwrap().recv().unwrap_err())
                })
                .collect()
        };
        wait_until(|| (metrics.num_blocking_threads(), metrics.blocking_queue_depth()) == (2, 3));
        assert_eq!(metrics.num_idle_blocking_threads(), 0);
        drop(release);
        for job in jobs {
            runtime.block_on(job).unwrap();
        }
        wait_until(|| metrics.num_idle_blocking_threads() == 2);
        assert_eq!(metrics.blocking_queue_depth(), 0);
    }
}

/// A task that ends on a thread whose worker goes on elsewhere has ended all the same.
#[test]
fn ends_beside_a_worker_are_counted() {
    for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
        within_a_minute(move || {
            let runtime = flavour.build();
            let metrics = runtime.metrics();
            runtime.block_on(async {
                let task = spawn(async {
                    let (run, has_run) = mpsc::channel();
                    drop(spawn(async move { run.send(()).unwrap() }));
                    // With one worker, only another thread can run it.
                    block_in_place(|| has_run.recv().unwrap());
                });
                task.await.unwrap();
            });
            assert_eq!(metrics.spawned_tasks_count(), 2);
            wait_until(|| metrics.num_alive_tasks() == 0);
        });
    }
}

#[test]
fn a_log_histogram_can_be_asked_for() {
    let log = LogHistogram::builder().max_buckets(200).unwrap();
    let runtime = jenny::runtime::Builder::new_current_thread()
        .enable_metrics_poll_time_histogram()
        .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(log))
        .build()
        .unwrap();
    assert_eq!(runtime.metrics().poll_time_histogram_num_buckets(), 119);
}

#[test]
#[allow(deprecated)]
fn the_old_description_of_a_histogram_still_works() {
    let runtime = jenny::runtime::Builder::new_current_thread()
        .enable_metrics_poll_time_histogram()
        .metrics_poll_count_histogram_scale(jenny::runtime::HistogramScale::Log)
        .metrics_poll_count_histogram_resolution(Duration::from_nanos(64))
        .metrics_poll_count_histogram_buckets(15)
        .build()
        .unwrap();
    let metrics = runtime.metrics();
    assert_eq!(metrics.poll_time_histogram_num_buckets(), 15);
    let third = metrics.poll_time_histogram_bucket_range(2);
    assert_eq!(third, Duration::from_nanos(128)..Duration::from_nanos(256));
}

#[test]
fn a_task_that_is_not_alive_any_more_has_finished() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let metrics = runtime.metrics();
    for _ in 0..2_000 {
        let phase = Arc::new(AtomicUsize::new(0));
        let its = Arc::clone(&phase);
        let join = runtime.spawn(async move {
            its.store(1, SeqCst);
            while its.load(SeqCst) < 2 {
                hint::spin_loop();
            }
        });
        while phase.load(SeqCst) == 0 {
            hint::spin_loop();
        }
        phase.store(2, SeqCst);
        while metrics.num_alive_tasks() > 0 {
            hint::spin_loop();
        }
        assert!(join.is_finished());
    }
}
