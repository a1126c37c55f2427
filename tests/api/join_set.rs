//! Tasks that are joined as a set.

use std::{
    collections::HashSet,
    future::{pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use jenny::{
    runtime::{Builder, LocalOptions},
    sync::{Notify, Semaphore, oneshot},
    task::{self, JoinSet, LocalSet, coop::has_budget_remaining, yield_now},
};

use crate::support::{Flavour, on_every_runtime, wait_until};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

on_every_runtime! {
    fn a_waker_that_panics_costs_no_result(flavour: Flavour) {
        let gone = flavour.build().handle().clone();
        flavour.build().block_on(async {
            let mut set = JoinSet::new();
            let waits = set.spawn(pending::<()>());
            let waker = Waker::from(Arc::new(Panics));
            assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
            // It has ended before it is in the set, and wakes whoever waits for the set.
            let spawn = || set.spawn_on(async {}, &gone);
            assert!(catch_unwind(AssertUnwindSafe(spawn)).is_err());
            assert_eq!(set.len(), 2);
            assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
            waits.abort();
            assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
            assert!(set.join_next().await.is_none());
        });
    }

    fn every_result_comes_once(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut set = JoinSet::new();
            assert!(set.join_next().await.is_none() && set.try_join_next().is_none());
            for i in 0..10_000 {
                set.spawn(async move {
                    if i % 3 == 0 {
                        yield_now().await;
                    }
                    i
                });
            }
            assert_eq!(set.len(), 10_000);
            let mut seen = HashSet::new();
            while let Some(result) = set.join_next().await {
                assert!(seen.insert(result.unwrap()));
            }
            assert!(seen.len() == 10_000 && set.is_empty());
        });
    }

    fn results_come_in_the_order_of_their_ends(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut set = JoinSet::new();
            let mut ends: Vec<_> = (0..5)
                .map(|i| {
                    let (end, ended) = oneshot::channel::<()>();
                    let task = set.spawn(async move {
                        ended.await.unwrap();
                        i
                    });
                    (i, end, task)
                })
                .collect();
            ends.reverse();
            for (i, end, task) in ends {
                assert!(set.try_join_next().is_none());
                end.send(()).unwrap();
                let (id, output) = set.join_next_with_id().await.unwrap().unwrap();
                assert_eq!((id, output), (task.id(), i));
            }
        });
    }

    fn finished_tasks_need_no_waiting(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut set = JoinSet::new();
            let tasks: Vec<_> = (0..300).map(|i| set.spawn(async move { i })).collect();
            while !tasks.iter().all(|task| task.is_finished()) {
                yield_now().await;
            }
            let mut seen = HashSet::new();
            // More than one poll's budget, in one poll.
            while seen.len() < 150 {
                // A task is finished an instant before it says so.
                if let Some(result) = set.try_join_next() {
                    seen.insert(result.unwrap());
                }
            }
            while seen.len() < 300 {
                if let Some(result) = set.try_join_next_with_id() {
                    let (id, output) = result.unwrap();
                    assert_eq!(id, tasks[output].id());
                    seen.insert(output);
                }
            }
            assert!(set.try_join_next().is_none() && has_budget_remaining());
        });
    }

    /// A set whose tasks are all finished does not keep the worker from others.
    fn joining_takes_from_the_budget(flavour: Flavour) {
        flavour.build().block_on(async {
            let joins = task::spawn(async {
                let mut set: JoinSet<_> = (0..1_000).map(ready).collect();
                let (mut polls, mut joined) = (0, 0);
                poll_fn(|context| {
                    polls += 1;
                    loop {
                        match set.poll_join_next(context) {
                            Poll::Ready(Some(_)) => joined += 1,
                            Poll::Ready(None) => return Poll::Ready(()),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                })
                .await;
                (polls, joined)
            });
            let (polls, joined) = joins.await.unwrap();
            assert_eq!(joined, 1_000);
            assert!(polls > 1_000 / 128, "{polls} polls");
        });
    }

    /// The one that is dropped while it waits has taken nothing.
    fn join_next_is_cancel_safe(flavour: Flavour) {
        flavour.build().block_on(async {
            let open = Arc::new(Notify::new());
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let gate = Arc::clone(&open);
                set.spawn(async move { gate.notified().await });
            }
            for joined in 0..10 {
                jenny::select! {
                    biased;
                    _ = set.join_next() => unreachable!("nobody has opened"),
                    () = yield_now() => {}
                }
                open.notify_one();
                assert_eq!(set.len(), 10 - joined);
                set.join_next().await.unwrap().unwrap();
            }
        });
    }

    /// Whoever polled last is woken, and by one task as by many.
    fn the_last_waker_is_woken(flavour: Flavour) {
        let runtime = flavour.build();
        let mut set = JoinSet::new();
        let open = Arc::new(Semaphore::new(0));
        for _ in 0..2 {
            let gate = Arc::clone(&open);
            set.spawn_on(async move { drop(gate.acquire().await.unwrap()) }, runtime.handle());
        }
        let wakes: [Arc<Wakes>; 2] = Default::default();
        for wakes in &wakes {
            let waker = Waker::from(Arc::clone(wakes));
            assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
        }
        open.add_permits(2);
        let mut joined = 0;
        runtime.block_on(async {
            while set.join_next().await.is_some() {
                joined += 1;
            }
        });
        assert_eq!(joined, 2);
        assert_eq!(wakes[0].0.load(SeqCst), 0);
        // The `join_next` may have replaced it before the first task ended.
        assert!(wakes[1].0.load(SeqCst) <= 1);
    }

    fn panics_and_aborts_are_results(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut set = JoinSet::new();
            let panics = set.spawn(async { panic!("on purpose") }).id();
            let aborted = set.spawn(pending::<()>());
            aborted.abort();
            for _ in 0..2 {
                let error = set.join_next().await.unwrap().unwrap_err();
                assert_eq!(error.is_panic(), error.id() == panics);
                assert_eq!(error.is_cancelled(), error.id() == aborted.id());
            }
        });
    }

    fn abort_all_leaves_the_results(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut set = JoinSet::new();
            let done = set.spawn(async { 1 });
            while !done.is_finished() {
                yield_now().await;
            }
            for _ in 0..100 {
                set.spawn(pending::<i32>());
            }
            set.abort_all();
            assert_eq!(set.len(), 101);
            let (mut outputs, mut cancelled) = (0, 0);
            while let Some(result) = set.join_next().await {
                match result {
                    Ok(output) => outputs += output,
                    Err(error) => cancelled += i32::from(error.is_cancelled()),
                }
            }
            assert_eq!((outputs, cancelled), (1, 100));
        });
    }

    /// Tasks finish by themselves while they are aborted and joined.
    fn aborts_race_ends(flavour: Flavour) {
        flavour.build().block_on(async {
            for round in 0..100 {
                let mut set = JoinSet::new();
                for i in 0..50 {
                    set.spawn(async move {
                        for _ in 0..(i + round) % 4 {
                            yield_now().await;
                        }
                    });
                }
                yield_now().await;
                set.abort_all();
                let mut joined = 0;
                while let Some(result) = set.join_next().await {
                    assert!(result.map_or_else(|error| error.is_cancelled(), |()| true));
                    joined += 1;
                }
                assert_eq!(joined, 50);
            }
        });
    }

    fn shutdown_waits_for_every_drop(flavour: Flavour) {
        flavour.build().block_on(async {
            let drops = Arc::new(AtomicUsize::new(0));
            let mut set = JoinSet::new();
            for _ in 0..100 {
                let counted = Counted(Arc::clone(&drops));
                set.spawn(async move {
                    let _counted = counted;
                    pending::<()>().await;
                });
            }
            set.spawn(async { panic!("on purpose") });
            yield_now().await;
            set.shutdown().await;
            assert!(set.is_empty());
            assert_eq!(drops.load(SeqCst), 100);
        });
    }

    fn a_dropped_set_aborts(flavour: Flavour) {
        let runtime = flavour.build();
        let drops = Arc::new(AtomicUsize::new(0));
        let set_of = || {
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let counted = Counted(Arc::clone(&drops));
                let future = async move {
                    let _counted = counted;
                    pending::<()>().await;
                };
                set.spawn_on(future, runtime.handle());
            }
            set
        };
        let all_dropped = async |count| {
            while drops.load(SeqCst) < count {
                yield_now().await;
            }
        };
        runtime.block_on(async {
            drop(set_of());
            all_dropped(10).await;
            // Inside a task.
            let set = set_of();
            task::spawn(async move { drop(set) }).await.unwrap();
            all_dropped(20).await;
        });
        // Outside of the runtime.
        let set = set_of();
        thread::scope(|scope| scope.spawn(|| drop(set)).join()).unwrap();
        runtime.block_on(all_dropped(30));
        // After it.
        let mut set = set_of();
        drop(runtime);
        assert_eq!(drops.load(SeqCst), 40);
        for _ in 0..10 {
            assert!(set.try_join_next().unwrap().unwrap_err().is_cancelled());
        }
    }

    fn detached_tasks_go_on(flavour: Flavour) {
        flavour.build().block_on(async {
            let open = Arc::new(Semaphore::new(0));
            let ended = Arc::new(AtomicUsize::new(0));
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let (gate, end) = (Arc::clone(&open), Counted(Arc::clone(&ended)));
                set.spawn(async move {
                    gate.acquire().await.unwrap().forget();
                    drop(end);
                });
            }
            set.detach_all();
            assert!(set.is_empty() && set.join_next().await.is_none());
            // The set is as good as new.
            set.spawn(async {});
            set.join_next().await.unwrap().unwrap();
            drop(set);
            open.add_permits(10);
            while ended.load(SeqCst) < 10 {
                yield_now().await;
            }
        });
    }

    fn join_all_gives_outputs(flavour: Flavour) {
        flavour.build().block_on(async {
            let set: JoinSet<_> = (0..100).map(|i| async move { i }).collect();
            let mut outputs = set.join_all().await;
            outputs.sort_unstable();
            assert!(outputs.into_iter().eq(0..100));
        });
    }

    fn join_all_panics_with_its_tasks(flavour: Flavour) {
        let runtime = flavour.build();
        let drops = Arc::new(AtomicUsize::new(0));
        let panic = std::panic::catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut set = JoinSet::new();
                let counted = Counted(Arc::clone(&drops));
                set.spawn(async move {
                    let _counted = counted;
                    pending::<()>().await;
                });
                set.spawn(async { panic!("on purpose") });
                set.join_all().await
            })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
        // The other one was aborted.
        runtime.block_on(async {
            while drops.load(SeqCst) == 0 {
                yield_now().await;
            }
        });
    }

    fn blocking_jobs_are_members(flavour: Flavour) {
        let runtime = flavour.build();
        let mut set = JoinSet::new();
        set.spawn_blocking_on(|| 1, runtime.handle());
        runtime.block_on(async {
            set.spawn_blocking(|| 2);
            set.spawn(async { 3 });
            assert_eq!(set.join_all().await.into_iter().sum::<i32>(), 6);
        });
    }

    fn members_may_have_names(flavour: Flavour) {
        let runtime = flavour.build();
        let mut set = JoinSet::new();
        set.build_task().name("on").spawn_on(async { 1 }, runtime.handle()).unwrap();
        set.build_task().name("job on").spawn_blocking_on(|| 1, runtime.handle()).unwrap();
        runtime.block_on(async {
            let task = set.build_task().name("here").spawn(async { 1 }).unwrap();
            assert!(format!("{task:?}").contains("join_set.rs"));
            set.build_task().spawn_blocking(|| 1).unwrap();
            assert_eq!(set.join_all().await, [1; 4]);
        });
    }

    /// Outputs and futures that are not `Send`, on a local set of any runtime.
    fn local_tasks_are_members(flavour: Flavour) {
        let (runtime, local) = (flavour.build(), LocalSet::new());
        let mut set = JoinSet::new();
        let one = Rc::new(1);
        let shared = Rc::clone(&one);
        set.spawn_local_on(async move { shared }, &local);
        let shared = Rc::clone(&one);
        set.build_task().name("on").spawn_local_on(async move { shared }, &local).unwrap();
        runtime.block_on(local.run_until(async {
            let shared = Rc::clone(&one);
            set.spawn_local(async move { shared });
            let shared = Rc::clone(&one);
            set.build_task().name("here").spawn_local(async move { shared }).unwrap();
            assert!(set.join_all().await.iter().all(|output| Rc::ptr_eq(output, &one)));
            // Those that wait are dropped by the thread that they belong to.
            let mut waiting = JoinSet::new();
            let shared = Rc::clone(&one);
            waiting.spawn_local(async move {
                let _shared = shared;
                pending::<()>().await;
            });
            yield_now().await;
            assert_eq!(Rc::strong_count(&one), 2);
            drop(waiting);
            while Rc::strong_count(&one) > 1 {
                yield_now().await;
            }
        }));
    }

    /// A task of the set gets the set.
    fn a_set_moves(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut inner = JoinSet::new();
            inner.spawn(async { 1 });
            let mut outer = JoinSet::default();
            outer.spawn(async move {
                inner.spawn(async { 2 });
                inner.join_all().await.len()
            });
            assert_eq!(outer.join_next().await.unwrap().unwrap(), 2);
        });
    }
}

#[test]
fn a_set_says_its_length() {
    let set = JoinSet::<()>::new();
    assert_eq!(format!("{set:?}"), "JoinSet { len: 0 }");
}

/// Other threads end the tasks while this one adds more.
#[test]
fn ends_from_everywhere() {
    let runtime = Flavour::FourWorkers.build();
    let ended = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    let mut joined = 0;
    for round in 0..200 {
        for _ in 0..20 {
            let end = Counted(Arc::clone(&ended));
            set.spawn_on(async move { drop(end) }, runtime.handle());
        }
        while round % 3 == 0 && set.try_join_next().is_some() {
            joined += 1;
        }
    }
    wait_until(|| ended.load(SeqCst) == 4_000);
    runtime.block_on(async {
        while let Some(result) = set.join_next().await {
            result.unwrap();
            joined += 1;
        }
    });
    assert_eq!(joined, 4_000);
}

#[test]
fn local_tasks_of_a_local_runtime_are_members() {
    let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
    let outputs = runtime.block_on(async {
        let mut set = JoinSet::new();
        for i in 0..10 {
            let shared = Rc::new(i);
            set.spawn_local(async move { *shared });
        }
        set.spawn(async { 10 });
        set.join_all().await
    });
    assert_eq!(outputs.into_iter().sum::<i32>(), 55);
}
