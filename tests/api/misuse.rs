//! What is not allowed says so, what to do instead, and where the caller is.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
    thread,
};

use jenny::{
    net::TcpListener,
    runtime::{Builder, Handle},
    task,
};

use crate::support::on_every_runtime;

struct Panic {
    message: String,
    file: String,
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
            let panic = Panic {
                message: info.payload_as_str().unwrap_or_default().into(),
                file: info.location().map(|location| location.file().into()).unwrap_or_default(),
            };
            LAST.with(|last| last.replace(Some(panic)));
            outer(info);
        }));
    });
    let result = catch_unwind(AssertUnwindSafe(misuse));
    assert!(result.is_err(), "this misuse goes unnoticed");
    LAST.take().expect("the hook has seen it")
}

/// Panics with this text, and at the caller's line.
#[track_caller]
fn refused_here<R>(text: &str, misuse: impl FnOnce() -> R) {
    let panic = panic_of(misuse);
    assert!(panic.message.contains(text), "{}", panic.message);
    assert!(panic.file.ends_with("misuse.rs"), "blamed on {}", panic.file);
}

const NO_RUNTIME: &str = "there is no jenny runtime here";
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
            assert!(panic.message.contains("spawn_blocking"), "{}", panic.message);
            // It has ended all the same.
            assert!(left.spawn(async {}).await.unwrap_err().is_cancelled());
        });
        // The remedy that the message names.
        let inner = flavour.build();
        runtime.block_on(async { task::spawn_blocking(|| drop(inner)).await.unwrap() });
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
            Flavour::CurrentThread => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let runtime = builder.build().unwrap();
        let socket = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        runtime.block_on(async {
            refused_here("call `enable_io` or `enable_all`", || TcpListener::from_std(socket()));
        });
    }
}

#[test]
fn outside_of_a_runtime() {
    refused_here(NO_RUNTIME, || task::spawn(async {}));
    refused_here(NO_RUNTIME, || task::spawn_blocking(|| ()));
    refused_here(NO_RUNTIME, || Handle::current());
    refused_here("there is no task here", || task::id());
    let error = Handle::try_current().unwrap_err();
    assert!(error.is_missing_context() && !error.is_thread_local_destroyed());
    assert!(error.to_string().contains(NO_RUNTIME));
}

/// The destructor of a thread-local looks for the runtime when its own may be gone.
#[test]
fn while_the_thread_ends() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            assert!(Handle::try_current().is_err());
        }
    }
    thread_local!(static LAST: Last = const { Last });
    let runtime = Builder::new_current_thread().build().unwrap();
    thread::spawn(move || {
        LAST.with(|_| ());
        runtime.block_on(async {});
    })
    .join()
    .unwrap();
}

#[test]
fn impossible_settings() {
    refused_here("at least one worker", || Builder::new_multi_thread().worker_threads(0).build());
    refused_here("at most", || Builder::new_multi_thread().worker_threads(70_000).build());
    refused_here("at least one thread", || {
        Builder::new_current_thread().max_blocking_threads(0).build()
    });
    refused_here("pass 1 or more", || Builder::new_current_thread().event_interval(0).build());
}
