//! `Handle::dump` asks the local sets that are polled inside the runtime.

use std::{
    collections::HashSet,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use jenny::{
    runtime::{Builder, Dump, Handle, TaskState, UnhandledPanic},
    sync::oneshot,
    task::{self, Id, LocalSet, spawn, spawn_local, yield_now},
};

use crate::support::on_every_runtime;

/// The ids in a dump; fails if one is listed twice.
fn ids(dump: &Dump) -> HashSet<Id> {
    let mut ids = HashSet::new();
    for task in dump.tasks().iter() {
        assert!(ids.insert(task.id()), "{task:?} is listed twice");
    }
    ids
}

fn silent_sets(dump: &Dump) -> Vec<jenny::runtime::Id> {
    dump.silent_local_sets().map(|set| set.id()).collect()
}

on_every_runtime! {
    fn tasks_of_a_set_are_listed_and_traced(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            let (_keep, never) = oneshot::channel::<()>();
            let named = task::Builder::new().name("shuttle");
            let line = line!() + 1;
            let named = named.spawn_local(async move { never.await.unwrap() }).unwrap();
            let beside = spawn(pending::<()>());
            // Idle from its first poll on.
            yield_now().await;
            yield_now().await;
            let dump = Handle::current().dump().await;
            assert_eq!(silent_sets(&dump), []);
            assert_eq!(ids(&dump), HashSet::from([named.id(), beside.id()]));
            let listed = dump.tasks().iter().find(|task| task.id() == named.id()).unwrap();
            assert_eq!(listed.name(), Some("shuttle"));
            assert_eq!((listed.spawned_at().file(), listed.spawned_at().line()), (file!(), line));
            assert_eq!(listed.state(), TaskState::Idle);
            let trace = listed.trace().to_string();
            let place = format!("dump_local_set.rs:{line}:");
            assert!(trace.contains(&place), "{trace}");
            assert!(!trace.contains("RunUntil"), "nothing of the set or its host: {trace}");
        }));
    }

    fn sets_of_several_threads_and_nested_ones_are_listed(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let (spawned, task) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let guest = thread::spawn({
            let handle = handle.clone();
            move || {
                handle.block_on(LocalSet::new().run_until(async {
                    spawned.send(spawn_local(pending::<()>()).id()).unwrap();
                    stopped.await.unwrap();
                }));
            }
        });
        let elsewhere = task.recv().unwrap();
        let outer = LocalSet::new();
        runtime.block_on(outer.run_until(async {
            let (tell, told) = oneshot::channel();
            let nest = spawn_local(async move {
                LocalSet::new()
                    .run_until(async {
                        tell.send(spawn_local(pending::<()>()).id()).unwrap();
                        pending::<()>().await;
                    })
                    .await;
            });
            let nested = told.await.unwrap();
            let dump = handle.dump_without_traces().await;
            assert_eq!(silent_sets(&dump), []);
            assert_eq!(ids(&dump), HashSet::from([elsewhere, nest.id(), nested]));
        }));
        stop.send(()).unwrap();
        guest.join().unwrap();
        drop(outer);
        let dump = runtime.block_on(handle.dump_without_traces());
        assert_eq!((ids(&dump), silent_sets(&dump)), (HashSet::new(), vec![]));
    }

    fn a_set_that_nobody_polls_is_named_and_not_waited_for_like_a_worker(flavour: Flavour) {
        let (runtime, mut set) = (flavour.build(), LocalSet::new());
        // It was awaited, too, but is no more.
        runtime.block_on(&mut set);
        let task = runtime.block_on(set.run_until(async { spawn_local(pending::<()>()).id() }));
        let took = (0..10).map(|_| {
            let start = Instant::now();
            let dump = runtime.block_on(runtime.handle().dump());
            let took = start.elapsed();
            assert_eq!((ids(&dump), silent_sets(&dump)), (HashSet::new(), vec![set.id()]));
            assert!(dump.to_string().contains(&format!("local set {} did not answer", set.id())));
            took
        });
        // The fastest: the machine may be busy.
        assert!(took.min().unwrap() < Duration::from_millis(100));
        // It missed nothing by that.
        let dump = runtime.block_on(set.run_until(async { Handle::current().dump().await }));
        assert_eq!((ids(&dump), silent_sets(&dump)), (HashSet::from([task]), vec![]));
    }

    fn a_set_that_is_stuck_is_named_with_its_task(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let (begun, has_begun) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let guest = thread::spawn({
            let handle = handle.clone();
            move || {
                let set = LocalSet::new();
                handle.block_on(set.run_until(async {
                    let id = set.id();
                    let stuck = async move {
                        begun.send((id, task::id())).unwrap();
                        held.recv().unwrap_err();
                    };
                    spawn_local(stuck).await.unwrap();
                }));
            }
        });
        let (set, task) = has_begun.recv().unwrap();
        let dump = runtime.block_on(handle.dump());
        let silent: Vec<_> = dump.silent_local_sets().collect();
        assert_eq!(silent.len(), 1);
        assert_eq!((silent[0].id(), silent[0].running()), (set, Some(task)));
        assert!(dump.to_string().contains(&format!("it is polling task {task}")));
        drop(release);
        guest.join().unwrap();
    }

    fn a_set_without_tasks_is_not_waited_for(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async { spawn_local(yield_now()).await.unwrap() }));
        let dump = runtime.block_on(runtime.handle().dump());
        assert_eq!(silent_sets(&dump), []);
    }

    fn a_set_belongs_to_the_runtime_that_polled_it_last(flavour: Flavour) {
        let (first, mut set) = (flavour.build(), LocalSet::new());
        let second = Builder::new_current_thread().build().unwrap();
        // Polled, and then replaced by one that ends on a panic: both are this set.
        first.block_on(set.run_until(yield_now()));
        set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        let task = first.block_on(set.run_until(async { spawn_local(pending::<()>()).id() }));
        let dump_here = || async { Handle::current().dump_without_traces().await };
        let here = first.block_on(set.run_until(dump_here()));
        assert_eq!(ids(&here), HashSet::from([task]));
        let there = second.block_on(set.run_until(dump_here()));
        assert_eq!((ids(&there), silent_sets(&there)), (HashSet::from([task]), vec![]));
        let here = first.block_on(first.handle().dump_without_traces());
        assert_eq!((ids(&here), silent_sets(&here)), (HashSet::new(), vec![]));
    }

    fn dumps_meet_the_end_of_sets(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle().clone();
        let (over, is_over) = mpsc::channel::<()>();
        let dumps = Arc::new(AtomicUsize::new(0));
        let dumper = thread::spawn({
            let (handle, dumps) = (handle.clone(), Arc::clone(&dumps));
            move || {
                while is_over.try_recv() == Err(mpsc::TryRecvError::Empty) {
                    assert!(ids(&handle.block_on(handle.dump())).len() <= 8);
                    dumps.fetch_add(1, SeqCst);
                }
            }
        });
        // On a busy machine the sets come and go before the dumper has begun.
        let mut sets = 0;
        while sets < 200 || (dumps.load(SeqCst) < 5 && !dumper.is_finished()) {
            let set = LocalSet::new();
            runtime.block_on(set.run_until(async {
                (0..8).for_each(|_| drop(spawn_local(pending::<()>())));
                yield_now().await;
            }));
            sets += 1;
        }
        drop(over);
        dumper.join().unwrap();
    }
}
