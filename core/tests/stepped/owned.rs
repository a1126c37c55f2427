//! An owned list keeps what is not its own from being unlinked there: that would corrupt two lists.

use std::{
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::Arc,
};

use jenny_core::{
    owned::{Closed, LocalOwnedTasks},
    scheduler::Current,
    task::{self, JoinHandle, Outcome, OwnedRef, Runnable, Schedule, Spawned},
};

use crate::{alloc::no_leaks, probe::result, toy::Toy};

/// A scheduler whose tasks are run by hand.
struct ByHand(Toy);

// SAFETY: nothing wakes these tasks, so none is scheduled; each is on this thread all the time; the
// cells are counted by the `Arc`.
unsafe impl Schedule for ByHand {
    type Platform = Toy;

    unsafe fn schedule(_: NonNull<Self>, _: Runnable) {
        unreachable!("nobody wakes it");
    }

    unsafe fn retire(_: NonNull<Self>, done: OwnedRef) {
        drop(done);
    }

    fn is_local(_: NonNull<Self>) -> bool {
        true
    }

    unsafe fn release(this: NonNull<Self>, place: task::Place) {
        drop(place);
        // SAFETY: the count was the cell's, and came from `into_raw`.
        drop(unsafe { Arc::from_raw(this.as_ptr().cast_const()) });
    }

    fn charge() -> bool {
        true
    }
}

/// A task that is ready at its first poll.
fn spawn(number: u8) -> (Runnable, JoinHandle<u8>) {
    let scheduler = Arc::new(ByHand(Toy::new(0, false)));
    let id = Current::new_task_id(&scheduler.0);
    let counted = NonNull::new(Arc::into_raw(scheduler).cast_mut()).unwrap();
    // SAFETY: the count was taken; the future is `Send` and `'static`.
    unsafe { task::new(ready(number), counted, id, Spawned::here()) }
}

fn run(task: Runnable) -> OwnedRef {
    match task.run() {
        Outcome::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_takes_back_its_own_only() {
    no_leaks(|| {
        let lists = [LocalOwnedTasks::new(0), LocalOwnedTasks::new(1)];
        for worker in [0, 1] {
            let (task, join) = spawn(worker);
            let list = &lists[usize::from(worker)];
            list.bind(&task).unwrap();
            assert_eq!(list.len(), 1);
            list.remove(run(task));
            assert!(list.is_empty());
            assert_eq!(result(join).unwrap(), worker);
        }
        let (fresh, of_none) = spawn(2);
        let (task, of_another) = spawn(3);
        lists[0].bind(&task).unwrap();
        for done in [run(fresh), run(task)] {
            let removed = catch_unwind(AssertUnwindSafe(|| lists[1].remove(done)));
            let message = *removed.unwrap_err().downcast::<&str>().unwrap();
            assert!(message.contains("a list it is not in"), "{message}");
        }
        assert_eq!((lists[0].len(), lists[1].len()), (1, 0));
        // The list first: its task, whose reference the panic has dropped, lives by the handle alone.
        drop(lists);
        assert_eq!((result(of_none).unwrap(), result(of_another).unwrap()), (2, 3));
    });
}

#[test]
fn a_closed_list_takes_none() {
    no_leaks(|| {
        let list = LocalOwnedTasks::new(0);
        list.close(|_| unreachable!("it is empty"));
        let (late, join) = spawn(4);
        assert_eq!(list.bind(&late), Err(Closed));
        drop(late.cancel());
        assert!(result(join).unwrap_err().is_cancelled());
    });
}
