//! `LocalRuntime`: what it does beyond the suite, which runs on it as on the others.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    hint::black_box,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Builder, Handle, LocalOptions, LocalRuntime, RuntimeFlavor},
    sync::oneshot,
    task::{LocalSet, spawn, spawn_blocking, spawn_local, yield_now},
};

use crate::{
    local_support::{DroppedOn, drop_while_others_wake},
    support::within_a_minute,
};

async fn holds<T>(held: T) {
    let _held = held;
    pending::<()>().await;
}

fn new() -> LocalRuntime {
    LocalRuntime::new().unwrap()
}

#[test]
fn every_way_to_spawn() {
    let runtime = new();
    let sum = Rc::new(Cell::new(0));
    let add = |n| {
        let sum = Rc::clone(&sum);
        async move {
            yield_now().await;
            sum.set(sum.get() + n);
        }
    };
    runtime.spawn_local(add(1));
    {
        let _entered = runtime.enter();
        spawn_local(add(10));
        drop(spawn(async {}));
    }
    {
        let handle = runtime.handle().clone();
        let _entered = handle.enter();
        spawn_local(add(100));
    }
    runtime.block_on(async {
        let inner = add(1_000);
        let task = spawn_local(async move { spawn_local(inner).await.unwrap() });
        runtime.spawn_local(add(10_000)).await.unwrap();
        task.await.unwrap();
        // A task that is `Send` may spawn one that is not: it runs on this thread, too.
        spawn(async { spawn_local(async { *Rc::new(4) }).await.unwrap() }).await.unwrap();
    });
    assert_eq!(sum.get(), 11_111);
}

#[test]
fn everything_runs_on_its_thread() {
    let runtime = new();
    let handle = runtime.handle().clone();
    assert_eq!(handle.runtime_flavor(), RuntimeFlavor::CurrentThread);
    let here = thread::current().id();
    let from_elsewhere =
        thread::spawn(move || handle.spawn(async { thread::current().id() })).join().unwrap();
    runtime.block_on(async {
        assert_eq!(from_elsewhere.await.unwrap(), here);
        assert_eq!(spawn_local(async { thread::current().id() }).await.unwrap(), here);
        assert_ne!(spawn_blocking(|| thread::current().id()).await.unwrap(), here);
    });
}

/// Another thread blocks on its handle, and spawns, while this one runs the tasks.
#[test]
fn other_threads_use_its_handle() {
    within_a_minute(|| {
        let runtime = new();
        let (done, is_done) = oneshot::channel();
        let handle = runtime.handle().clone();
        let other = thread::spawn(move || {
            let sum = handle.block_on(async {
                let tasks: Vec<_> = (0..50).map(|i| spawn(async move { i })).collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap();
                }
                sum
            });
            done.send(sum).unwrap();
        });
        assert_eq!(runtime.block_on(is_done).unwrap(), 1_225);
        other.join().unwrap();
    });
}

#[test]
fn an_abort_from_another_thread_drops_the_future_here() {
    let runtime = new();
    let (held, place) = DroppedOn::new();
    let task = runtime.spawn_local(holds(held));
    runtime.block_on(yield_now());
    let abort = task.abort_handle();
    thread::spawn(move || abort.abort()).join().unwrap();
    assert_eq!(place.get(), None);
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    assert_eq!(place.get(), Some(thread::current().id()));
}

/// Idle, queued in its inbox and queued by itself, in each way to end.
#[test]
fn every_end_cancels_on_this_thread() {
    let ends: [fn(LocalRuntime); 3] = [
        |runtime| drop(runtime),
        |runtime| runtime.shutdown_timeout(Duration::from_secs(20)),
        |runtime| runtime.shutdown_background(),
    ];
    for end in ends {
        let runtime = new();
        let handle = runtime.handle().clone();
        let places = RefCell::new(Vec::new());
        let task = || {
            let (held, place) = DroppedOn::new();
            places.borrow_mut().push(place);
            holds(held)
        };
        let mut tasks = vec![runtime.spawn_local(task())];
        runtime.block_on(async {
            yield_now().await;
            tasks.push(spawn_local(task()));
        });
        tasks.push(runtime.spawn_local(task()));
        end(runtime);
        for place in places.into_inner() {
            assert_eq!(place.get(), Some(thread::current().id()));
        }
        for task in tasks {
            assert!(handle.block_on(task).unwrap_err().is_cancelled());
        }
    }
}

/// What the drops of futures spawn is cancelled, and so is what is spawned afterwards.
#[test]
fn nothing_is_spawned_after_the_end() {
    struct Spawns(Rc<Cell<usize>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            drop(spawn_local(holds(Rc::clone(&self.0))));
        }
    }
    let runtime = new();
    let handle = runtime.handle().clone();
    let drops = Rc::new(Cell::new(0));
    for _ in 0..10 {
        runtime.spawn_local(holds(Spawns(Rc::clone(&drops))));
    }
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!((drops.get(), Rc::strong_count(&drops)), (10, 1));

    let _entered = handle.enter();
    let (held, place) = DroppedOn::new();
    let late = spawn_local(holds(held));
    assert_eq!(place.get(), Some(thread::current().id()));
    assert!(late.is_finished());
}

#[test]
fn wakers_are_used_elsewhere_while_it_ends_and_afterwards() {
    within_a_minute(|| {
        for _ in 0..100 {
            let runtime =
                Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
            drop_while_others_wake(
                runtime,
                |runtime, task| drop(runtime.spawn_local(task)),
                |runtime| runtime.block_on(yield_now()),
            );
        }
    });
}

/// A set inside it takes its own tasks; outside of the set they are the runtime's.
#[test]
fn a_set_inside_it() {
    let (runtime, set) = (new(), LocalSet::new());
    runtime.block_on(async {
        let (inside, outside) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (told_inside, told_outside) = (Rc::clone(&inside), Rc::clone(&outside));
        set.run_until(async { drop(spawn_local(async move { told_inside.set(true) })) }).await;
        spawn_local(async move { told_outside.set(true) }).await.unwrap();
        assert_eq!((inside.get(), outside.get()), (false, true), "nobody has polled the set since");
        set.await;
        assert!(inside.get());
    });
}

/// Entered inside a set, it is the innermost; and another runtime inside it changes nothing.
#[test]
fn the_innermost_counts() {
    let (runtime, set) = (new(), LocalSet::new());
    let other = Builder::new_current_thread().build().unwrap();
    let _set = set.enter();
    let ours = {
        let _runtime = runtime.enter();
        let _other = other.enter();
        let id = runtime.handle().id();
        assert_ne!(Handle::current().id(), id);
        spawn_local(async move { assert_eq!(Handle::current().id(), id) })
    };
    let the_sets = spawn_local(async {});
    runtime.block_on(ours).unwrap();
    runtime.block_on(yield_now());
    assert!(!the_sets.is_finished());
    runtime.block_on(set);
    assert!(the_sets.is_finished());
}

/// Both sizes, and more than one way to hand them over.
#[test]
fn large_futures() {
    let runtime = new();
    let large = [7_u8; 20_000];
    let task = runtime.spawn_local(async move {
        yield_now().await;
        large
    });
    let output = runtime.block_on(async move {
        let also = spawn_local(async move {
            yield_now().await;
            large
        });
        (large, also.await.unwrap(), task.await.unwrap())
    });
    assert!(output.0 == large && output.1 == large && output.2 == large);
}

/// It is moved to the heap before anything else is done with it, so no stack has room for two.
#[test]
fn large_futures_do_not_lie_on_the_stack() {
    #[inline(never)]
    fn stack() -> usize {
        let place = 0_u8;
        (&raw const *black_box(&place)).addr()
    }
    /// Whether the future that has this lies between the frame of its poll and the caller's.
    async fn is_on_the_stack<const N: usize>(above: usize) -> bool {
        let held = black_box([7_u8; N]);
        yield_now().await;
        (stack()..above).contains(&held.as_ptr().addr())
    }
    let runtime = new();
    let above = stack();
    assert!(runtime.block_on(is_on_the_stack::<64>(above)));
    assert!(!runtime.block_on(is_on_the_stack::<100_000>(above)));
}

#[jenny::test(flavor = "local")]
async fn the_attribute_makes_one() {
    let unsendable = Rc::new(3);
    assert_eq!(spawn_local(async move { *unsendable }).await.unwrap(), 3);
    let shared = Arc::new(4);
    assert_eq!(spawn(async move { *shared }).await.unwrap(), 4);
}

#[test]
fn it_is_neither_send_nor_sync() {
    trait Ambiguous<A> {
        fn here() {}
    }
    struct Sendable;
    struct Shareable;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Send> Ambiguous<Sendable> for T {}
    impl<T: ?Sized + Sync> Ambiguous<Shareable> for T {}
    // These compile only while there is one impl to choose: that for types that are neither.
    <LocalRuntime as Ambiguous<_>>::here();
    <LocalSet as Ambiguous<_>>::here();
}
