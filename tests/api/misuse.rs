//! What is not allowed says so, what to do instead, and where the caller is.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe, Location, catch_unwind},
    sync::{Once, mpsc},
    task::{Context, Waker},
    thread,
};

use jenny::{
    net::TcpListener,
    runtime::{Builder, Handle, LocalOptions, LocalRuntime, UnhandledPanic},
    task::{self, JoinSet},
    time::{self, Duration, Instant},
};

use crate::support::{Flavour, on_every_runtime, on_every_shared_runtime};

struct Panic {
    message: String,
    file: String,
    line: u32,
}

thread_local! {
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// The panic of a closure, on this thread.
#[track_caller]
fn panic_of<R>(misuse: impl FnOnce() -> R) -> Panic {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let outer = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let at = info.location().expect("panics have one");
            let panic = Panic {
                message: info.payload_as_str().unwrap_or_default().into(),
                file: at.file().into(),
                line: at.line(),
            };
            LAST.with(|last| last.replace(Some(panic)));
            outer(info);
        }));
    });
    let result = catch_unwind(AssertUnwindSafe(misuse));
    assert!(result.is_err(), "this misuse goes unnoticed");
    LAST.take().expect("the hook has seen it")
}

/// Panics with this text, and at the caller's line: one of those in the parentheses.
#[track_caller]
fn refused_here<R>(text: &str, misuse: impl FnOnce() -> R) {
    let caller = Location::caller();
    let Panic { message, file, line } = panic_of(misuse);
    assert!(message.contains(text), "{message}");
    let is_here = file == caller.file() && (caller.line()..caller.line() + 10).contains(&line);
    assert!(is_here, "blamed on {file}:{line}, not on {caller}");
}

const NO_RUNTIME: &str = "there is no jenny runtime here";
const NOT_LOCAL: &str = "`spawn_local` needs a scheduler that belongs to this thread";
const INSIDE: &str = "cannot block on a runtime from inside a runtime";

on_every_runtime! {
    fn blocking_inside(flavour: Flavour) {
        let (runtime, other) = (flavour.build(), flavour.build());
        runtime.block_on(async {
            refused_here(INSIDE, || runtime.block_on(async {}));
            refused_here(INSIDE, || other.block_on(async {}));
            refused_here(INSIDE, || Handle::current().block_on(async {}));
        });
        // The thread is as it was.
        other.block_on(async {});
        let handle = other.handle().clone();
        let task = runtime.spawn(async move { refused_here(INSIDE, || handle.block_on(async {})) });
        runtime.block_on(task).unwrap();
    }

    fn dropping_a_runtime_inside(flavour: Flavour) {
        let (runtime, inner) = (flavour.build(), flavour.build());
        let left = inner.handle().clone();
        runtime.block_on(async {
            let panic = panic_of(|| drop(inner));
            assert!(panic.message.contains("shutdown_background"), "{}", panic.message);
            // It has ended all the same.
            assert!(left.spawn(async {}).await.unwrap_err().is_cancelled());
        });
        // The remedy that the message names.
        let inner = flavour.build();
        runtime.block_on(async { inner.shutdown_background() });
    }

    fn waiting_for_a_shutdown_inside(flavour: Flavour) {
        let (runtime, inner) = (flavour.build(), flavour.build());
        let left = inner.handle().clone();
        runtime.block_on(async {
            let panic = panic_of(|| inner.shutdown_timeout(Duration::from_millis(1)));
            assert!(panic.message.contains("shutdown_background"), "{}", panic.message);
            assert!(left.spawn(async {}).await.unwrap_err().is_cancelled());
        });
        // Without any time it waits for nothing.
        let inner = flavour.build();
        runtime.block_on(async { inner.shutdown_timeout(Duration::ZERO) });
    }

    fn guards_out_of_order(flavour: Flavour) {
        let (first, second) = (flavour.build(), flavour.build());
        let (elder, younger) = (first.enter(), second.enter());
        let panic = panic_of(|| drop(elder));
        assert!(panic.message.contains("drop the youngest first"), "{}", panic.message);
        assert_eq!(Handle::current().id(), second.handle().id());
        drop(younger);
        assert_eq!(Handle::current().id(), first.handle().id());
    }

    /// A guard that is never dropped keeps its runtime current, and breaks nothing else.
    fn a_leaked_guard(flavour: Flavour) {
        let (first, second) = (flavour.build(), flavour.build());
        std::mem::forget(first.enter());
        second.block_on(async { assert_eq!(Handle::current().id(), second.handle().id()) });
        assert_eq!(Handle::current().id(), first.handle().id());
    }

    fn a_worker_that_is_not_there(flavour: Flavour) {
        let metrics = flavour.build().metrics();
        refused_here("there is no worker 7", || metrics.worker_poll_count(7));
    }

    fn sockets_without_a_driver(flavour: Flavour) {
        let mut builder = match flavour {
            Flavour::CurrentThread | Flavour::Local => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let runtime = builder.build().unwrap();
        let socket = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        runtime.block_on(async {
            refused_here("call `enable_io` or `enable_all`", || TcpListener::from_std(socket()));
        });
        // With the driver alone they work.
        let runtime = builder.enable_io().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        });
    }
}

const SECOND: Duration = Duration::from_secs(1);

on_every_runtime! {
    fn time_without_timers(flavour: Flavour) {
        let mut builder = match flavour {
            Flavour::CurrentThread | Flavour::Local => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        const NO_TIMERS: &str = "call `enable_time` or `enable_all`";
        builder.build().unwrap().block_on(async {
            refused_here(NO_TIMERS, || time::sleep(SECOND));
            refused_here(NO_TIMERS, || time::sleep_until(Instant::now()));
            refused_here(NO_TIMERS, || time::timeout(SECOND, async {}));
            refused_here(NO_TIMERS, || time::timeout_at(Instant::now(), async {}));
            refused_here(NO_TIMERS, || time::interval(SECOND));
            refused_here(NO_TIMERS, || time::interval_at(Instant::now(), SECOND));
        });
        // With timers alone they work.
        let runtime = builder.enable_time().build().unwrap();
        runtime.block_on(async { time::sleep(Duration::from_millis(1)).await });
    }

    fn intervals_without_a_period(flavour: Flavour) {
        flavour.build().block_on(async {
            refused_here("above zero", || time::interval(Duration::ZERO));
            refused_here("above zero", || time::interval_at(Instant::now(), Duration::ZERO));
        });
    }

    fn a_clock_that_cannot_do_that(flavour: Flavour) {
        flavour.build().block_on(async {
            refused_here("call `pause` first", || time::resume());
            let panic = panic_of(|| poll_now(time::advance(SECOND)));
            assert!(panic.message.contains("call `pause` first"), "{}", panic.message);
            if flavour.has_one_thread() {
                time::pause();
                refused_here("paused already", || time::pause());
                let panic = panic_of(|| poll_now(time::advance(Duration::MAX)));
                assert!(panic.message.contains("advance it by less"), "{}", panic.message);
            } else {
                refused_here("Builder::new_current_thread", || time::pause());
            }
        });
        if !flavour.has_one_thread() {
            let mut builder = flavour.builder();
            refused_here("Builder::new_current_thread", || builder.start_paused(true).build());
        }
    }

    /// A sleep that outlives its runtime says so where it is polled, and wakes who waits for it.
    fn sleeping_on_after_the_shutdown(flavour: Flavour) {
        let runtime = flavour.build();
        let (waiting, fresh, over) = {
            let _guard = runtime.enter();
            (time::sleep(3600 * SECOND), time::sleep(3600 * SECOND), time::sleep(Duration::ZERO))
        };
        let other = Builder::new_current_thread().build().unwrap();
        let (is_polled, polled) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let mut waiting = Box::pin(waiting);
            let panic = panic_of(|| {
                other.block_on(std::future::poll_fn(|context| {
                    let poll = waiting.as_mut().poll(context);
                    is_polled.send(()).unwrap();
                    poll
                }));
            });
            assert!(panic.message.contains("has been shut down"), "{}", panic.message);
        });
        polled.recv().unwrap();
        drop(runtime);
        thread.join().unwrap();
        let panic = panic_of(|| poll_now(fresh));
        assert!(panic.message.contains("has been shut down"), "{}", panic.message);
        poll_now(over);
    }
}

/// Polls once, and drops.
fn poll_now(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

on_every_shared_runtime! {
    /// The other remedy.
    fn dropping_a_runtime_in_the_pool(flavour: Flavour) {
        let (runtime, inner, blamed) =
            (flavour.build(), flavour.build_shared(), flavour.build_shared());
        runtime.block_on(async {
            let panic = panic_of(|| drop(blamed));
            assert!(panic.message.contains("spawn_blocking"), "{}", panic.message);
            task::spawn_blocking(|| drop(inner)).await.unwrap();
        });
    }
}

on_every_shared_runtime! {
    /// Neither the root future nor a task of such a runtime stays on its thread.
    fn local_tasks_without_a_local_scheduler(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            refused_here(NOT_LOCAL, || task::spawn_local(async {}));
            let task = task::spawn(async { refused_here(NOT_LOCAL, || task::spawn_local(async {})) });
            task.await.unwrap();
        });
    }
}

#[test]
fn local_tasks_on_a_thread_that_is_not_theirs() {
    refused_here(NOT_LOCAL, || task::spawn_local(async {}));
    let runtime = LocalRuntime::new().unwrap();
    let handle = runtime.handle().clone();
    let other = thread::spawn(move || {
        let _entered = handle.enter();
        refused_here(NOT_LOCAL, || task::spawn_local(async {}));
    });
    other.join().unwrap();
    runtime.block_on(async {
        let job = task::spawn_blocking(|| refused_here(NOT_LOCAL, || task::spawn_local(async {})));
        job.await.unwrap();
    });
}

#[test]
fn a_local_runtime_with_workers() {
    refused_here("build it with `Builder::new_current_thread`", || {
        Builder::new_multi_thread().build_local(LocalOptions::default())
    });
}

/// A local set makes even a multi-thread runtime's root future one of several on its thread.
#[test]
fn blocking_inside_a_local_set() {
    let (runtime, set) = (Flavour::OneWorker.build(), task::LocalSet::new());
    runtime.block_on(set.run_until(async {
        refused_here("here all tasks share this thread", || task::block_in_place(|| ()));
        let task = task::spawn_local(async {
            refused_here("here all tasks share this thread", || task::block_in_place(|| ()));
            refused_here(INSIDE, || Handle::current().block_on(async {}));
        });
        task.await.unwrap();
    }));
    runtime.block_on(async { task::block_in_place(|| ()) });
    // Outside of a runtime nothing forbids it: the set only waits.
    let outside = task::LocalSet::new();
    outside.spawn_local(async move { runtime.block_on(async {}) });
    let mut outside = std::pin::pin!(outside);
    let mut context = Context::from_waker(Waker::noop());
    assert!(outside.as_mut().poll(&mut context).is_ready());
}

#[test]
fn outside_of_a_runtime() {
    refused_here(NO_RUNTIME, || time::sleep(SECOND));
    refused_here(NO_RUNTIME, || time::sleep_until(Instant::now()));
    refused_here(NO_RUNTIME, || time::interval(SECOND));
    refused_here(NO_RUNTIME, || time::timeout(SECOND, async {}));
    refused_here(NO_RUNTIME, || time::pause());
    refused_here(NO_RUNTIME, || time::resume());
    refused_here(NO_RUNTIME, || task::spawn(async {}));
    refused_here(NO_RUNTIME, || task::spawn_blocking(|| ()));
    refused_here(NO_RUNTIME, || Handle::current());
    refused_here("there is no task here", || task::id());
    let error = Handle::try_current().unwrap_err();
    assert!(error.is_missing_context() && !error.is_thread_local_destroyed());
    assert!(error.to_string().contains(NO_RUNTIME));
}

jenny::task_local! { static NUMBER: u32 }

#[test]
fn task_locals_out_of_place() {
    const UNSET: &str = "the task-local value is not set here";
    const INSIDE_WITH: &str = "inside its own `with`";
    refused_here(UNSET, || NUMBER.get());
    refused_here(UNSET, || NUMBER.with(|number| *number));
    NUMBER.sync_scope(1, || {
        NUMBER.with(|_| refused_here(INSIDE_WITH, || NUMBER.sync_scope(2, || ())));
        let mut future = Box::pin(NUMBER.scope(2, async {}));
        let context = &mut Context::from_waker(Waker::noop());
        NUMBER.with(|_| refused_here(INSIDE_WITH, || future.as_mut().poll(context)));
        assert!(future.as_mut().poll(context).is_ready());
        refused_here("after it had been ready", || future.as_mut().poll(context));
        assert_eq!(NUMBER.get(), 1);
    });
}

#[test]
fn names_and_sets_outside_of_a_runtime() {
    refused_here(NO_RUNTIME, || task::Builder::new().name("x").spawn(async {}));
    refused_here(NO_RUNTIME, || task::Builder::new().name("x").spawn_blocking(|| ()));
    refused_here(NO_RUNTIME, || JoinSet::new().spawn(async {}));
    refused_here(NO_RUNTIME, || JoinSet::new().spawn_blocking(|| ()));
    refused_here(NO_RUNTIME, || JoinSet::new().build_task().spawn(async {}));
    refused_here(NO_RUNTIME, || drop(JoinSet::from_iter([async {}])));
}

/// The destructor of a thread-local looks for the runtime when its own is gone.
#[test]
fn while_the_thread_ends() {
    struct Last(mpsc::Sender<bool>);
    impl Drop for Last {
        fn drop(&mut self) {
            let error = Handle::try_current().unwrap_err();
            let says_so = error.is_thread_local_destroyed() && !error.is_missing_context();
            self.0.send(says_so).unwrap();
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    let runtime = Builder::new_current_thread().build().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // Before the runtime uses variables of its own, so that it is dropped after them.
        LAST.set(Some(Last(tell)));
        runtime.block_on(async {});
    })
    .join()
    .unwrap();
    assert!(told.recv().unwrap());
}

#[test]
fn impossible_settings() {
    refused_here("at least one worker", || Builder::new_multi_thread().worker_threads(0).build());
    refused_here("at most", || Builder::new_multi_thread().worker_threads(70_000).build());
    refused_here("at least one thread", || {
        Builder::new_current_thread().max_blocking_threads(0).build()
    });
    refused_here("pass 1 or more", || Builder::new_current_thread().event_interval(0).build());
    refused_here("pass 1 or more", || {
        Builder::new_current_thread().max_io_events_per_tick(0).build()
    });
    refused_here("pass 1 or more", || {
        Builder::new_current_thread().global_queue_interval(0).build()
    });
    refused_here("a blank name", || Builder::new_current_thread().name(" ").build());
    refused_here("use `Builder::new_current_thread`", || {
        Builder::new_multi_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime).build()
    });
}

#[test]
fn blocking_on_a_runtime_that_a_panic_has_ended() {
    let runtime = Builder::new_current_thread()
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .build()
        .unwrap();
    drop(runtime.spawn(async { panic!("on purpose") }));
    for _ in 0..2 {
        refused_here("a task has panicked, and `unhandled_panic` says", || {
            runtime.block_on(std::future::pending::<()>())
        });
    }
}
