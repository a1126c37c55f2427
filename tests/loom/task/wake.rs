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

/// As before, but the waker drops the Runnable, and the future with it: no poll starts that would
/// acquire it.
#[test]
fn a_woken_task_is_cancelled_elsewhere() {
    for (way, wake) in WAYS {
        check(&format!("task: woken {way}, the waker cancels"), Bounds::ALL, move || {
            let queue = Queue::new();
            let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
            waker.wake_by_ref();
            // Nothing is freed, which would acquire everything.
            let kept = waker.clone();
            let other = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    announcement.make();
                    wake(waker);
                    queue.take().for_each(drop);
                })
            };
            queue.run();
            other.join().unwrap();
            queue.take().for_each(drop);
            assert!(join.is_finished());
            drop(kept);
        });
    }
}

/// The same, when the waker stays and nothing but the wake itself acquires the future.
#[test]
fn a_woken_task_is_cancelled_by_a_kept_waker() {
    check("task: a kept waker cancels", Bounds::ALL, || {
        let queue = Queue::new();
        let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
        waker.wake_by_ref();
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                announcement.make();
                waker.wake_by_ref();
                queue.take().for_each(drop);
            })
        };
        queue.run();
        other.join().unwrap();
        queue.take().for_each(drop);
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

/// One thread wakes as often as it takes to fold the count to what the poll saw, or to wrap it if it
/// were not folded. What it announced before is not missed, and there is one Runnable.
#[test]
fn wakes_that_fold_during_a_poll() {
    for (way, wake) in WAYS {
        for wakes in [4, 5, 9] {
            let bounds = Bounds::preemptions(3);
            check(&format!("task: {wakes} wakes {way} in a row"), bounds, move || {
                let queue = Queue::new();
                let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&queue);
                waker.wake_by_ref();
                let other = thread::spawn(move || {
                    announcement.make();
                    for _ in 0..wakes {
                        wake(waker.clone());
                    }
                });
                queue.run();
                other.join().unwrap();
                queue.run();
                assert!(result(join).is_ok());
            });
        }
    }
}

/// A poll that starts on a count that was folded answers that fold, and no later one that leads to the
/// same count.
#[test]
fn a_fold_after_a_fold() {
    check("task: wakes fold twice", Bounds::preemptions(2), || {
        let queue = Queue::new();
        let Asleep { announcements, waker, join } = spawn_asleep::<2>(&queue);
        waker.wake_by_ref();
        let other = thread::spawn(move || {
            for announcement in announcements {
                announcement.make();
                // From 1 back to 1.
                (0..4).for_each(|_| waker.wake_by_ref());
            }
        });
        queue.run();
        other.join().unwrap();
        queue.run();
        assert!(result(join).is_ok());
    });
}
