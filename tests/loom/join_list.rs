//! Tasks that finish while their set is filled, polled, aborted, emptied and dropped.

use std::{
    sync::Arc as StdArc,
    task::{Context, Poll, Wake, Waker},
};

use jenny::loom_internals::join_list::JoinList;
use jenny_core::task::{JoinError, Runnable};
use loom::{
    sync::{Arc, Notify},
    thread,
};

use crate::{
    harness::{Bounds, check},
    task::{Asleep, Output, Queue, ready, run_until_idle, spawn, spawn_asleep},
};

/// (`std::sync::Arc` around it, because loom's makes no wakers.)
struct Joiner(Arc<Notify>);

impl Wake for Joiner {
    fn wake(self: StdArc<Self>) {
        self.0.notify();
    }
}

/// Takes every result out, and sleeps while there is none: a lost wake is a deadlock.
fn join_all(mut list: JoinList<Output>) -> Vec<Result<Output, JoinError>> {
    let woken = Arc::new(Notify::new());
    let waker = Waker::from(StdArc::new(Joiner(Arc::clone(&woken))));
    let mut results = Vec::new();
    loop {
        match list.poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(mut task)) => results.push(task.try_join().expect("it has finished")),
            Poll::Ready(None) => return results,
            Poll::Pending => woken.wait(),
        }
    }
}

fn run(task: Runnable) {
    drop(run_until_idle(task));
}

#[test]
fn two_ends_against_a_join() {
    check("join list: two tasks finish against join", Bounds::preemptions(2), || {
        let mut list = JoinList::new();
        let ends = [(); 2].map(|()| {
            let (task, join) = spawn(&Queue::new(), ready());
            list.insert(join);
            thread::spawn(move || run(task))
        });
        let results = join_all(list);
        assert!(results.len() == 2 && results.iter().all(Result::is_ok));
        for end in ends {
            end.join().unwrap();
        }
    });
}

#[test]
fn the_end_against_insert() {
    check("join list: a task finishes against insert", Bounds::preemptions(3), || {
        let (queue, mut list) = (Queue::new(), JoinList::new());
        let (task, join) = spawn(&queue, ready());
        let end = thread::spawn(move || run(task));
        list.insert(join);
        assert_eq!(join_all(list).len(), 1);
        end.join().unwrap();
    });
}

/// One task is about to finish, the other waits and would do so for ever.
#[test]
fn abort_all_against_the_end() {
    check("join list: abort all against the end", Bounds::preemptions(2), || {
        let (queue, mut list) = (Queue::new(), JoinList::new());
        let (task, join) = spawn(&Queue::new(), ready());
        list.insert(join);
        let Asleep { join, waker, .. } = spawn_asleep::<1>(&queue);
        drop(waker);
        list.insert(join);
        let end = thread::spawn(move || run(task));
        list.abort_all();
        queue.take().for_each(run);
        let results = join_all(list);
        assert_eq!(results.len(), 2);
        // The one that waited cannot have come to its end.
        assert!(results.iter().flat_map(|result| result.as_ref().err()).all(|e| e.is_cancelled()));
        assert!(results.iter().any(Result::is_err));
        end.join().unwrap();
    });
}

/// Loom reports an output, a waker or a list that is left over.
#[test]
fn drop_against_the_end() {
    check("join list: drop against the end", Bounds::ALL, || {
        let (queue, mut list) = (Queue::new(), JoinList::new());
        let (task, join) = spawn(&queue, ready());
        list.insert(join);
        let end = thread::spawn(move || run(task));
        drop(list);
        end.join().unwrap();
    });
}

/// The key of a task that is detached may be written down after its slot has a new owner.
#[test]
fn a_slot_is_reused_against_the_end() {
    check("join list: detach and insert against the end", Bounds::preemptions(3), || {
        let mut list = JoinList::new();
        let (first, join) = spawn(&Queue::new(), ready());
        list.insert(join);
        let end = thread::spawn(move || run(first));
        list.detach_all();
        let (second, join) = spawn(&Queue::new(), ready());
        list.insert(join);
        assert!(list.try_next().is_none());
        end.join().unwrap();
        assert!(list.try_next().is_none());
        run(second);
        assert_eq!(join_all(list).len(), 1);
    });
}
