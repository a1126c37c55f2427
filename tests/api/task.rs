//! Spawning, joining, aborting and panicking, alone.

use std::{
    collections::HashSet,
    future::{pending, poll_fn, ready},
    hint::black_box,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
};

use jenny::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::{self, Id, LocalSet, spawn, spawn_local, yield_now},
};

use crate::support::{Flavour, on_every_runtime, wait_until};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Writes its name down when it is dropped.
struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Named {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

on_every_runtime! {
    fn outputs_come_back(flavour: Flavour) {
        let runtime = flavour.build();
        let outside = runtime.spawn(async { String::from("outside") });
        runtime.block_on(async {
            let inside: Vec<_> = (0..1_000).map(|i| spawn(async move { i })).collect();
            for (i, task) in inside.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), i);
            }
            assert_eq!(outside.await.unwrap(), "outside");
        });
    }

    /// More than a ring holds, from a task, and each waits for the next.
    fn a_chain_of_joins(flavour: Flavour) {
        fn link(left: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
            Box::pin(async move {
                if left == 0 { 0 } else { 1 + spawn(link(left - 1)).await.unwrap() }
            })
        }
        assert_eq!(flavour.build().block_on(link(2_000)), 2_000);
    }

    fn a_dropped_handle_detaches(flavour: Flavour) {
        flavour.build().block_on(async {
            let (tell, told) = oneshot::channel();
            drop(spawn(async move {
                yield_now().await;
                tell.send(7).unwrap();
            }));
            assert_eq!(told.await.unwrap(), 7);
        });
    }

    fn a_handle_wakes_whoever_polled_it_last(flavour: Flavour) {
        flavour.build().block_on(async {
            let open = Arc::new(Notify::new());
            let gate = Arc::clone(&open);
            let mut join = spawn(async move { gate.notified().await });
            let mut nobody = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut join).poll(&mut nobody).is_pending());
            // It moves to another task, with another waker.
            let waiter = spawn(join);
            yield_now().await;
            open.notify_one();
            waiter.await.unwrap().unwrap();
        });
    }

    fn a_panic_stays_in_its_task(flavour: Flavour) {
        flavour.build().block_on(async {
            let error = spawn(async { resume_unwind(Box::new("oh")) }).await.unwrap_err();
            assert!(error.is_panic() && !error.is_cancelled());
            assert!(error.to_string().ends_with("panicked with message \"oh\""), "{error}");
            assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "oh");
            assert_eq!(spawn(ready(1)).await.unwrap(), 1, "the worker goes on");
        });
    }

    /// Not while the thread unwinds, so a panic in its drop is one like any other.
    fn what_has_panicked_is_dropped_afterwards(flavour: Flavour) {
        struct Witness(mpsc::Sender<bool>);
        impl Drop for Witness {
            fn drop(&mut self) {
                self.0.send(thread::panicking()).unwrap();
                resume_unwind(Box::new("and again"));
            }
        }
        flavour.build().block_on(async {
            let (tell, told) = mpsc::channel();
            let witness = Witness(tell);
            let task = spawn(poll_fn(move |_| -> Poll<()> {
                let _held = &witness;
                resume_unwind(Box::new("oh"))
            }));
            assert!(task.await.unwrap_err().is_panic());
            assert_eq!(told.try_iter().collect::<Vec<_>>(), [false]);
        });
    }

    fn an_aborted_task_is_cancelled(flavour: Flavour) {
        flavour.build().block_on(async {
            let drops = Arc::new(AtomicUsize::new(0));
            let held = Counted(Arc::clone(&drops));
            let join = spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            yield_now().await;
            let id = join.id();
            join.abort();
            let error = join.await.unwrap_err();
            assert!(error.is_cancelled());
            assert_eq!(error.id(), id);
            assert!(error.try_into_panic().is_err());
            assert_eq!(drops.load(SeqCst), 1, "dropped before the join returns");
        });
    }

    /// `abort` runs no code of the task: its future may hold a lock that the caller holds, too.
    fn an_abort_drops_nothing_on_the_callers_stack(flavour: Flavour) {
        struct Locks(Arc<Mutex<()>>);
        impl Drop for Locks {
            fn drop(&mut self) {
                drop(self.0.lock().unwrap());
            }
        }
        flavour.build().block_on(async {
            let lock = Arc::new(Mutex::new(()));
            let future = Locks(Arc::clone(&lock));
            let join = spawn(async move {
                let _future = future;
                pending::<()>().await;
            });
            yield_now().await;
            let guard = lock.lock().unwrap();
            join.abort();
            drop(guard);
            assert!(join.await.unwrap_err().is_cancelled());
        });
    }

    fn what_a_task_owns_is_dropped_in_order(flavour: Flavour) {
        flavour.build().block_on(async {
            let log = Arc::new(Mutex::new(Vec::new()));
            let [captured, local, output] =
                ["captured", "local", "output"].map(|name| Named(name, Arc::clone(&log)));
            let join = spawn(async move {
                let _captured = &captured;
                let _local = local;
                output
            });
            let output = join.await.unwrap();
            assert_eq!(*log.lock().unwrap(), ["local", "captured"]);
            drop(output);
            assert_eq!(*log.lock().unwrap(), ["local", "captured", "output"]);
        });
    }

    fn an_output_that_nobody_takes_is_dropped_once(flavour: Flavour) {
        let drops = Arc::new(AtomicUsize::new(0));
        flavour.build().block_on(async {
            let before = Counted(Arc::clone(&drops));
            drop(spawn(async move { before }));
            let after = Counted(Arc::clone(&drops));
            let join = spawn(async move { after });
            while !join.is_finished() {
                yield_now().await;
            }
            drop(join);
        });
        assert_eq!(drops.load(SeqCst), 2);
    }

    /// It keeps the allocation.
    fn a_waker_kept_for_ever_keeps_no_future(flavour: Flavour) {
        let runtime = flavour.build();
        let drops = Arc::new(AtomicUsize::new(0));
        let held = Counted(Arc::clone(&drops));
        let waker = runtime.block_on(async {
            let task = spawn(poll_fn(move |context| {
                let _held = &held;
                Poll::Ready(context.waker().clone())
            }));
            task.await.unwrap()
        });
        wait_until(|| drops.load(SeqCst) == 1);
        waker.wake_by_ref();
        drop(runtime);
        waker.wake_by_ref();
        Waker::wake(waker.clone());
        assert_eq!(drops.load(SeqCst), 1);
    }

    fn a_wake_during_the_poll_queues_the_task_once(flavour: Flavour) {
        flavour.build().block_on(async {
            let polls = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&polls);
            let join = spawn(poll_fn(move |context| {
                for _ in 0..10 {
                    context.waker().wake_by_ref();
                    Waker::wake(context.waker().clone());
                }
                match seen.fetch_add(1, SeqCst) {
                    0 => Poll::<()>::Pending,
                    _ => Poll::Ready(()),
                }
            }));
            join.await.unwrap();
            for _ in 0..100 {
                yield_now().await;
            }
            assert_eq!(polls.load(SeqCst), 2);
        });
    }

    fn ids_tell_tasks_apart(flavour: Flavour) {
        flavour.build().block_on(async {
            assert_eq!(task::try_id(), None, "a `block_on` future is no task");
            let mut ids = HashSet::new();
            for _ in 0..500 {
                let join = spawn(async { task::id() });
                let id = join.id();
                assert_eq!(join.abort_handle().id(), id);
                assert_eq!(join.await.unwrap(), id);
                assert!(ids.insert(id));
            }
        });
    }

    /// Workers and other threads take ids in blocks, which threads that end leave unfinished.
    fn ids_are_unique_in_the_process(flavour: Flavour) {
        let (runtime, other) = (flavour.build(), flavour.build());
        let handles = [&runtime, &other].map(|runtime| runtime.handle().clone());
        let strangers: Vec<_> = (0..8)
            .map(|_| {
                let handles = handles.clone();
                thread::spawn(move || -> Vec<Id> {
                    let spawn = |handle: &Handle| {
                        [handle.spawn(ready(())).id(), handle.spawn_blocking(|| ()).id()]
                    };
                    (0..50).flat_map(|_| handles.iter().flat_map(spawn)).collect()
                })
            })
            .collect();
        let mut all: Vec<Id> = strangers.into_iter().flat_map(|it| it.join().unwrap()).collect();
        for runtime in [runtime, other] {
            let set = LocalSet::new();
            let here = runtime.block_on(set.run_until(async {
                let mut ids = Vec::new();
                for _ in 0..600 {
                    let outer = spawn(async { spawn(ready(())).id() });
                    let local = spawn_local(async { task::id() });
                    ids.extend([outer.id(), local.id(), outer.await.unwrap()]);
                    assert_eq!(local.await.unwrap(), ids[ids.len() - 2]);
                }
                ids
            }));
            all.extend(here);
        }
        let count = all.len();
        assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), count);
    }

    /// Wherever it is dropped: with its handle, by a runtime that is gone, or by who is refused.
    fn a_task_has_its_id_when_it_is_dropped(flavour: Flavour) {
        struct Tells(Arc<Mutex<Vec<Id>>>);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.lock().unwrap().push(task::id());
            }
        }
        let told = Arc::default();
        let tells = || Tells(Arc::clone(&told));
        let runtime = flavour.build();
        let mut expected = Vec::new();
        let output = tells();
        let join = runtime.spawn(async move { output });
        expected.push(join.id());
        runtime.block_on(async {
            while !join.is_finished() {
                yield_now().await;
            }
            drop(join);
            assert_eq!(task::try_id(), None);
        });
        let result = tells();
        let job = runtime.spawn_blocking(move || result);
        expected.push(job.id());
        wait_until(|| job.is_finished());
        drop(job);

        let handle = runtime.handle().clone();
        drop(runtime);
        let future = tells();
        expected.push(handle.spawn(async move { drop(future) }).id());
        let closure = tells();
        expected.push(handle.spawn_blocking(move || drop(closure)).id());
        assert_eq!(*told.lock().unwrap(), expected);
    }

    fn an_abort_handle_outlives_everything(flavour: Flavour) {
        let runtime = flavour.build();
        let abort = runtime.block_on(async {
            let join = spawn(pending::<()>());
            let abort = join.abort_handle();
            assert!(!abort.is_finished());
            abort.clone().abort();
            assert!(join.await.unwrap_err().is_cancelled());
            abort
        });
        drop(runtime);
        abort.abort();
        assert!(abort.is_finished());
    }

    fn a_finished_handle_is_not_polled_again(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut join = spawn(ready(1));
            assert_eq!((&mut join).await.unwrap(), 1);
            let mut context = Context::from_waker(Waker::noop());
            let again = catch_unwind(AssertUnwindSafe(|| pin!(join).poll(&mut context)));
            let message = *again.unwrap_err().downcast::<&str>().unwrap();
            assert!(message.contains("polled after it had given its output"), "{message}");
        });
    }

    /// Above the size from which futures travel in a box.
    fn a_large_future_and_a_large_output(flavour: Flavour) {
        flavour.build().block_on(async {
            let large = [7_u8; 100_000];
            let join = spawn(async move {
                yield_now().await;
                large
            });
            assert!(join.await.unwrap().iter().all(|&byte| byte == 7));
        });
    }

    /// A small future is a part of its task's allocation, a large one lies elsewhere.
    fn large_futures_travel_in_a_box(flavour: Flavour) {
        async fn is_in_its_cell<const N: usize>() -> bool {
            let held = black_box([7_u8; N]);
            let cell = poll_fn(|context| Poll::Ready(context.waker().data().addr())).await;
            // Kept across an await, so that it lies in the future.
            yield_now().await;
            held.as_ptr().addr().wrapping_sub(cell) < 512
        }
        // A box may come to lie behind its cell by chance. Of so many some do not.
        async fn are_in_their_cells<const N: usize>(set: &LocalSet) -> bool {
            let mut tasks: Vec<_> = (0..50).map(|_| spawn(is_in_its_cell::<N>())).collect();
            tasks.extend((0..50).map(|_| set.spawn_local(is_in_its_cell::<N>())));
            let (mut spawned, mut local) = (0, 0);
            for (n, task) in tasks.into_iter().enumerate() {
                *if n < 50 { &mut spawned } else { &mut local } += usize::from(task.await.unwrap());
            }
            assert_eq!(spawned == 50, local == 50);
            spawned == 50
        }
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            assert!(are_in_their_cells::<64>(&set).await);
            assert!(!are_in_their_cells::<100_000>(&set).await);
        }));
    }

    fn a_poll_that_blocks_is_aborted_when_it_returns(flavour: Flavour) {
        let runtime = flavour.build();
        let (in_poll, entered) = mpsc::channel();
        let (go_on, told) = mpsc::channel::<()>();
        let join = runtime.spawn(async move {
            in_poll.send(()).unwrap();
            told.recv().unwrap();
            pending::<()>().await;
        });
        let abort = join.abort_handle();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                entered.recv().unwrap();
                abort.abort();
                assert!(!abort.is_finished());
                go_on.send(()).unwrap();
            });
            assert!(runtime.block_on(join).unwrap_err().is_cancelled());
        });
    }
}

/// Where one thread runs all tasks, their order is that of the queue.
#[test]
fn a_yield_lets_the_others_go_first() {
    for flavour in [Flavour::CurrentThread, Flavour::Local, Flavour::OneWorker] {
        let runtime = flavour.build();
        let order = Arc::new(Mutex::new(Vec::new()));
        let occupied = flavour.occupy(runtime.handle());
        let tasks = ["a", "b", "c"].map(|name| {
            let order = Arc::clone(&order);
            runtime.spawn(async move {
                for _ in 0..3 {
                    order.lock().unwrap().push(name);
                    yield_now().await;
                }
            })
        });
        drop(occupied);
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(order.lock().unwrap().concat(), "abcabcabc", "{flavour:?}");
    }
}
