//! Values that go with a future.

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use jenny::{
    sync::Notify,
    task::{self, spawn, yield_now},
    task_local,
};

use crate::support::on_every_runtime;

task_local! {
    /// Attributes, visibilities and several declarations at once.
    #[allow(dead_code)]
    pub(crate) static NUMBER: u32;
    static TEXT: String;
    static STEPS: Cell<u32>
}

task_local! {}

/// Writes down what it sees of `NUMBER` when it is dropped.
struct Witness(Arc<Mutex<Vec<Option<u32>>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(NUMBER.try_get().ok());
    }
}

on_every_runtime! {
    fn each_task_sees_its_own(flavour: Flavour) {
        flavour.build().block_on(async {
            let tasks: Vec<_> = (0..1_000)
                .map(|i| {
                    spawn(NUMBER.scope(i, async move {
                        for _ in 0..5 {
                            assert_eq!(NUMBER.get(), i);
                            yield_now().await;
                        }
                        // A task that is spawned inside is outside.
                        spawn(async { assert!(NUMBER.try_get().is_err()) }).await.unwrap();
                        NUMBER.with(|number| *number)
                    }))
                })
                .collect();
            for (i, task) in (0..).zip(tasks) {
                assert_eq!(task.await.unwrap(), i);
            }
            assert!(NUMBER.try_get().is_err());
        });
    }

    fn scopes_nest(flavour: Flavour) {
        flavour.build().block_on(async {
            let inner = async {
                yield_now().await;
                (NUMBER.get(), TEXT.with(String::clone))
            };
            let middle = async {
                let seen = NUMBER.scope(2, inner).await;
                (seen, NUMBER.get())
            };
            let outer = TEXT.scope("text".into(), NUMBER.scope(1, middle));
            assert_eq!(outer.await, ((2, String::from("text")), 1));
            let sync = NUMBER.sync_scope(3, || (NUMBER.sync_scope(4, || NUMBER.get()), NUMBER.get()));
            assert_eq!(sync, (4, 3));
        });
    }

    /// A future is dropped in its scope when it is ready, and when it is dropped before.
    fn drops_see_the_value(flavour: Flavour) {
        flavour.build().block_on(async {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let scope = |number| {
                let witness = Witness(Arc::clone(&seen));
                NUMBER.scope(number, poll_fn(move |_| {
                    let _held = &witness;
                    Poll::Ready(())
                }))
            };
            scope(1).await;
            drop(scope(2));
            NUMBER.sync_scope(7, || drop(scope(3)));
            let task = spawn(NUMBER.scope(4, {
                let witness = Witness(Arc::clone(&seen));
                async move {
                    let _witness = witness;
                    pending::<()>().await;
                }
            }));
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 4].map(Some));
        });
    }

    fn panics_leave_the_slot_as_it_was(flavour: Flavour) {
        flavour.build().block_on(async {
            let failed = spawn(NUMBER.scope(1, async { panic!("on purpose") })).await;
            assert!(failed.unwrap_err().is_panic());
            NUMBER
                .scope(2, async {
                    let sync = || NUMBER.sync_scope(3, || panic!("on purpose"));
                    assert!(catch_unwind(sync).is_err());
                    assert_eq!(NUMBER.get(), 2);
                    let mut inner = pin!(NUMBER.scope(4, async { panic!("on purpose") }));
                    let polled = catch_unwind(AssertUnwindSafe(|| {
                        inner.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                    }));
                    assert!(polled.is_err());
                    assert_eq!(NUMBER.get(), 2);
                    assert_eq!(inner.take_value(), Some(4));
                })
                .await;
            assert!(NUMBER.try_get().is_err());
        });
    }

    fn a_value_can_be_taken_back(flavour: Flavour) {
        flavour.build().block_on(async {
            let open = Arc::new(Notify::new());
            let mut counts = pin!(STEPS.scope(Cell::new(0), async {
                for _ in 0..3 {
                    STEPS.with(|steps| steps.set(steps.get() + 1));
                    yield_now().await;
                }
                open.notified().await;
                STEPS.try_with(Cell::get)
            }));
            jenny::select! {
                biased;
                _ = counts.as_mut() => unreachable!("nobody has opened"),
                () = async { for _ in 0..5 { yield_now().await } } => {}
            }
            assert_eq!(counts.as_mut().take_value(), Some(Cell::new(3)));
            assert_eq!(counts.as_mut().take_value(), None);
            // It goes on without.
            open.notify_one();
            assert!(counts.await.is_err());
        });
    }

    /// Two futures of one task, polled in turn.
    fn siblings_do_not_mix(flavour: Flavour) {
        flavour.build().block_on(async {
            let looks = async |number| {
                for _ in 0..100 {
                    assert_eq!(NUMBER.get(), number);
                    yield_now().await;
                }
            };
            jenny::join!(NUMBER.scope(1, looks(1)), NUMBER.scope(2, looks(2)));
        });
    }

    fn a_blocking_job_is_outside(flavour: Flavour) {
        flavour.build().block_on(NUMBER.scope(1, async {
            task::spawn_blocking(|| assert!(NUMBER.try_get().is_err())).await.unwrap();
        }));
    }
}

#[test]
fn works_without_a_runtime() {
    assert_eq!(NUMBER.sync_scope(1, || NUMBER.get()), 1);
    let future = pin!(NUMBER.scope(2, async { NUMBER.get() }));
    assert_eq!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(2));
}

#[test]
fn a_thread_that_ends_has_no_scopes() {
    struct Last(RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            // The slot may be gone: the future is dropped all the same.
            drop(self.0.take());
            assert!(TEXT.try_with(|_| ()).is_err());
        }
    }
    thread_local!(static LAST: Last = const { Last(RefCell::new(None)) });
    let dropped = Arc::new(());
    let held = Arc::clone(&dropped);
    std::thread::spawn(move || {
        LAST.with(|last| {
            last.0.replace(Some(Box::pin(TEXT.scope(String::new(), async move {
                let _held = held;
                pending::<()>().await;
            }))));
        });
        // Initialised after, so destroyed before.
        TEXT.sync_scope(String::from("text"), || TEXT.with(|text| assert_eq!(text, "text")));
    })
    .join()
    .unwrap();
    assert_eq!(Arc::strong_count(&dropped), 1);
}

#[test]
fn debug_shows_what_there_is() {
    let mut future = Box::pin(NUMBER.scope(7, async {}));
    assert_eq!(format!("{future:?}"), "TaskLocalFuture { value: Some(7), .. }");
    future.as_mut().take_value();
    assert_eq!(format!("{future:?}"), "TaskLocalFuture { value: None, .. }");
    assert_eq!(format!("{NUMBER:?}"), "LocalKey<u32>");
}
