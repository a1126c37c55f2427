//! `LocalSet`: tasks that stay on their thread, inside whatever polls the set.

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Handle, Runtime, RuntimeFlavor, UnhandledPanic},
    sync::{Notify, oneshot},
    task::{self, LocalSet, spawn, spawn_local, yield_now},
};

use crate::{
    local_support::DroppedOn,
    support::{on_every_runtime, on_every_shared_runtime, within_a_minute},
};

mod dropped;
mod host;

/// Counts its wakes.
#[derive(Default)]
struct Host(AtomicUsize);

impl Host {
    fn new() -> (Arc<Self>, Waker) {
        let host = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&host));
        (host, waker)
    }

    fn wakes(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

impl Wake for Host {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

on_every_runtime! {
    fn tasks_need_not_be_send(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let here = thread::current().id();
        let shared = Rc::new(RefCell::new(Vec::new()));
        runtime.block_on(set.run_until(async {
            let tasks: Vec<_> = (0..200)
                .map(|i| {
                    let shared = Rc::clone(&shared);
                    spawn_local(async move {
                        yield_now().await;
                        shared.borrow_mut().push(i);
                        (Rc::new(i), thread::current().id())
                    })
                })
                .collect();
            for (i, task) in tasks.into_iter().enumerate() {
                let (number, thread) = task.await.unwrap();
                assert_eq!((*number, thread), (i, here));
            }
        }));
        assert_eq!(*shared.borrow(), (0..200).collect::<Vec<_>>());
    }

    /// From before the first poll, from a task, from the root future, with a guard, and by name.
    fn every_way_to_spawn(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let done = Rc::new(Cell::new(0));
        let step = || {
            let done = Rc::clone(&done);
            async move {
                yield_now().await;
                done.set(done.get() + 1);
            }
        };
        let early = set.spawn_local(step());
        let with_guard = {
            let _entered = set.enter();
            spawn_local(step())
        };
        runtime.block_on(set.run_until(async {
            let inner = step();
            let nested = spawn_local(async move { spawn_local(inner).await.unwrap() });
            let by_name = set.spawn_local(step());
            early.await.unwrap();
            with_guard.await.unwrap();
            nested.await.unwrap();
            by_name.await.unwrap();
        }));
        assert_eq!(done.get(), 4);
    }

    fn the_set_is_ready_when_its_tasks_are(flavour: Flavour) {
        let runtime = flavour.build();
        let done = Rc::new(Cell::new(0));
        let set = LocalSet::new();
        // More than one poll of the set gets through.
        for _ in 0..500 {
            let done = Rc::clone(&done);
            set.spawn_local(async move {
                yield_now().await;
                // A task of a task, too.
                spawn_local(async move { done.set(done.get() + 1) });
            });
        }
        runtime.block_on(set);
        assert_eq!(done.get(), 500);
        runtime.block_on(LocalSet::default());
    }

    fn a_set_can_be_awaited_in_parts(flavour: Flavour) {
        let (runtime, mut set) = (flavour.build(), LocalSet::new());
        for round in 0..3 {
            let done = Rc::new(Cell::new(false));
            let told = Rc::clone(&done);
            set.spawn_local(async move { told.set(true) });
            runtime.block_on(async { (&mut set).await });
            assert!(done.get(), "round {round}");
        }
    }

    fn tasks_wait_for_the_next_poll(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let steps = Rc::new(Cell::new(0));
        let taken = Rc::clone(&steps);
        let task = set.spawn_local(async move {
            for _ in 0..500 {
                taken.set(taken.get() + 1);
                yield_now().await;
            }
        });
        runtime.block_on(set.run_until(yield_now()));
        let before = steps.get();
        assert!(before > 0 && !task.is_finished());
        runtime.block_on(async { spawn(yield_now()).await.unwrap() });
        assert_eq!(steps.get(), before, "nobody polls the set");
        runtime.block_on(set.run_until(task)).unwrap();
        assert_eq!(steps.get(), 500);
    }

    fn spawn_goes_to_the_runtime_around(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let id = runtime.handle().id();
        runtime.block_on(set.run_until(async move {
            let local = spawn_local(async move {
                assert_eq!(Handle::current().id(), id);
                let there = spawn(async { (Handle::current().id(), thread::current().id()) });
                let job = task::spawn_blocking(|| Handle::current().id());
                assert_eq!(job.await.unwrap(), id);
                there.await.unwrap()
            });
            let (runtime, thread) = local.await.unwrap();
            assert_eq!(runtime, id);
            if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
                assert_ne!(thread, thread::current().id());
            }
        }));
    }

    fn wakes_from_other_threads(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            for round in 0..100 {
                let (tell, told) = oneshot::channel();
                let task = spawn_local(async move { Rc::new(told.await.unwrap()) });
                let other = thread::spawn(move || {
                    if round % 2 == 0 {
                        thread::sleep(Duration::from_micros(100));
                    }
                    tell.send(round).unwrap();
                });
                assert_eq!(*task.await.unwrap(), round);
                other.join().unwrap();
            }
        }));
    }

    fn a_local_task_uses_the_drivers(flavour: Flavour) {
        use jenny::{io::{AsyncReadExt, AsyncWriteExt}, net::{TcpListener, TcpStream}, time::sleep};
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn_local(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                sleep(Duration::from_millis(2)).await;
                stream.write_all(b"yarn").await.unwrap();
            });
            let mut text = String::new();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.read_to_string(&mut text).await.unwrap();
            server.await.unwrap();
            assert_eq!(text, "yarn");
        }));
    }

    /// Sets inside sets: each task goes to the innermost one.
    fn sets_inside_sets(flavour: Flavour) {
        let (runtime, outer, inner) = (flavour.build(), LocalSet::new(), Rc::new(LocalSet::new()));
        let log = Rc::new(RefCell::new(Vec::new()));
        let note = |what| {
            let log = Rc::clone(&log);
            async move { log.borrow_mut().push(what) }
        };
        runtime.block_on(outer.run_until(async {
            let (first, second) = (note("inner"), note("inner, from a task"));
            let set = Rc::clone(&inner);
            let nested = spawn_local(async move {
                set.run_until(async move {
                    spawn_local(async move {
                        first.await;
                        spawn_local(second).await.unwrap();
                    })
                    .await
                    .unwrap();
                })
                .await;
                // The inner set is left: this one is the outer's.
                spawn_local(note_outer()).await.unwrap()
            });
            assert_eq!(nested.await.unwrap(), 7);
        }));
        assert_eq!(*log.borrow(), ["inner", "inner, from a task"]);
        // The outer set's task ended although nobody polls the inner one any more.
        let left = inner.spawn_local(pending::<()>());
        drop(inner);
        assert!(runtime.block_on(left).unwrap_err().is_cancelled());

        async fn note_outer() -> i32 {
            yield_now().await;
            7
        }
    }

    /// A task waits in `run_until` on its own set.
    fn a_task_runs_its_own_set(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), Rc::new(LocalSet::new()));
        let same = Rc::clone(&set);
        let task = set.spawn_local(async move {
            same.run_until(async {
                let (tell, told) = oneshot::channel();
                spawn_local(async move {
                    yield_now().await;
                    tell.send(5).unwrap();
                });
                told.await.unwrap()
            })
            .await
        });
        assert_eq!(runtime.block_on(set.run_until(task)).unwrap(), 5);
    }

    /// The host of the set is a task among others: it is not starved, and does not starve them.
    fn a_busy_set_lets_its_host_go_on(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let over = Rc::new(Cell::new(false));
        for _ in 0..8 {
            let over = Rc::clone(&over);
            set.spawn_local(async move {
                while !over.get() {
                    yield_now().await;
                }
            });
        }
        runtime.block_on(set.run_until(async {
            for _ in 0..50 {
                yield_now().await;
                // Goes through the scheduler of the runtime and, with time, through its driver.
                spawn(async { jenny::time::sleep(Duration::from_micros(10)).await }).await.unwrap();
            }
            over.set(true);
        }));
        runtime.block_on(set);
    }

    /// Each poll of the set counts as one to its host, and as a tick to the driver.
    fn a_flood_in_a_set_lets_in_the_events_of_a_socket(flavour: Flavour) {
        use jenny::{io::AsyncReadExt, net::TcpListener};
        use std::io::Write;
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            peer.set_nodelay(true).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let polls = Rc::new(Cell::new(0_usize));
            for _ in 0..8 {
                let polls = Rc::clone(&polls);
                spawn_local(async move {
                    loop {
                        polls.set(polls.get() + 1);
                        yield_now().await;
                    }
                });
            }
            for _ in 0..20 {
                let counted = Rc::clone(&polls);
                let before = Rc::new(Cell::new(0));
                let noted = Rc::clone(&before);
                let mut copy = peer.try_clone().unwrap();
                // From a task, so that the reader really waits for the driver.
                spawn_local(async move {
                    noted.set(counted.get());
                    copy.write_all(b"x").unwrap();
                });
                stream.read_exact(&mut [0]).await.unwrap();
                if flavour.has_one_thread() {
                    let waited = polls.get() - before.get();
                    assert!(waited < 1_000, "waited for {waited} polls of others");
                }
            }
        }));
    }

    fn ids_and_budgets_are_those_of_the_task(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            assert_eq!(task::try_id(), None, "the future of `run_until` is no task here");
            let join = spawn_local(async {
                let own = task::id();
                let mut left = 0;
                while task::coop::has_budget_remaining() {
                    task::consume_budget().await;
                    left += 1;
                }
                assert_eq!(task::id(), own);
                (own, left)
            });
            let id = join.id();
            assert_eq!(join.await.unwrap(), (id, 128));
        }));
    }

    fn abort_from_another_thread(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let (held, dropped_on) = DroppedOn::new();
        runtime.block_on(set.run_until(async {
            let task = spawn_local(async move {
                let _held = held;
                pending::<()>().await;
            });
            yield_now().await;
            let abort = task.abort_handle();
            thread::spawn(move || abort.abort()).join().unwrap();
            assert_eq!(dropped_on.get(), None, "not on the aborter's stack");
            assert!(task.await.unwrap_err().is_cancelled());
        }));
        assert_eq!(dropped_on.get(), Some(thread::current().id()));
    }

    fn the_handle_goes_to_another_thread(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let unsendable = Rc::new(());
        let task = set.spawn_local(async move {
            yield_now().await;
            drop(unsendable);
            9
        });
        let handle = runtime.handle().clone();
        let joiner = thread::spawn(move || handle.block_on(task).unwrap());
        set.block_on_any(&runtime);
        assert_eq!(joiner.join().unwrap(), 9);
    }

    fn a_panic_stays_in_its_task(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            let error =
                spawn_local(async { std::panic::resume_unwind(Box::new("oh")) }).await.unwrap_err();
            assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "oh");
            assert_eq!(spawn_local(async { 1 }).await.unwrap(), 1);
        }));
    }

    /// Two tasks of one thread wait on one set; whichever goes first, the other goes on.
    fn several_wait_on_one_set(flavour: Flavour) {
        let (runtime, hosts) = (flavour.build(), LocalSet::new());
        for aborted in [false, true] {
            let set = Rc::new(LocalSet::new());
            let open = Arc::new(Notify::new());
            let gate = Arc::clone(&open);
            let slow = set.spawn_local(async move { gate.notified().await });
            runtime.block_on(hosts.run_until(async {
                let first = {
                    let set = Rc::clone(&set);
                    spawn_local(async move { set.run_until(slow).await.unwrap() })
                };
                yield_now().await;
                // It is the last to have polled the set, and goes away.
                let second = {
                    let set = Rc::clone(&set);
                    spawn_local(async move {
                        if aborted {
                            set.run_until(pending::<()>()).await;
                        }
                        set.run_until(yield_now()).await;
                    })
                };
                yield_now().await;
                yield_now().await;
                if aborted {
                    second.abort();
                }
                assert_eq!(second.await.is_err(), aborted);
                let opener = thread::spawn(move || open.notify_one());
                first.await.unwrap();
                opener.join().unwrap();
            }));
        }
    }

    fn a_large_future(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        runtime.block_on(set.run_until(async {
            let large = [7_u8; 100_000];
            let join = spawn_local(async move {
                yield_now().await;
                large
            });
            assert!(join.await.unwrap().iter().all(|&byte| byte == 7));
        }));
    }
}

/// Runs a set to its end, on any runtime.
trait BlockOnAny {
    fn block_on_any(self, runtime: &crate::support::TestRuntime);
}

impl BlockOnAny for LocalSet {
    fn block_on_any(self, runtime: &crate::support::TestRuntime) {
        runtime.block_on(self);
    }
}

on_every_shared_runtime! {
    fn block_on(flavour: Flavour) {
        let (runtime, set): (Runtime, _) = (flavour.build_shared(), LocalSet::new());
        let borrowed = Rc::new(3);
        let sum = set.block_on(&runtime, async {
            let number = Rc::clone(&borrowed);
            *borrowed + spawn_local(async move { *number }).await.unwrap()
        });
        assert_eq!(sum, 6);
    }
}

/// The set ends, not the runtime around it.
#[test]
fn a_panic_may_end_the_set() {
    for by_run_until in [false, true] {
        let mut set = LocalSet::new();
        set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        let (held, dropped_on) = DroppedOn::new();
        let waiting = set.spawn_local(async move {
            let _held = held;
            pending::<()>().await;
        });
        let panicking = set.spawn_local(async { std::panic::resume_unwind(Box::new("oh")) });
        let ran = Rc::new(Cell::new(false));
        let told = Rc::clone(&ran);
        let behind = set.spawn_local(async move { told.set(true) });
        let (_, waker) = Host::new();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            if by_run_until {
                poll(pin!(set.run_until(pending::<()>())), &waker)
            } else {
                poll(pin!(&mut set), &waker)
            }
        }));
        let message = *ended.unwrap_err().downcast::<&str>().unwrap();
        assert!(message.contains("a task of this `LocalSet` has panicked"), "{message}");
        assert_eq!(dropped_on.get(), Some(thread::current().id()));
        assert!(panicking.is_finished() && behind.is_finished() && waiting.is_finished());
        assert!(!ran.get(), "cancelled before its turn");
        assert!(set.spawn_local(async {}).is_finished(), "cancelled, too");
        let again = catch_unwind(AssertUnwindSafe(|| poll(pin!(&mut set), &waker)));
        assert!(again.is_err());
    }
}

#[test]
fn a_policy_comes_first() {
    let mut set = LocalSet::new();
    set.unhandled_panic(UnhandledPanic::ShutdownRuntime).unhandled_panic(UnhandledPanic::Ignore);
    let panicking = set.spawn_local(async { std::panic::resume_unwind(Box::new("oh")) });
    let late = catch_unwind(AssertUnwindSafe(|| {
        set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    }));
    let message = *late.unwrap_err().downcast::<&str>().unwrap();
    assert!(message.contains("before anything is spawned"), "{message}");
    let (_, waker) = Host::new();
    assert!(poll(pin!(set), &waker).is_ready());
    assert!(panicking.is_finished());
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let sets = [LocalSet::new(), LocalSet::new(), LocalSet::new()];
    let ran = Rc::new(RefCell::new(Vec::new()));
    let spawn_here = |name| {
        let ran = Rc::clone(&ran);
        spawn_local(async move { ran.borrow_mut().push(name) });
    };
    let [first, second, third] = sets.each_ref().map(LocalSet::enter);
    spawn_here("third");
    drop(second);
    spawn_here("third again");
    drop(third);
    spawn_here("first");
    drop(first);
    let (_, waker) = Host::new();
    for (set, expected) in sets.into_iter().zip([&["first"][..], &[], &["third", "third again"]]) {
        assert!(poll(Box::pin(set).as_mut(), &waker).is_ready());
        assert_eq!(ran.take(), expected);
    }
}

#[test]
fn a_leaked_guard_keeps_its_set_entered() {
    thread::spawn(|| {
        let (set, other) = (LocalSet::new(), LocalSet::new());
        std::mem::forget(set.enter());
        drop(other.enter());
        let task = spawn_local(async { 1 });
        let (_, waker) = Host::new();
        assert!(poll(Box::pin(set).as_mut(), &waker).is_ready());
        assert!(task.is_finished());
    })
    .join()
    .unwrap();
}

#[test]
fn sets_have_ids_of_their_own() {
    let (first, second) = (LocalSet::new(), LocalSet::new());
    assert_ne!(first.id(), second.id());
    assert_eq!(first.id(), first.id());
    assert!(format!("{first:?}").contains("LocalSet"));
    assert!(format!("{:?}", first.enter()).contains("LocalEnterGuard"));
}
