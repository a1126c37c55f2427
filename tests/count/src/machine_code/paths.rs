//! One text for both runtimes.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    task::Poll,
    thread,
    time::Duration,
};

use crate::step::{begin, end};

/// How many operations are stepped through.
pub(crate) const OPERATIONS: u64 = 61;

pub(crate) const RUNTIMES: [&str; 2] = ["jenny", "tokio"];

/// The names of the paths.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    JENNY.iter().map(|(name, _)| *name)
}

/// In the child.
pub(crate) fn run(runtime: &str, path: &str) {
    let paths = if runtime == "jenny" { JENNY } else { TOKIO };
    let (_, path) = paths.iter().find(|(name, _)| *name == path).expect("the name of a path");
    path();
}

type Path = (&'static str, fn());

const JENNY: &[Path] = on_jenny::PATHS;
const TOKIO: &[Path] = on_tokio::PATHS;

macro_rules! paths {
    ($module:ident, $runtime:ident) => {
        mod $module {
            use ::$runtime::{
                io::{AsyncReadExt, AsyncWriteExt},
                net::{TcpListener, TcpStream},
                runtime::{Builder, Runtime},
                task::{JoinSet, yield_now},
                time::sleep,
            };

            use super::*;

            pub(super) const PATHS: &[Path] = &[
                ("spawn, worker", || multi_thread().block_on(on_worker(spawn))),
                ("spawn + join, worker", || multi_thread().block_on(on_worker(spawn_join))),
                ("yield_now, worker", || multi_thread().block_on(on_worker(yields))),
                ("JoinSet, spawn + join_next, worker", || {
                    multi_thread().block_on(on_worker(join_set))
                }),
                ("spawn from outside, busy worker", spawn_outside),
                ("block_on, ready future, multi_thread", || block_on(&multi_thread())),
                ("spawn + join, current_thread", || {
                    current_thread().block_on(measured(spawn_join))
                }),
                ("yield_now, current_thread", || current_thread().block_on(on_worker(yields))),
                ("block_on, ready future, current_thread", || block_on(&current_thread())),
                ("sleep, create + drop", || current_thread().block_on(measured(sleep_drop))),
                ("sleep, insert + cancel", || current_thread().block_on(measured(sleep_cancel))),
                ("TCP, 64 B there and back, current_thread", || current_thread().block_on(tcp())),
            ];

            /// With one worker, no task leaves the thread that is stepped.
            fn multi_thread() -> Runtime {
                Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("built")
            }

            fn current_thread() -> Runtime {
                Builder::new_current_thread().enable_all().build().expect("built")
            }

            async fn on_worker<F>(body: fn(u64) -> F)
            where
                F: Future<Output = ()> + Send + 'static,
            {
                ::$runtime::spawn(measured(body)).await.expect("measured");
            }

            /// Once to warm up.
            async fn measured<F: Future<Output = ()>>(body: fn(u64) -> F) {
                body(OPERATIONS).await;
                begin();
                body(OPERATIONS).await;
                end();
            }

            async fn spawn(operations: u64) {
                for _ in 0..operations {
                    drop(::$runtime::spawn(async {}));
                }
            }

            async fn spawn_join(operations: u64) {
                for _ in 0..operations {
                    ::$runtime::spawn(async {}).await.expect("joined");
                }
            }

            async fn yields(operations: u64) {
                for _ in 0..operations {
                    yield_now().await;
                }
            }

            async fn join_set(operations: u64) {
                let mut set = JoinSet::new();
                for _ in 0..operations {
                    set.spawn(async {});
                    set.join_next().await.expect("one").expect("joined");
                }
            }

            fn spawn_outside() {
                static BUSY: AtomicU64 = AtomicU64::new(0);
                static OVER: AtomicBool = AtomicBool::new(false);
                let runtime = multi_thread();
                drop(runtime.spawn(async {
                    BUSY.fetch_add(1, SeqCst);
                    while !OVER.load(SeqCst) {
                        thread::yield_now();
                    }
                }));
                while BUSY.load(SeqCst) < 1 {
                    thread::yield_now();
                }
                drop(runtime.spawn(async {}));
                begin();
                for _ in 0..OPERATIONS {
                    drop(runtime.spawn(async {}));
                }
                end();
                OVER.store(true, SeqCst);
            }

            fn block_on(runtime: &Runtime) {
                runtime.block_on(async {});
                begin();
                for _ in 0..OPERATIONS {
                    runtime.block_on(async {});
                }
                end();
            }

            async fn sleep_drop(operations: u64) {
                for _ in 0..operations {
                    drop(sleep(Duration::from_secs(1)));
                }
            }

            async fn sleep_cancel(operations: u64) {
                for _ in 0..operations {
                    let mut sleep = pin!(sleep(Duration::from_secs(1)));
                    poll_fn(|context| {
                        assert!(sleep.as_mut().poll(context).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                }
            }

            async fn tcp() {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("an address");
                let server = ::$runtime::spawn(async move {
                    let (mut stream, _) = listener.accept().await.expect("accepted");
                    let mut message = [0; 64];
                    while stream.read_exact(&mut message).await.is_ok() {
                        stream.write_all(&message).await.expect("echoed");
                    }
                });
                let mut stream = TcpStream::connect(address).await.expect("connected");
                let mut message = [1; 64];
                for round in 0..OPERATIONS + 10 {
                    if round == 10 {
                        begin();
                    }
                    stream.write_all(&message).await.expect("sent");
                    stream.read_exact(&mut message).await.expect("answered");
                }
                end();
                drop(stream);
                server.await.expect("joined");
            }
        }
    };
}

paths!(on_jenny, jenny);
paths!(on_tokio, tokio);
