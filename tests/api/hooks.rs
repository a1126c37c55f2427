//! What the hooks of a runtime hear of its tasks, and what a panic of a task does to it.

use std::{
    collections::HashMap,
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
    thread,
};

use jenny::{
    runtime::{Builder, Handle, LocalOptions, Runtime, TaskMeta, UnhandledPanic},
    sync::oneshot,
    task::{self, Id, spawn, yield_now},
};

use crate::support::{Flavour, TestRuntime, on_every_runtime, wait_until};

/// What was heard of each task.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<HashMap<Id, Vec<&'static str>>>>);

impl Heard {
    fn hook(&self, what: &'static str) -> impl Fn(&TaskMeta<'_>) + Send + Sync + 'static {
        let heard = self.clone();
        move |task| {
            assert!(task.spawned_at().file().ends_with("hooks.rs"), "{task:?}");
            heard.0.lock().unwrap().entry(task.id()).or_default().push(what);
        }
    }

    fn of(&self, task: Id) -> String {
        self.0.lock().unwrap().get(&task).map(|heard| heard.join(" ")).unwrap_or_default()
    }
}

fn listening(flavour: Flavour) -> (TestRuntime, Heard) {
    let heard = Heard::default();
    let runtime = flavour.build_with(|builder| {
        builder
            .on_task_spawn(heard.hook("spawn"))
            .on_before_task_poll(heard.hook("before"))
            .on_after_task_poll(heard.hook("after"))
            .on_task_terminate(heard.hook("terminate"))
    });
    (runtime, heard)
}

on_every_runtime! {
    /// Whoever has joined a task knows that all of its hooks have been called.
    fn a_whole_life(flavour: Flavour) {
        let (runtime, heard) = listening(flavour);
        let (yields, fails, aborted) = runtime.block_on(async {
            let yields = spawn(yield_now());
            let fails = spawn(async { panic!("on purpose") });
            let aborted = spawn(pending::<()>());
            aborted.abort();
            let ids = (yields.id(), fails.id(), aborted.id());
            yields.await.unwrap();
            assert!(fails.await.unwrap_err().is_panic());
            assert!(aborted.await.unwrap_err().is_cancelled());
            ids
        });
        assert_eq!(heard.of(yields), "spawn before after before after terminate");
        assert_eq!(heard.of(fails), "spawn before after terminate");
        // Whether it was polled before the abort is up to the workers.
        assert!(
            ["spawn terminate", "spawn before after terminate"].contains(&&*heard.of(aborted)),
            "{}", heard.of(aborted)
        );
    }

    fn the_shutdown_terminates(flavour: Flavour) {
        let (runtime, heard) = listening(flavour);
        let handle = runtime.handle().clone();
        let waits = runtime.spawn(pending::<()>());
        drop(runtime);
        let late = handle.spawn(async {});
        for task in [&waits, &late] {
            let heard = heard.of(task.id());
            assert!(heard.starts_with("spawn") && heard.ends_with("terminate"), "{heard}");
        }
        assert_eq!(heard.of(late.id()), "spawn terminate");
    }

    /// A hook is a part of the poll: it sees the task's id and its runtime.
    fn hooks_are_inside(flavour: Flavour) {
        let outside = Arc::new(AtomicUsize::new(0));
        let check = |outside: &Arc<AtomicUsize>| {
            let outside = Arc::clone(outside);
            move |task: &TaskMeta<'_>| {
                let inside = task::try_id() == Some(task.id()) && Handle::try_current().is_ok();
                outside.fetch_add(usize::from(!inside), SeqCst);
            }
        };
        let runtime = flavour.build_with(|builder| builder
            .on_before_task_poll(check(&outside))
            .on_after_task_poll(check(&outside))
            .on_task_terminate(check(&outside)));
        runtime.block_on(async { spawn(yield_now()).await.unwrap() });
        assert_eq!(outside.load(SeqCst), 0);
    }

    fn names_are_seen(flavour: Flavour) {
        let names = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&names);
        let runtime = flavour.build_with(|builder| builder
            .on_task_spawn(move |task| seen.lock().unwrap().push(task.name().map(String::from))));
        runtime.block_on(async {
            task::Builder::new().name("weaver").spawn(async {}).unwrap().await.unwrap();
            spawn(async {}).await.unwrap();
        });
        assert_eq!(*names.lock().unwrap(), [Some("weaver".into()), None]);
    }

    fn a_hook_may_spawn(flavour: Flavour) {
        let (first, spawned) = (AtomicBool::new(true), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&spawned);
        let ended = Arc::new(AtomicUsize::new(0));
        let end = Arc::clone(&ended);
        let runtime = flavour.build_with(|builder| builder
            .on_task_spawn(move |_| {
                count.fetch_add(1, SeqCst);
                if first.swap(false, SeqCst) {
                    drop(spawn(async {}));
                }
            })
            .on_task_terminate(move |_| {
                end.fetch_add(1, SeqCst);
            }));
        runtime.block_on(async {
            spawn(async {}).await.unwrap();
            while ended.load(SeqCst) < 2 {
                yield_now().await;
            }
        });
        assert_eq!(spawned.load(SeqCst), 2);
    }

    /// Every hook panics about every task, and the tasks do not notice.
    fn panics_in_hooks_stay_there(flavour: Flavour) {
        let panics = Arc::new(AtomicUsize::new(0));
        let hook = || {
            let panics = Arc::clone(&panics);
            move |_: &TaskMeta<'_>| {
                panics.fetch_add(1, SeqCst);
                panic!("the hook's own");
            }
        };
        let runtime = flavour.build_with(|builder| builder
            .on_task_spawn(hook())
            .on_before_task_poll(hook())
            .on_after_task_poll(hook())
            .on_task_terminate(hook()));
        runtime.block_on(async {
            let tasks: Vec<_> = (0..100).map(|i| spawn(async move { i })).collect();
            for (i, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), i);
            }
        });
        assert_eq!(panics.load(SeqCst), 400);
    }

    fn blocking_jobs_are_no_tasks_of_the_scheduler(flavour: Flavour) {
        let (runtime, heard) = listening(flavour);
        let id = runtime.block_on(async {
            let job = task::spawn_blocking(|| ());
            let id = job.id();
            job.await.unwrap();
            id
        });
        assert_eq!(heard.of(id), "");
    }

    fn ignored_panics(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.unhandled_panic(UnhandledPanic::Ignore));
        runtime.block_on(async {
            assert!(spawn(async { panic!("on purpose") }).await.is_err());
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        });
    }
}

fn falling() -> Runtime {
    Builder::new_current_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap()
}

/// The panic of a closure that ends its runtime.
fn falls(block_on: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(block_on)).expect_err("the runtime goes on");
    assert!(panic.downcast_ref::<&str>().unwrap().contains("unhandled_panic"));
}

#[test]
fn a_panic_ends_the_runtime() {
    let runtime = falling();
    let (held, is_dropped) = oneshot::channel::<()>();
    let other = runtime.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    falls(|| {
        runtime.block_on(async {
            yield_now().await;
            // Also if somebody awaits it.
            let panics = spawn(async { panic!("on purpose") }).await;
            unreachable!("{panics:?}")
        })
    });
    assert!(is_dropped.blocking_recv().is_err());
    assert!(other.is_finished());
    // From then on.
    falls(|| runtime.block_on(async {}));
    let late = runtime.spawn(async {});
    assert!(late.is_finished());
    drop(runtime);
}

#[test]
fn a_panic_in_a_drop_ends_the_runtime() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let runtime = falling();
    falls(|| {
        let bomb = Bomb;
        drop(runtime.spawn(poll_fn(move |_| {
            let _bomb = &bomb;
            Poll::Ready(())
        })));
        runtime.block_on(pending::<()>());
    });
}

#[test]
fn a_panic_ends_all_who_block_on_the_runtime() {
    let runtime = falling();
    let polled = Mutex::new(Vec::<Waker>::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                falls(|| {
                    runtime.block_on(poll_fn(|context| {
                        polled.lock().unwrap().push(context.waker().clone());
                        Poll::<()>::Pending
                    }));
                });
            });
        }
        wait_until(|| polled.lock().unwrap().len() >= 3);
        drop(runtime.spawn(async { panic!("on purpose") }));
    });
}

#[test]
fn a_local_runtime_has_hooks_and_falls() {
    let heard = Heard::default();
    let runtime = Builder::new_current_thread()
        .on_task_spawn(heard.hook("spawn"))
        .on_before_task_poll(heard.hook("before"))
        .on_after_task_poll(heard.hook("after"))
        .on_task_terminate(heard.hook("terminate"))
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .build_local(LocalOptions::default())
        .unwrap();
    let task = runtime.block_on(async {
        let task = task::spawn_local(yield_now());
        let id = task.id();
        task.await.unwrap();
        id
    });
    assert_eq!(heard.of(task), "spawn before after before after terminate");
    falls(|| {
        runtime.block_on(async {
            drop(task::spawn_local(async { panic!("on purpose") }));
            pending::<()>().await;
        });
    });
}

/// The hook runs in the middle of a spawn that uses the runtime which it leaves.
#[test]
fn the_hook_of_a_spawn_may_leave_the_runtime() {
    std::thread_local! {
        static GUARD: std::cell::RefCell<Option<jenny::runtime::EnterGuard<'static>>> =
            const { std::cell::RefCell::new(None) };
    }

    let held = Arc::new(());
    let is_held = Arc::downgrade(&held);
    let mut builder = jenny::runtime::Builder::new_current_thread();
    builder.on_task_spawn(move |_| {
        let _held = &held;
        drop(GUARD.take());
    });
    let runtime: *mut Runtime = Box::leak(Box::new(builder.build().unwrap()));
    drop(builder);
    let given_back = runtime;
    // SAFETY: it is given back below, when its guard is gone and its task has ended.
    let runtime: &'static Runtime = unsafe { &*runtime };
    GUARD.set(Some(runtime.enter()));
    let task = jenny::spawn(async { 42 });
    assert!(jenny::runtime::Handle::try_current().is_err());
    assert_eq!(runtime.block_on(task).unwrap(), 42);
    // SAFETY: it came from a box, and nobody refers to it any more.
    drop(unsafe { Box::from_raw(given_back) });
    assert_eq!(
        is_held.strong_count(),
        0,
        "what was left in the middle of a spawn has been dropped"
    );
}
