//! `Handle::dump` shows where each task waits, by a poll that is otherwise like any other.

use std::{
    fmt,
    future::{pending, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Dump, Handle, TaskState},
    sync::{Semaphore, oneshot},
    task::{self, Id, JoinHandle, spawn, yield_now},
    time::sleep,
};

use crate::support::{Flavour, on_every_runtime, wait_until, within_a_minute};

/// Dumps until the task is one that waits, and the machine had the time to find out where.
async fn trace_of(task: Id) -> String {
    loop {
        let dump = dump().await;
        if let Some(listed) = dump.tasks().iter().find(|listed| listed.id() == task)
            && listed.state() == TaskState::Idle
        {
            let trace = listed.trace().to_string();
            if !trace.is_empty() {
                return trace;
            }
        }
        yield_now().await;
    }
}

/// Dumps until the task has ended.
async fn dump_away<T>(task: &JoinHandle<T>) {
    while !task.is_finished() {
        dump().await;
        yield_now().await;
    }
}

async fn dump() -> Dump {
    Handle::current().dump().await
}

/// A line of this file with an `await`.
#[derive(Clone, Copy)]
struct Await(u32);

impl fmt::Display for Await {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the path, since traces are relative to the directory where the test runs.
        write!(f, "dump_traces.rs:{}:", self.0)
    }
}

/// Fails if the trace does not name all of these, in this order, each call below the one before.
#[track_caller]
fn assert_calls(trace: &str, functions: &[Await], leaf: &str) {
    let mut lines = trace.lines();
    let mut outer = None;
    for call in functions.iter().map(Await::to_string).chain([leaf.to_owned()]) {
        let line = lines.find(|line| line.contains(&call));
        let line = line.unwrap_or_else(|| panic!("{call} is missing or out of order:\n{trace}"));
        let depth = line.len() - line.trim_start().len();
        assert!(outer < Some(depth), "{call} is not further in:\n{trace}");
        outer = Some(depth);
    }
}

/// Fails if something is in the trace that is not the task's.
#[track_caller]
fn assert_own(trace: &str) {
    for foreign in [
        "catch_unwind",
        "harness.rs",
        "task/cell.rs",
        "backtrace",
        "core/src/task/wake.rs",
        "__jenny",
    ] {
        assert!(!trace.contains(foreign), "{foreign} is in\n{trace}");
    }
}

/// Where each of the functions below awaits. What they are called in a trace depends on how much debug
/// information there is.
const INNERMOST: Await = Await(line!() + 2);
async fn innermost(receiver: oneshot::Receiver<()>) {
    receiver.await.unwrap();
}

const MIDDLE: Await = Await(line!() + 2);
async fn middle(receiver: oneshot::Receiver<()>) {
    innermost(receiver).await;
}

const OUTERMOST: Await = Await(line!() + 2);
async fn outermost(receiver: oneshot::Receiver<()>) {
    Box::pin(middle(receiver)).await;
}

const SLEEPS: Await = Await(line!() + 2);
async fn sleeps() {
    sleep(Duration::from_secs(3600)).await;
}

const ACQUIRES: Await = Await(line!() + 2);
async fn acquires(semaphore: Arc<Semaphore>) {
    let _permit = semaphore.acquire().await.unwrap();
}

const JOINS: Await = Await(line!() + 2);
async fn joins(other: JoinHandle<()>) {
    other.await.unwrap();
}

/// A task that is ready, or does something else, when it is polled for the second time.
fn second_poll<T: Send + 'static>(
    second: impl FnOnce() -> T + Send + 'static,
) -> (JoinHandle<T>, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let (counted, mut second) = (Arc::clone(&polls), Some(second));
    let task = spawn(poll_fn(move |_| match counted.fetch_add(1, SeqCst) {
        0 => Poll::Pending,
        _ => Poll::Ready(second.take().unwrap()()),
    }));
    (task, polls)
}

on_every_runtime! {
    fn a_trace_names_the_chain_of_async_functions(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (sender, receiver) = oneshot::channel();
            let task = spawn(outermost(receiver));
            let trace = trace_of(task.id()).await;
            assert_calls(&trace, &[OUTERMOST, MIDDLE, INNERMOST], "oneshot::Receiver");
            assert_own(&trace);
            // Its waker is in the channel, as before.
            sender.send(()).unwrap();
            task.await.unwrap();
        });
    }

    fn any_leaf_shows(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let semaphore = Arc::new(Semaphore::new(0));
            let sleeping = spawn(sleeps());
            let acquiring = spawn(acquires(Arc::clone(&semaphore)));
            let joining = spawn(joins(spawn(pending())));
            for (task, function, leaf) in [
                (sleeping.id(), SLEEPS, "Sleep"),
                (acquiring.id(), ACQUIRES, "Acquire"),
                // By its file, since a call that is inlined has no path.
                (joining.id(), JOINS, "task/join.rs"),
            ] {
                let trace = trace_of(task).await;
                assert_calls(&trace, &[function], leaf);
                assert_own(&trace);
            }
            semaphore.add_permits(1);
            acquiring.await.unwrap();
        });
    }

    fn a_task_that_waits_for_several_has_a_branch_for_each(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (sender, receiver) = oneshot::channel();
            let task = spawn(async move {
                jenny::select! {
                    () = sleeps() => panic!("too late"),
                    () = middle(receiver) => {}
                }
            });
            let trace = trace_of(task.id()).await;
            assert_calls(&trace, &[SLEEPS], "Sleep");
            assert_calls(&trace, &[MIDDLE, INNERMOST], "oneshot::Receiver");
            sender.send(()).unwrap();
            task.await.unwrap();
        });
    }

    fn a_traced_poll_may_be_the_last(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (task, polls) = second_poll(|| 42);
            dump_away(&task).await;
            assert!(dump().await.tasks().iter().all(|listed| listed.id() != task.id()));
            assert_eq!((task.await.unwrap(), polls.load(SeqCst)), (42, 2));
        });
    }

    fn a_panic_in_a_traced_poll_is_the_tasks(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (task, _) = second_poll(|| panic!("traced"));
            let other = spawn(pending::<()>());
            dump_away(&task).await;
            assert!(task.await.unwrap_err().is_panic());
            let dump = dump().await;
            let other = dump.tasks().iter().find(|listed| listed.id() == other.id()).unwrap();
            assert_eq!(other.trace().to_string(), "", "it leaves no waker");
        });
    }

    fn a_traced_poll_is_a_poll_with_all_that_belongs_to_it(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (task, _) = second_poll(|| {
                let spawned = spawn(async { task::id() });
                (task::id(), task::coop::has_budget_remaining(), spawned)
            });
            let id = task.id();
            dump_away(&task).await;
            let (inside, has_budget, spawned) = task.await.unwrap();
            assert_eq!((inside, has_budget), (id, true));
            assert_ne!(spawned.await.unwrap(), id);
        });
    }

    fn a_task_that_wakes_itself_in_a_traced_poll_is_polled_again(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            let task = spawn(poll_fn(move |context| match counted.fetch_add(1, SeqCst) {
                0 => Poll::Pending,
                1 => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }));
            while polls.load(SeqCst) < 2 {
                dump().await;
            }
            task.await.unwrap();
            assert_eq!(polls.load(SeqCst), 3);
        });
    }

    fn the_waker_of_a_traced_poll_outlives_it(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (send, wakers) = mpsc::channel::<Waker>();
            let task = spawn(poll_fn(move |context| {
                send.send(context.waker().clone()).unwrap();
                Poll::<()>::Pending
            }));
            trace_of(task.id()).await;
            let wakers: Vec<_> = wakers.try_iter().collect();
            assert!(wakers.len() >= 2);
            assert!(wakers.iter().all(|waker| waker.will_wake(&wakers[0])), "they are the task's");
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            wakers.into_iter().for_each(Waker::wake);
        });
    }

    fn a_dump_without_traces_polls_nothing(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let (task, polls) = second_poll(|| ());
            while polls.load(SeqCst) == 0 {
                yield_now().await;
            }
            for _ in 0..3 {
                let dump = Handle::current().dump_without_traces().await;
                let listed = dump.tasks().iter().find(|listed| listed.id() == task.id()).unwrap();
                assert_eq!(listed.trace().to_string(), "");
            }
            assert_eq!(polls.load(SeqCst), 1);
        });
    }

    fn traced_polls_meet_wakes_and_aborts(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            for _ in 0..10 {
                let (woken, aborted): (Vec<_>, Vec<_>) = (0..200)
                    .map(|_| {
                        let (sender, receiver) = oneshot::channel();
                        let task = spawn(outermost(receiver));
                        ((sender, task), spawn(pending::<()>()))
                    })
                    .unzip();
                let (senders, woken): (Vec<_>, Vec<_>) = woken.into_iter().unzip();
                let aborts: Vec<_> = aborted.iter().map(JoinHandle::abort_handle).collect();
                let others = thread::spawn(move || {
                    for (sender, abort) in senders.into_iter().zip(aborts) {
                        sender.send(()).unwrap();
                        abort.abort();
                    }
                });
                dump().await;
                for (woken, aborted) in woken.into_iter().zip(aborted) {
                    woken.await.unwrap();
                    assert!(aborted.await.unwrap_err().is_cancelled());
                }
                others.join().unwrap();
            }
        });
    }

    fn more_tasks_than_there_is_time_for_are_listed_all_the_same(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..20_000).map(|_| spawn(sleeps())).collect();
            let dump = dump().await;
            if dump.silent_workers().count() == 0 {
                assert_eq!(dump.tasks().iter().count(), tasks.len());
            }
            // The others go on meanwhile.
            spawn(yield_now()).await.unwrap();
        });
    }

    /// However long the polls of the others would take.
    fn a_dump_polls_for_a_fifth_of_a_second(flavour: Flavour) {
        const TASKS: usize = 200;
        let runtime = flavour.build();
        runtime.block_on(async {
            let (polls, slow) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            for _ in 0..TASKS {
                let (polls, slow) = (Arc::clone(&polls), Arc::clone(&slow));
                spawn(poll_fn(move |_| {
                    polls.fetch_add(1, SeqCst);
                    if slow.load(SeqCst) {
                        thread::sleep(Duration::from_millis(10));
                    }
                    Poll::<()>::Pending
                }));
            }
            while polls.load(SeqCst) < TASKS {
                yield_now().await;
            }
            slow.store(true, SeqCst);
            dump().await;
            slow.store(false, SeqCst);
            let polled = polls.load(SeqCst) - TASKS;
            // Twenty in that time on each worker, and the one that is over it.
            let most = 21 * flavour.workers();
            assert!(polled <= most, "{polled} were polled");
        });
    }

    fn traced_dumps_meet_the_shutdown(flavour: Flavour) {
        for _ in 0..10 {
            let runtime = flavour.build();
            let polled = Arc::new(AtomicUsize::new(0));
            for _ in 0..100 {
                let polled = Arc::clone(&polled);
                drop(runtime.spawn(async move {
                    polled.fetch_add(1, SeqCst);
                    sleeps().await;
                }));
            }
            runtime.block_on(async {
                while polled.load(SeqCst) < 100 {
                    yield_now().await;
                }
            });
            let handle = runtime.handle().clone();
            let (started, is_started) = mpsc::channel();
            let dumper = thread::spawn(move || {
                Flavour::CurrentThread.build_shared().block_on(async {
                    started.send(()).unwrap();
                    handle.dump().await
                })
            });
            is_started.recv().unwrap();
            drop(runtime);
            assert!(dumper.join().unwrap().tasks().iter().count() <= 100);
        }
    }
}

#[test]
fn a_traced_poll_may_hand_its_worker_off() {
    within_a_minute(|| {
        for flavour in [Flavour::OneWorker, Flavour::FourWorkers] {
            let runtime = flavour.build();
            let handle = runtime.handle().clone();
            let (release, held) = mpsc::channel::<()>();
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            let mut held = Some(held);
            let blocking = runtime.spawn(poll_fn(move |_| match counted.fetch_add(1, SeqCst) {
                0 => Poll::Pending,
                _ => Poll::Ready(task::block_in_place(|| held.take().unwrap().recv().unwrap_err())),
            }));
            let others: Vec<_> = (0..100).map(|_| runtime.spawn(sleeps())).collect();
            wait_until(|| polls.load(SeqCst) == 1);
            // While the task blocks, its worker goes on with the dump on another thread.
            while polls.load(SeqCst) == 1 {
                let dump = runtime.block_on(handle.dump());
                if dump.silent_workers().count() == 0 {
                    assert!(dump.tasks().iter().count() >= others.len());
                }
            }
            let spawned = runtime.spawn(async { 42 });
            assert_eq!(runtime.block_on(spawned).unwrap(), 42);
            drop(release);
            runtime.block_on(blocking).unwrap();
        }
    });
}
