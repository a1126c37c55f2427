//! `Handle::dump` lists every live task, whatever the workers are doing.

use std::{
    collections::HashSet,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use jenny::{
    runtime::{Dump, TaskState},
    task::{self, Id, spawn, yield_now},
};

use crate::support::{Flavour, on_every_runtime, within_a_minute};

/// The ids in a dump; fails if one is listed twice.
fn ids(dump: &Dump) -> HashSet<Id> {
    let mut ids = HashSet::new();
    for task in dump.tasks().iter() {
        assert!(ids.insert(task.id()), "{task:?} is listed twice");
    }
    ids
}

on_every_runtime! {
    fn every_live_task_is_listed_with_what_is_known_of_it(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let named = task::Builder::new().name("weaver").spawn(pending::<()>()).unwrap();
            let line = line!() - 1;
            let plain = spawn(pending::<()>());
            // Idle from its first poll on.
            while runtime.metrics().worker_poll_count(0) == 0 && flavour.workers() == 1 {
                yield_now().await;
            }
            let done = spawn(async {});
            done.await.unwrap();
            let dump = handle.dump().await;
            assert_eq!(dump.silent_workers().count(), 0);
            assert_eq!(ids(&dump), HashSet::from([named.id(), plain.id()]));
            let task = dump.tasks().iter().find(|task| task.id() == named.id()).unwrap();
            assert_eq!(task.name(), Some("weaver"));
            assert_eq!((task.spawned_at().file(), task.spawned_at().line()), (file!(), line));
            let text = dump.to_string();
            let line = format!("task {} \"weaver\": {:?}, spawned at ", named.id(), task.state());
            assert!(text.contains(&line), "{text}");
        });
    }

    fn tasks_that_nobody_has_polled_are_listed(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let tasks: HashSet<_> = {
            let _occupied = flavour.occupy(&handle);
            (0..1_000).map(|_| runtime.spawn(pending::<()>()).id()).collect()
        };
        let dump = runtime.block_on(handle.dump());
        assert_eq!(dump.silent_workers().count(), 0);
        assert!(tasks.is_subset(&ids(&dump)));
    }

    fn an_aborted_task_is_being_cancelled_or_gone(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let task = runtime.spawn(pending::<()>());
        task.abort();
        let dump = runtime.block_on(handle.dump());
        for listed in dump.tasks().iter() {
            assert_eq!((listed.id(), listed.state()), (task.id(), TaskState::Cancelling));
        }
    }

    fn a_stuck_worker_is_left_out_and_named(flavour: Flavour) {
        let runtime = flavour.build();
        let stuck = flavour.occupy(runtime.handle());
        let start = Instant::now();
        // From a thread that is nobody's; on a current-thread runtime nobody is in `block_on`.
        let dump = runtime.handle().block_on(runtime.handle().dump());
        assert!(start.elapsed() < Duration::from_secs(30), "it waits a bounded time");
        assert_eq!(dump.silent_workers().count(), flavour.workers());
        for (worker, silent) in dump.silent_workers().enumerate() {
            assert_eq!(silent.worker(), worker);
            assert_eq!(silent.running().is_some(), !flavour.has_one_thread());
        }
        assert_eq!(dump.tasks().iter().count(), 0);
        drop(stuck);
        let handle = runtime.handle().clone();
        assert_eq!(runtime.block_on(handle.dump()).silent_workers().count(), 0);
    }

    fn dumps_while_tasks_come_and_go_miss_none_that_stays(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let over = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let mut staying = HashSet::new();
            for _ in 0..4 {
                let over = Arc::clone(&over);
                let churn = spawn(async move {
                    while !over.load(SeqCst) {
                        let short = spawn(yield_now());
                        spawn(pending::<()>()).abort();
                        short.await.unwrap();
                    }
                });
                staying.insert(churn.id());
            }
            for round in 0..20 {
                // From outside, so that they come through the inboxes.
                let spawner = handle.clone();
                let new = thread::spawn(move || {
                    (0..20).map(|_| spawner.spawn(pending::<()>()).id()).collect::<Vec<_>>()
                });
                staying.extend(new.join().unwrap());
                let dump = handle.dump().await;
                let silent: Vec<_> = dump.silent_workers().collect();
                // A machine with little time for us may keep a worker from its answer.
                if silent.is_empty() {
                    let listed = ids(&dump);
                    let missing: Vec<_> = staying.difference(&listed).collect();
                    assert!(missing.is_empty(), "round {round}: {missing:?}");
                }
            }
            over.store(true, SeqCst);
        });
    }

    fn dumps_meet_the_shutdown(flavour: Flavour) {
        for _ in 0..20 {
            let runtime = flavour.build();
            (0..50).for_each(|_| drop(runtime.spawn(pending::<()>())));
            let handle = runtime.handle().clone();
            let (started, is_started) = mpsc::channel();
            let dumper = thread::spawn(move || {
                let others = watcher();
                others.block_on(async {
                    started.send(()).unwrap();
                    for _ in 0..3 {
                        let _: usize = ids(&handle.dump().await).len();
                    }
                });
                others.block_on(handle.dump())
            });
            is_started.recv().unwrap();
            drop(runtime);
            let after = dumper.join().unwrap();
            assert!(ids(&after).len() <= 50);
        }
    }

    fn after_the_shutdown_there_is_nothing_to_list(flavour: Flavour) {
        let runtime = flavour.build();
        drop(runtime.spawn(pending::<()>()));
        let handle = runtime.handle().clone();
        drop(runtime);
        let dump = handle.block_on(handle.dump());
        assert_eq!((dump.tasks().iter().count(), dump.silent_workers().count()), (0, 0));
    }

    fn blocking_jobs_are_listed_while_they_run(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(2));
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let held = Arc::new(std::sync::Mutex::new(held));
            let (begun, has_begun) = mpsc::channel();
            let job = || {
                let (begun, held) = (begun.clone(), Arc::clone(&held));
                move || {
                    begun.send(()).unwrap();
                    held.lock().unwrap().recv().unwrap();
                }
            };
            let named = task::Builder::new().name("mill").spawn_blocking(job()).unwrap();
            let line = line!() - 1;
            let plain = task::spawn_blocking(job());
            (0..2).for_each(|_| has_begun.recv().unwrap());
            let waiting = task::spawn_blocking(job());
            let dump = handle.dump().await;
            let mut jobs: Vec<_> = dump.blocking().collect();
            jobs.sort_unstable_by_key(|job| job.id());
            assert_eq!(jobs.iter().map(|job| job.id()).collect::<Vec<_>>(), [named.id(), plain.id()]);
            assert_eq!((jobs[0].name(), jobs[1].name()), (Some("mill"), None));
            assert_eq!((jobs[0].spawned_at().file(), jobs[0].spawned_at().line()), (file!(), line));
            let first = jobs[0].running_for();
            assert!(dump.to_string().contains(&format!("blocking job {} \"mill\"", named.id())));

            let dump = handle.dump_without_traces().await;
            let again = dump.blocking().find(|job| job.id() == named.id()).unwrap();
            assert!(again.running_for() > first);
            (0..3).for_each(|_| release.send(()).unwrap());
            for job in [named, plain, waiting] {
                job.await.unwrap();
            }
            while handle.dump_without_traces().await.blocking().count() > 0 {
                yield_now().await;
            }
        });
    }

    fn a_dump_that_is_dropped_leaves_room_for_the_next(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let waiting = spawn(pending::<()>());
            for _ in 0..10 {
                let mut dump = Box::pin(handle.dump());
                let polled = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(dump.as_mut().poll(context))
                });
                drop(polled.await);
                drop(dump);
            }
            assert!(ids(&handle.dump().await).contains(&waiting.id()));
        });
    }
}

/// A runtime from which another is looked at.
fn watcher() -> jenny::runtime::Runtime {
    Flavour::CurrentThread.build_shared()
}

#[test]
fn a_task_that_is_being_polled_on_another_worker_is_running() {
    within_a_minute(|| {
        let runtime = Flavour::FourWorkers.build();
        let (begun, has_begun) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let running = runtime.block_on(async move {
            spawn(async move {
                // The first is stolen; the second takes the LIFO slot.
                let stolen = async move {
                    begun.send(()).unwrap();
                    held.recv().unwrap_err();
                };
                let stolen = task::Builder::new().name("stolen").spawn(stolen).unwrap();
                drop(spawn(async {}));
                // This worker's poll lasts until another one is inside the other poll.
                has_begun.recv().unwrap();
                stolen.id()
            })
            .await
            .unwrap()
        });
        let dump = runtime.handle().block_on(runtime.handle().dump());
        let silent: Vec<_> = dump.silent_workers().collect();
        assert_eq!(silent.len(), 1, "the one that polls it: {silent:?}");
        assert_eq!(silent[0].running(), Some(running));
        // It is in the list of the worker that it was stolen from.
        assert_eq!(silent[0].running_name(), Some("stolen"));
        assert_eq!(silent[0].running_spawned_at().unwrap().file(), file!());
        let task = dump.tasks().iter().find(|task| task.id() == running).unwrap();
        assert_eq!(task.state(), TaskState::Running);
        drop(release);
    });
}
