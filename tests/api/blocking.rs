//! Work that blocks.

use std::{
    cell::RefCell,
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Handle, Runtime},
    task::{self, TrySpawnError, spawn, spawn_blocking, yield_now},
};

use crate::support::{Flavour, TestRuntime, on_every_runtime, on_every_shared_runtime, wait_until};

on_every_runtime! {
    fn jobs_run_elsewhere_and_give_their_result(flavour: Flavour) {
        flavour.build().block_on(async {
            let here = thread::current().id();
            let there = spawn_blocking(|| thread::current().id()).await.unwrap();
            assert_ne!(here, there);
            let inside = spawn(async {
                (thread::current().id(), spawn_blocking(|| thread::current().id()).await.unwrap())
            });
            let (worker, pool) = inside.await.unwrap();
            assert_ne!(worker, pool);
        });
    }

    fn more_jobs_than_threads(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(3));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        runtime.block_on(async {
            let jobs: Vec<_> = (0..200_usize)
                .map(|i| {
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    spawn_blocking(move || {
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, SeqCst);
                        i
                    })
                })
                .collect();
            for (i, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.await.unwrap(), i);
            }
        });
        assert!(most.load(SeqCst) <= 3);
        assert!(runtime.metrics().num_blocking_threads() <= 3);
        assert_eq!(runtime.metrics().blocking_queue_depth(), 0);
    }

    fn tasks_go_on_while_a_job_blocks(flavour: Flavour) {
        flavour.build().block_on(async {
            let (release, released) = mpsc::channel();
            let job = spawn_blocking(move || released.recv().unwrap());
            for _ in 0..100 {
                spawn(yield_now()).await.unwrap();
            }
            assert!(!job.is_finished());
            release.send(9).unwrap();
            assert_eq!(job.await.unwrap(), 9);
        });
    }

    fn a_panic_stays_in_its_job(flavour: Flavour) {
        flavour.build_with(|builder| builder.max_blocking_threads(1)).block_on(async {
            let error = spawn_blocking(|| resume_unwind(Box::new("oh"))).await.unwrap_err();
            assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "oh");
            assert_eq!(spawn_blocking(|| 1).await.unwrap(), 1, "the thread goes on");
        });
    }

    fn a_queued_job_is_aborted_and_a_running_one_is_not(flavour: Flavour) {
        flavour.build_with(|builder| builder.max_blocking_threads(1)).block_on(async {
            let (release, released) = mpsc::channel();
            let (started, has_started) = mpsc::channel();
            let running = spawn_blocking(move || {
                started.send(()).unwrap();
                released.recv().unwrap()
            });
            has_started.recv().unwrap();
            let held = Arc::new(());
            let kept = Arc::clone(&held);
            let queued = spawn_blocking(move || drop(kept));
            running.abort();
            queued.abort();
            release.send(4).unwrap();
            assert_eq!(running.await.unwrap(), 4);
            assert!(queued.await.unwrap_err().is_cancelled());
            assert_eq!(Arc::strong_count(&held), 1, "its closure has been dropped");
        });
    }

    fn a_job_belongs_to_its_runtime(flavour: Flavour) {
        let runtime = flavour.build();
        let id = runtime.handle().id();
        runtime.block_on(async {
            let job = spawn_blocking(|| (Handle::current().id(), task::id()));
            let task_id = job.id();
            assert_eq!(job.await.unwrap(), (id, task_id));
            // What it spawns there runs here.
            let join = spawn_blocking(|| spawn(async { Handle::current().id() })).await.unwrap();
            assert_eq!(join.await.unwrap(), id);
        });
    }

    fn a_job_may_block_on_a_future(flavour: Flavour) {
        flavour.build().block_on(async {
            let handle = Handle::current();
            let job = spawn_blocking(move || handle.block_on(async {
                spawn(async {
                    yield_now().await;
                    6
                })
                .await
                .unwrap()
            }));
            assert_eq!(job.await.unwrap(), 6);
        });
    }

    fn a_job_outside_of_block_on(flavour: Flavour) {
        let runtime = flavour.build();
        let (tell, told) = mpsc::channel();
        let detached = runtime.spawn_blocking(move || tell.send(3).unwrap());
        drop(detached);
        assert_eq!(told.recv().unwrap(), 3);
    }

    fn idle_threads_go_home(flavour: Flavour) {
        let runtime =
            flavour.build_with(|builder| builder.thread_keep_alive(Duration::from_millis(1)));
        let metrics = runtime.metrics();
        for _ in 0..3 {
            runtime.block_on(async { spawn_blocking(|| ()).await.unwrap() });
            wait_until(|| metrics.num_blocking_threads() == 0);
            assert_eq!(metrics.num_idle_blocking_threads(), 0);
        }
    }

    fn threads_of_the_pool_have_name_and_hooks(flavour: Flavour) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (on_start, on_stop) = (Arc::clone(&log), Arc::clone(&log));
        let note = |log: &Mutex<Vec<_>>, what| {
            log.lock().unwrap().push((thread::current().id(), what));
        };
        let runtime = flavour.build_with(|builder| builder
            .thread_name("loom shed")
            .on_thread_start(move || note(&on_start, "start"))
            .on_thread_stop(move || note(&on_stop, "stop")));
        let (id, name) = runtime.block_on(async {
            let job = spawn_blocking(|| {
                let thread = thread::current();
                (thread.id(), thread.name().map(String::from))
            });
            job.await.unwrap()
        });
        assert_eq!(name.as_deref(), Some("loom shed"));
        drop(runtime);
        let log = log.lock().unwrap();
        let of_the_job = log.iter().filter(|(thread, _)| *thread == id).map(|(_, what)| *what);
        assert_eq!(of_the_job.collect::<Vec<_>>(), ["start", "stop"]);
    }

    /// Threads are called one after the other, each by the one before.
    fn jobs_that_wait_for_each_other_get_a_thread_each(flavour: Flavour) {
        const JOBS: usize = 40;
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(JOBS));
        let metrics = runtime.metrics();
        for _ in 0..3 {
            let barrier = Arc::new(Barrier::new(JOBS));
            let jobs: Vec<_> = (0..JOBS)
                .map(|_| {
                    let barrier = Arc::clone(&barrier);
                    runtime.spawn_blocking(move || barrier.wait().is_leader())
                })
                .collect();
            let leaders = runtime.block_on(async {
                let mut leaders = 0;
                for job in jobs {
                    leaders += usize::from(job.await.unwrap());
                }
                leaders
            });
            assert_eq!(leaders, 1);
            wait_until(|| metrics.num_idle_blocking_threads() == JOBS);
        }
        assert_eq!(metrics.num_blocking_threads(), JOBS);
    }

    fn the_figures_are_exact(flavour: Flavour) {
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(2));
        let metrics = runtime.metrics();
        let figures = || {
            let threads = metrics.num_blocking_threads();
            (threads, metrics.num_idle_blocking_threads(), metrics.blocking_queue_depth())
        };
        assert_eq!(figures(), (0, 0, 0));
        let stuck = [Stuck::new(&runtime), Stuck::new(&runtime)];
        assert_eq!(figures(), (2, 0, 0));
        let queued = [(); 5].map(|()| runtime.spawn_blocking(|| ()));
        assert_eq!(figures(), (2, 0, 5));
        drop(stuck);
        runtime.block_on(async {
            for job in queued {
                job.await.unwrap();
            }
        });
        wait_until(|| figures() == (2, 2, 0));
    }

    fn a_bounded_queue_gives_closures_back(flavour: Flavour) {
        for max_queue in [0, 2] {
            let mut builder = flavour.builder();
            builder.max_blocking_threads(2).max_blocking_queue(max_queue);
            let runtime = flavour.build_from(&mut builder);
            let handle = runtime.handle().clone();
            let stuck = [Stuck::new(&runtime), Stuck::new(&runtime)];
            let ran = Arc::new(AtomicUsize::new(0));
            let run = |ran: &Arc<AtomicUsize>| {
                let ran = Arc::clone(ran);
                move || ran.fetch_add(1, SeqCst)
            };
            let mut taken: Vec<_> =
                (0..max_queue).map(|_| handle.try_spawn_blocking(run(&ran)).unwrap()).collect();
            let error = handle.try_spawn_blocking(run(&ran)).unwrap_err();
            assert!(matches!(error, TrySpawnError::Full(_)), "{error:?}");
            assert!(error.to_string().contains("max_blocking_queue"), "{error}");
            assert_eq!(ran.load(SeqCst), 0);
            // The other way in has no bound, and fills the queue, too.
            taken.push(runtime.spawn_blocking(run(&ran)));
            assert_eq!(runtime.metrics().blocking_queue_depth(), max_queue + 1);
            runtime.try_spawn_blocking(run(&ran)).unwrap_err();
            drop(stuck);
            let count = taken.len();
            runtime.block_on(async {
                for job in taken {
                    job.await.unwrap();
                }
                // The closure is as good as new, and so is the pool.
                wait_until(|| Handle::current().metrics().num_idle_blocking_threads() == 2);
                task::try_spawn_blocking(error.into_inner()).unwrap().await.unwrap();
            });
            assert_eq!(ran.load(SeqCst), count + 1);
            drop(runtime);
            let error = handle.try_spawn_blocking(run(&ran)).unwrap_err();
            assert!(matches!(error, TrySpawnError::ShutDown(_)), "{error:?}");
        }
    }

    fn with_room_for_none_a_free_thread_is_enough(flavour: Flavour) {
        let mut builder = flavour.builder();
        builder.max_blocking_threads(8).max_blocking_queue(0);
        let runtime = flavour.build_from(&mut builder);
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let jobs: Vec<_> = (0..8)
            .map(|_| {
                let released = Arc::clone(&released);
                let wait = move || released.lock().unwrap().recv().unwrap_err();
                runtime.try_spawn_blocking(wait).unwrap()
            })
            .collect();
        runtime.try_spawn_blocking(|| ()).unwrap_err();
        drop(release);
        runtime.block_on(async {
            for job in jobs {
                job.await.unwrap();
            }
        });
    }

    /// In a closure that is aborted, one that the shutdown cancels, and in a result that nobody takes.
    fn panics_in_drops_stay_where_they_are(flavour: Flavour) {
        struct PanicsInDrop(Arc<AtomicUsize>);
        impl Drop for PanicsInDrop {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
                resume_unwind(Box::new("expected"));
            }
        }
        let drops = Arc::new(AtomicUsize::new(0));
        let held = || PanicsInDrop(Arc::clone(&drops));
        let runtime = flavour.build_with(|builder| builder.max_blocking_threads(1));
        let handle = runtime.handle().clone();

        let result = held();
        drop(runtime.spawn_blocking(move || result));
        wait_until(|| drops.load(SeqCst) == 1);

        let stuck = Stuck::new(&runtime);
        let closure = held();
        let aborted = runtime.spawn_blocking(move || _ = &closure);
        aborted.abort();
        drop(stuck);
        let error = handle.block_on(aborted).unwrap_err();
        assert!(error.is_panic() || error.is_cancelled());
        assert_eq!(drops.load(SeqCst), 2);
        assert_eq!(handle.block_on(runtime.spawn_blocking(|| 1)).unwrap(), 1, "the thread goes on");

        let stuck = Stuck::new(&runtime);
        let closure = held();
        let cancelled = runtime.spawn_blocking(move || _ = &closure);
        runtime.shutdown_background();
        assert_eq!(drops.load(SeqCst), 3, "cancelled where the shutdown is called");
        handle.block_on(cancelled).unwrap_err();
        drop(stuck);
    }
}

on_every_shared_runtime! {
    /// Whoever shuts a runtime down in the background may be through before the thread has come.
    fn a_job_that_outlives_its_runtime_is_inside_of_it(flavour: Flavour) {
        let (tell, told) = mpsc::channel();
        for _ in 0..200 {
            let runtime = flavour.builder().build().unwrap();
            let (id, tell) = (runtime.handle().id(), tell.clone());
            drop(runtime.spawn_blocking(move || {
                tell.send(Handle::try_current().is_ok_and(|handle| handle.id() == id)).unwrap();
            }));
            runtime.shutdown_background();
        }
        drop(tell);
        let inside: Vec<bool> = told.iter().collect();
        assert!(!inside.is_empty(), "all were cancelled");
        assert!(inside.iter().all(|inside| *inside), "{inside:?}");
    }
}

on_every_shared_runtime! {
    /// A thread of the pool ends, and its last destructor drops the runtime, while others end, too.
    fn a_thread_of_the_pool_drops_the_runtime_at_its_end(flavour: Flavour) {
        thread_local! {
            static LAST: RefCell<Option<(Runtime, mpsc::Sender<()>)>> = const { RefCell::new(None) };
        }
        for _ in 0..20 {
            let runtime =
                flavour.builder().thread_keep_alive(Duration::from_millis(1)).build().unwrap();
            let (give, take) = mpsc::channel();
            let (tell_gone, gone) = mpsc::channel();
            let both = Arc::new(Barrier::new(2));
            let other = Arc::clone(&both);
            drop(runtime.spawn_blocking(move || other.wait().is_leader()));
            drop(runtime.spawn_blocking(move || {
                LAST.set(Some((take.recv().unwrap(), tell_gone)));
                both.wait();
            }));
            give.send(runtime).unwrap();
            // The fields of the tuple are dropped in order.
            gone.recv().unwrap_err();
        }
    }
}

/// A job that blocks until this is dropped.
struct Stuck {
    _release: mpsc::Sender<()>,
}

impl Stuck {
    fn new(runtime: &TestRuntime) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        drop(runtime.spawn_blocking(move || {
            started.send(()).unwrap();
            released.recv().unwrap_err();
        }));
        has_started.recv().unwrap();
        Self { _release: release }
    }
}

/// More address space than there is, so that the system refuses the thread.
#[cfg(target_pointer_width = "64")]
#[test]
fn without_a_thread_the_caller_hears_of_it() {
    let runtime = Flavour::CurrentThread.build_with(|builder| builder.thread_stack_size(1 << 46));
    let held = Arc::new(());
    let work = |held: &Arc<()>| {
        let held = Arc::clone(held);
        move || drop(held)
    };
    match runtime.try_spawn_blocking(work(&held)) {
        Err(TrySpawnError::NoThreads(work, _)) => work(),
        other => panic!("{other:?}"),
    }
    let spawned = catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(work(&held))));
    let message = *spawned.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("the system gives none"), "{message}");
    assert!(message.contains("max_blocking_threads"), "{message}");
    assert_eq!(Arc::strong_count(&held), 1, "nothing is left of it");
    assert_eq!(runtime.metrics().num_blocking_threads(), 0);
}

/// The runtime's own thread-local variables may be gone by then.
#[test]
fn the_end_of_any_thread_may_drop_a_runtime() {
    thread_local! {
        static LAST: RefCell<Option<TestRuntime>> = const { RefCell::new(None) };
    }
    for flavour in [Flavour::CurrentThread, Flavour::Local, Flavour::OneWorker] {
        let drops = Arc::new(());
        let held = Arc::clone(&drops);
        let thread = thread::spawn(move || {
            LAST.set(None);
            let runtime = flavour.build();
            runtime.block_on(async move {
                drop(spawn(async move {
                    let _held = held;
                    pending::<()>().await;
                }));
                yield_now().await;
            });
            LAST.set(Some(runtime));
        });
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&drops), 1);
    }
}
