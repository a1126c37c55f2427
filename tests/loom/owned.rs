//! Owned lists: whatever happens to a task, its owner's list becomes empty, and the owner is not
//! left asleep in front of what empties it.

use jenny_core::{
    owned::{LocalOwnedTasks, OwnedTasks},
    platform::Unpark,
    queue::Inbox,
    task::{JoinHandle, OwnedRef, Runnable},
};
use loom::{sync::Arc, thread};

use crate::{
    harness::{Bounds, check},
    platform::{Parker, Unparker},
    task::{Asleep, Output, Queue, ready, result, run_until_idle, spawn, spawn_asleep},
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

    /// Runs what is queued, and tells the owner: it may have claimed a task, or be waiting for it.
    fn run_queued(&self) {
        self.queue.take().for_each(|task| self.run(task));
        self.unpark.unpark();
    }
}

/// The model's main thread.
struct Owner {
    tasks: LocalOwnedTasks,
    parker: Parker,
    shared: Arc<Shared>,
}

impl Owner {
    fn new() -> Self {
        let parker = Parker::new();
        Self { tasks: LocalOwnedTasks::new(0), shared: Shared::new(&parker), parker }
    }

    /// A task of its own that is done at its first poll.
    fn spawn_ready(&self) -> (Runnable, JoinHandle<Output>) {
        let (task, join) = spawn(&self.shared.queue, ready());
        self.tasks.bind(&task).unwrap();
        (task, join)
    }

    /// A task of its own that waits and was woken.
    fn spawn_woken(&self) -> (Runnable, Asleep<1>) {
        let asleep = spawn_asleep(&self.shared.queue);
        asleep.waker.wake_by_ref();
        let task = self.shared.queue.take().next().unwrap();
        self.tasks.bind(&task).unwrap();
        (task, asleep)
    }

    /// A task of its own that waits.
    fn spawn_waiting(&self) -> Asleep<1> {
        let (task, asleep) = self.spawn_woken();
        assert!(run_until_idle(task).is_none());
        asleep
    }

    /// Shuts down while another thread does something.
    fn stop_against<R: 'static>(&self, other: impl FnOnce(&Shared) -> R + 'static) -> R {
        let other = {
            let shared = Arc::clone(&self.shared);
            thread::spawn(move || other(&shared))
        };
        self.shared.returns.close();
        self.stop();
        other.join().unwrap()
    }

    fn stop(&self) {
        let Self { tasks, parker, shared } = self;
        tasks.close(|done| tasks.remove(done));
        loop {
            shared.queue.take().for_each(|task| tasks.remove(task.cancel()));
            tasks.collect(&shared.returns);
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
        let owner = Owner::new();
        let (task, join) = owner.spawn_ready();
        owner.stop_against(move |shared| shared.run(task));
        assert!(join.is_finished());
    });
}

/// The same, when somebody else closes, as `Handle::close` does. The owner may already be stopping.
#[test]
fn return_against_a_close_from_elsewhere() {
    check("owned: return against a close from elsewhere", Bounds::ALL, || {
        let owner = Owner::new();
        let (task, join) = owner.spawn_ready();
        let [returner, closer] = [(); 2].map(|()| Arc::clone(&owner.shared));
        let others = [
            thread::spawn(move || returner.run(task)),
            thread::spawn(move || {
                closer.returns.close();
                closer.unpark.unpark();
            }),
        ];
        owner.stop();
        for other in others {
            other.join().unwrap();
        }
        assert!(join.is_finished());
    });
}

/// Nobody else could ask for the task, so whoever completes it does so by a store, while its owner
/// flags it as cancelled: the flag is lost or too late, and no reference and no byte of the state
/// is.
#[test]
fn a_detached_task_completes_elsewhere_against_shutdown() {
    check("owned: detached completion elsewhere against shutdown", Bounds::ALL, || {
        let owner = Owner::new();
        let (task, join) = owner.spawn_ready();
        drop(join);
        owner.stop_against(move |shared| shared.run(task));
    });
}

/// The same task is idle until it is woken, with the last waker, and run elsewhere: the owner
/// claims it, or flags it.
#[test]
fn a_detached_task_is_woken_and_completes_elsewhere_against_shutdown() {
    check("owned: detached wake and completion against shutdown", Bounds::ALL, || {
        let owner = Owner::new();
        let Asleep { announcements: [announcement], waker, join } = owner.spawn_waiting();
        drop(join);
        owner.stop_against(move |shared| {
            announcement.make();
            waker.wake();
            shared.run_queued();
        });
    });
}

/// The task is being polled elsewhere when its owner cancels everything: either side drops it.
#[test]
fn poll_elsewhere_against_shutdown() {
    check("owned: poll elsewhere against shutdown", Bounds::ALL, || {
        let owner = Owner::new();
        let (task, Asleep { waker, join, .. }) = owner.spawn_woken();
        drop(waker);
        owner.stop_against(move |shared| shared.run(task));
        assert!(result(join).unwrap_err().is_cancelled());
    });
}

/// A waker from outside makes the Runnable before the owner can, and is slow to queue it.
#[test]
fn wake_against_shutdown() {
    check("owned: wake against shutdown", Bounds::ALL, || {
        let owner = Owner::new();
        let Asleep { waker, join, .. } = owner.spawn_waiting();
        owner.stop_against(move |shared| {
            waker.wake();
            shared.unpark.unpark();
        });
        assert!(result(join).unwrap_err().is_cancelled());
    });
}

/// The task is woken, polled elsewhere and idle again, while its owner claims it: the state word is
/// what it was before, the future is not.
#[test]
fn wake_and_poll_elsewhere_against_shutdown() {
    check("owned: wake and poll elsewhere against shutdown", Bounds::ALL, || {
        let owner = Owner::new();
        let Asleep { waker, join, .. } = owner.spawn_waiting();
        let waker = owner.stop_against(move |shared| {
            waker.wake_by_ref();
            shared.run_queued();
            waker
        });
        drop(waker);
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
