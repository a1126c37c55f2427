//! Work that blocks.

use std::{
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use jenny::{
    runtime::Handle,
    task::{self, spawn, spawn_blocking, yield_now},
};

use crate::support::{on_every_runtime, wait_until};

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
        let runtime = flavour.builder().max_blocking_threads(3).build().unwrap();
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
        flavour.builder().max_blocking_threads(1).build().unwrap().block_on(async {
            let error = spawn_blocking(|| resume_unwind(Box::new("oh"))).await.unwrap_err();
            assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "oh");
            assert_eq!(spawn_blocking(|| 1).await.unwrap(), 1, "the thread goes on");
        });
    }

    fn a_queued_job_is_aborted_and_a_running_one_is_not(flavour: Flavour) {
        flavour.builder().max_blocking_threads(1).build().unwrap().block_on(async {
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
            flavour.builder().thread_keep_alive(Duration::from_millis(1)).build().unwrap();
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
        let runtime = flavour
            .builder()
            .thread_name("loom shed")
            .on_thread_start(move || note(&on_start, "start"))
            .on_thread_stop(move || note(&on_stop, "stop"))
            .build()
            .unwrap();
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
}
