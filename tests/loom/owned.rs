//! Owned lists: whatever happens to a task, its owner's list becomes empty, and the owner is not
//! left asleep in front of what empties it.

use jenny_core::{
    owned::{LocalOwnedTasks, OwnedTasks},
    platform::Unpark,
    queue::Inbox,
    task::{OwnedRef, Runnable},
};
use loom::{sync::Arc, thread};

use crate::{
    harness::{Bounds, check},
    platform::{Parker, Unparker},
    task::{Asleep, Queue, ready, result, run_until_idle, spawn, spawn_asleep},
};

/// What threads other than the owner have of a list.
struct Shared {
    returns: OwnedTasks,
    queue: Arc<Queue>,
    unpark: Unparker,
}

impl Shared {
    fn new(parker: &Parker) -> Arc<Self> {
        let (returns, queue) = (OwnedTasks::new(), Queue::new());
        Arc::new(Self { returns, queue, unpark: parker.unparker() })
    }

    /// Runs a task on a thread that does not own it.
    fn run(&self, task: Runnable) {
        if let Some(done) = run_until_idle(task) {
            self.give_back(done);
        }
    }

    fn give_back(&self, done: OwnedRef) {
        if self.returns.give_back(done) {
            self.unpark.unpark();
        }
    }

    /// The owner's shutdown.
    fn stop(&self, tasks: &LocalOwnedTasks, parker: &Parker) {
        tasks.close(|done| tasks.remove(done));
        loop {
            self.queue.take().for_each(|task| tasks.remove(task.cancel()));
            tasks.collect(&self.returns);
            if tasks.is_empty() {
                return;
            }
            parker.park();
        }
    }
}

/// The table at the head of `owned.rs`: of push and close, each side sees the other's.
#[test]
fn return_against_close() {
    check("owned: return against close", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let (task, join) = spawn(&shared.queue, ready());
        tasks.bind(&task).unwrap();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(task))
        };
        shared.returns.close();
        shared.stop(&tasks, &parker);
        other.join().unwrap();
        assert!(join.is_finished());
    });
}

/// The same, when somebody else closes, as `Handle::close` does. The owner may already be stopping.
#[test]
fn return_against_a_close_from_elsewhere() {
    check("owned: return against a close from elsewhere", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let (task, join) = spawn(&shared.queue, ready());
        tasks.bind(&task).unwrap();
        let others = [
            {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.run(task))
            },
            {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.returns.close();
                    shared.unpark.unpark();
                })
            },
        ];
        shared.stop(&tasks, &parker);
        for other in others {
            other.join().unwrap();
        }
        assert!(join.is_finished());
    });
}

/// Nobody else could ask for the task, so whoever completes it does so by a store, while its owner flags
/// it as cancelled: the flag is lost or too late, and no reference and no byte of the state is.
#[test]
fn a_detached_task_completes_elsewhere_against_shutdown() {
    check("owned: detached completion elsewhere against shutdown", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let (task, join) = spawn(&shared.queue, ready());
        tasks.bind(&task).unwrap();
        drop(join);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(task))
        };
        shared.returns.close();
        shared.stop(&tasks, &parker);
        other.join().unwrap();
    });
}

/// The same task is idle until it is woken, with the last waker, and run elsewhere: the owner claims it,
/// or flags it.
#[test]
fn a_detached_task_is_woken_and_completes_elsewhere_against_shutdown() {
    check("owned: detached wake and completion against shutdown", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let Asleep { announcements: [announcement], waker, join } = spawn_asleep(&shared.queue);
        waker.wake_by_ref();
        let task = shared.queue.take().next().unwrap();
        tasks.bind(&task).unwrap();
        assert!(run_until_idle(task).is_none());
        drop(join);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                announcement.make();
                waker.wake();
                shared.queue.take().for_each(|task| shared.run(task));
                // The owner may have claimed it, or be waiting for it.
                shared.unpark.unpark();
            })
        };
        shared.returns.close();
        shared.stop(&tasks, &parker);
        other.join().unwrap();
    });
}

/// The task is being polled elsewhere when its owner cancels everything: either side drops it.
#[test]
fn poll_elsewhere_against_shutdown() {
    check("owned: poll elsewhere against shutdown", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let Asleep { waker, join, .. } = spawn_asleep::<1>(&shared.queue);
        waker.wake();
        let task = shared.queue.take().next().unwrap();
        tasks.bind(&task).unwrap();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(task))
        };
        shared.returns.close();
        shared.stop(&tasks, &parker);
        other.join().unwrap();
        assert!(result(join).unwrap_err().is_cancelled());
    });
}

/// A waker from outside makes the Runnable before the owner can, and is slow to queue it.
#[test]
fn wake_against_shutdown() {
    check("owned: wake against shutdown", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let Asleep { waker, join, .. } = spawn_asleep::<1>(&shared.queue);
        waker.wake_by_ref();
        let task = shared.queue.take().next().unwrap();
        tasks.bind(&task).unwrap();
        assert!(run_until_idle(task).is_none());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                waker.wake();
                shared.unpark.unpark();
            })
        };
        shared.returns.close();
        shared.stop(&tasks, &parker);
        other.join().unwrap();
        assert!(result(join).unwrap_err().is_cancelled());
    });
}

/// The task is woken, polled elsewhere and idle again, while its owner claims it: the state word is
/// what it was before, the future is not.
#[test]
fn wake_and_poll_elsewhere_against_shutdown() {
    check("owned: wake and poll elsewhere against shutdown", Bounds::ALL, || {
        let (parker, tasks) = (Parker::new(), LocalOwnedTasks::new(0));
        let shared = Shared::new(&parker);
        let Asleep { waker, join, .. } = spawn_asleep::<1>(&shared.queue);
        waker.wake_by_ref();
        let task = shared.queue.take().next().unwrap();
        tasks.bind(&task).unwrap();
        assert!(run_until_idle(task).is_none());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                waker.wake_by_ref();
                shared.queue.take().for_each(|task| shared.run(task));
                // The owner may have claimed it, or be waiting for it.
                shared.unpark.unpark();
                waker
            })
        };
        shared.returns.close();
        shared.stop(&tasks, &parker);
        drop(other.join().unwrap());
        assert!(result(join).unwrap_err().is_cancelled());
    });
}

/// A spawn from outside meets a closed inbox, a closed list, or neither: it is cancelled all the
/// same, because the list is closed before the inbox.
#[test]
fn bind_against_close() {
    check("owned: bind against close", Bounds::ALL, || {
        let (queue, tasks) = (Queue::new(), LocalOwnedTasks::new(0));
        let inbox = Arc::new(Inbox::<Runnable>::new());
        let spawner = {
            let (queue, inbox) = (Arc::clone(&queue), Arc::clone(&inbox));
            thread::spawn(move || {
                let (task, join) = spawn(&queue, ready());
                if let Err(refused) = inbox.push(task) {
                    drop(refused);
                }
                join
            })
        };
        let bind = |task: &Runnable| tasks.bind(task).is_ok();
        let bound: Vec<_> = inbox.drain().filter(bind).collect();
        tasks.close(|_| unreachable!("no task is idle"));
        for task in inbox.drain().chain(inbox.close()) {
            assert!(!bind(&task), "bound after the close");
            drop(task.cancel());
        }
        for task in bound {
            tasks.remove(task.cancel());
        }
        assert!(tasks.is_empty());
        assert!(result(spawner.join().unwrap()).unwrap_err().is_cancelled());
    });
}
