//! No wake is lost, whoever wakes and whatever the task does meanwhile.

use std::task::Waker;

use loom::{sync::Arc, thread};

use super::{Asleep, Queue, become_local, result, spawn_asleep};
use crate::harness::{Bounds, check};

/// The ways to wake and to give up a waker.
const WAYS: [(&str, fn(Waker)); 4] = [
    ("by reference", |waker| waker.wake_by_ref()),
    ("by value", Waker::wake),
    ("by value, on a worker", |waker| {
        become_local();
        waker.wake();
    }),
    ("by a clone", |waker| {
        waker.clone().wake();
        drop(waker);
    }),
];

/// The task is scheduled already, and polled just now: a waker that is content with that would
/// leave what it announced to nobody.
#[test]
fn wake_against_poll() {
    for (way, wake) in WAYS {
        check(&format!("task: wake {way} against poll"), Bounds::ALL, move || {
            let queue = Queue::new();
            let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
            waker.wake_by_ref();
            let other = thread::spawn(move || {
                announcement.make();
                wake(waker);
            });
            queue.run();
            other.join().unwrap();
            queue.run();
            assert!(result(join).is_ok());
        });
    }
}

#[test]
fn two_wakes_against_poll() {
    for (way, wake) in WAYS {
        let bounds = Bounds::preemptions(2);
        check(&format!("task: two wakes {way} against poll"), bounds, move || {
            let queue = Queue::new();
            let Asleep { announcements, waker, join } = spawn_asleep::<2>(&queue);
            waker.wake_by_ref();
            let others = announcements.map(|announcement| {
                let waker = waker.clone();
                thread::spawn(move || {
                    announcement.make();
                    wake(waker);
                })
            });
            drop(waker);
            queue.run();
            for other in others {
                other.join().unwrap();
            }
            queue.run();
            assert!(result(join).is_ok());
        });
    }
}

/// Whoever makes the Runnable runs it: the future goes from thread to thread by way of the state
/// word alone.
#[test]
fn the_future_follows_the_wake() {
    check("task: the waker polls next", Bounds::ALL, || {
        let queue = Queue::new();
        let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
        waker.wake_by_ref();
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                announcement.make();
                waker.wake();
                queue.run();
            })
        };
        queue.run();
        other.join().unwrap();
        queue.run();
        assert!(result(join).is_ok());
    });
}

/// As before, but the waker drops the Runnable, and the future with it.
#[test]
fn a_woken_task_is_cancelled_elsewhere() {
    check("task: the waker cancels", Bounds::ALL, || {
        let queue = Queue::new();
        let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
        waker.wake_by_ref();
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                announcement.make();
                waker.wake();
                queue.take().for_each(drop);
            })
        };
        queue.run();
        other.join().unwrap();
        queue.run();
        assert!(join.is_finished());
    });
}

/// The last poll is under way: a wake does nothing, and makes no second Runnable.
#[test]
fn wake_against_complete() {
    for (way, wake) in WAYS {
        let bounds = Bounds::preemptions(3);
        check(&format!("task: wake {way} against complete"), bounds, move || {
            let queue = Queue::new();
            let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
            announcement.make();
            waker.wake_by_ref();
            let others = [waker.clone(), waker].map(|waker| thread::spawn(move || wake(waker)));
            queue.run();
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(queue.take().count(), 0, "a complete task was scheduled");
            assert!(result(join).is_ok());
        });
    }
}

/// One wake short of the fold: of the threads' wakes, any may be the one that folds.
#[test]
fn more_wakes_than_the_counter_holds() {
    for (way, wake) in WAYS {
        let bounds = Bounds::preemptions(2);
        check(&format!("task: wakes {way} fold"), bounds, move || {
            let queue = Queue::new();
            let Asleep { announcements, waker, join } = spawn_asleep::<2>(&queue);
            for _ in 0..4 {
                waker.wake_by_ref();
            }
            let others = announcements.map(|announcement| {
                let waker = waker.clone();
                thread::spawn(move || {
                    announcement.make();
                    wake(waker);
                })
            });
            drop(waker);
            queue.run();
            for other in others {
                other.join().unwrap();
            }
            queue.run();
            assert!(result(join).is_ok());
        });
    }
}
