//! The drop of a set cancels its tasks, on its own thread, whatever they are doing.

use super::*;
use crate::{local_support::drop_while_others_wake, support::Flavour};

fn with_tasks(act: impl Fn(LocalSet, &crate::support::TestRuntime)) {
    for flavour in [Flavour::CurrentThread, Flavour::Local, Flavour::FourWorkers] {
        act(LocalSet::new(), &flavour.build());
    }
}

#[test]
fn with_tasks_in_every_state() {
    with_tasks(|set, runtime| {
        let places: Vec<_> = (0..3).map(|_| DroppedOn::new()).collect();
        let (held, places): (Vec<_>, Vec<_>) = places.into_iter().unzip();
        let mut held = held.into_iter();
        let mut wait = || {
            let held = held.next();
            async move {
                let _held = held;
                pending::<()>().await;
            }
        };
        let waiting = set.spawn_local(wait());
        runtime.block_on(set.run_until(yield_now()));
        let fresh = set.spawn_local(wait());
        let aborted = set.spawn_local(wait());
        aborted.abort();
        drop(set);
        for place in places {
            assert_eq!(place.get(), Some(thread::current().id()));
        }
        for task in [waiting, fresh, aborted] {
            assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        }
    });
}

/// What the drops of futures spawn belongs to the set, and is cancelled with it.
#[test]
fn with_futures_that_spawn_and_wake_when_they_are_dropped() {
    struct Busy(Rc<Cell<usize>>, Option<Waker>);
    impl Drop for Busy {
        fn drop(&mut self) {
            let held = Rc::clone(&self.0);
            let late = spawn_local(async move {
                let _held = held;
                pending::<()>().await;
            });
            late.abort();
            self.1.take().into_iter().for_each(Waker::wake);
            self.0.set(self.0.get() + 1);
        }
    }
    with_tasks(|set, runtime| {
        let drops = Rc::new(Cell::new(0));
        for _ in 0..20 {
            let mut busy = Busy(Rc::clone(&drops), None);
            set.spawn_local(poll_fn(move |context| {
                let busy = &mut busy;
                busy.1 = Some(context.waker().clone());
                Poll::<()>::Pending
            }));
        }
        runtime.block_on(set.run_until(yield_now()));
        drop(set);
        assert_eq!(drops.get(), 20);
        assert_eq!(Rc::strong_count(&drops), 1, "what was spawned meanwhile is gone, too");
    });
}

/// In a task of the runtime that polled it, and in the drop of that task.
#[test]
fn inside_a_runtime() {
    with_tasks(|set, runtime| {
        let (held, place) = DroppedOn::new();
        set.spawn_local(async move {
            let _held = held;
            pending::<()>().await;
        });
        runtime.block_on(async {
            let mut future = Box::pin(set);
            let (_, waker) = Host::new();
            assert!(poll(future.as_mut(), &waker).is_pending());
            drop(future);
        });
        assert_eq!(place.get(), Some(thread::current().id()));
    });
}

/// A guard that is still alive spawns what is cancelled at once.
#[test]
fn with_a_guard_alive() {
    with_tasks(|set, runtime| {
        let guard = set.enter();
        drop(set);
        let (held, place) = DroppedOn::new();
        let task = spawn_local(async move { drop(held) });
        assert!(place.get().is_some());
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        drop(guard);
    });
}

#[test]
fn at_the_end_of_its_thread() {
    thread_local!(static LAST: RefCell<Option<LocalSet>> = const { RefCell::new(None) });
    let drops = Arc::new(());
    let held = Arc::clone(&drops);
    thread::spawn(move || {
        LAST.set(None);
        let set = LocalSet::new();
        set.spawn_local(async move {
            let _held = held;
            pending::<()>().await;
        });
        LAST.set(Some(set));
    })
    .join()
    .unwrap();
    assert_eq!(Arc::strong_count(&drops), 1);
}

/// Wakers of its tasks are used on other threads before, during and after the drop.
#[test]
fn while_other_threads_wake() {
    within_a_minute(|| {
        for _ in 0..200 {
            let (_, host) = Host::new();
            drop_while_others_wake(
                Box::pin(LocalSet::new()),
                |set, task| drop(set.spawn_local(task)),
                |set| assert!(poll(set.as_mut(), &host).is_pending()),
            );
        }
    });
}
