//! Whoever has the last reference frees the cell, once, behind everybody else's last use. A leak and
//! a double free are reported by loom.

use std::task::Waker;

use jenny_core::task::AbortHandle;
use loom::thread;

use super::{Asleep, Queue, become_local, check_both, run, spawn_asleep, spawn_ready};
use crate::harness::{Bounds, check};

/// The handle, an `AbortHandle`, a waker and the completer let go at the same time.
#[test]
fn every_holder_may_be_the_last() {
    let last: [(&str, fn(Waker)); 3] = [
        ("dropped", drop),
        ("used", Waker::wake),
        ("used on a worker", |waker| {
            become_local();
            waker.wake();
        }),
    ];
    for (end, last) in last {
        let bounds = Bounds::preemptions(2);
        check_both(&format!("task: four holders, the waker {end}"), bounds, move |queue| {
            let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
            announcement.make();
            waker.wake_by_ref();
            let abort = join.abort_handle();
            let others = [
                thread::spawn(move || drop(join)),
                thread::spawn(move || drop(abort)),
                thread::spawn(move || last(waker)),
            ];
            queue.run();
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(queue.take().count(), 0);
        });
    }
}

/// Three references that say nothing to each other.
#[test]
fn the_free_follows_every_use() {
    check("task: three abort handles", Bounds::ALL, || {
        let queue = Queue::new();
        let (task, join) = spawn_ready(&queue);
        let handles = [join.abort_handle(), join.abort_handle()];
        drop(join);
        run(task);
        drop(queue);
        let others = handles.map(|handle| {
            thread::spawn(move || {
                assert!(handle.is_finished());
                drop(handle.clone());
            })
        });
        for other in others {
            other.join().unwrap();
        }
    });
}

/// A thread that has scheduled the task lets go of it while the task completes: whoever frees comes
/// behind its last look at the scheduler.
#[test]
fn the_free_follows_the_schedule() {
    let lasts: [(&str, fn(Waker, AbortHandle)); 3] = [
        ("an abort", |_, abort| abort.abort()),
        ("a wake by reference", |waker, _| waker.wake_by_ref()),
        ("a wake by value", |waker, _| waker.wake()),
    ];
    for (name, last) in lasts {
        check(&format!("task: free against {name}"), Bounds::ALL, move || {
            let queue = Queue::new();
            let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
            announcement.make();
            let abort = join.abort_handle();
            drop(join);
            let other = thread::spawn(move || last(waker, abort));
            while queue.take().map(run).count() == 0 {
                thread::yield_now();
            }
            other.join().unwrap();
        });
    }
}
