//! A local set, from its hosts' side and at its end. A lost wake is a deadlock.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc as StdArc,
    task::{Context, Poll, Waker},
};

use jenny::loom_internals::{
    local_set::{self, Set, UnparkHosts},
    park::ThreadParker,
};
use jenny_core::task::JoinHandle;
use loom::thread;

use crate::{
    dump::{ids, wait},
    harness::{Bounds, check},
    platform::Modelled,
    task::{Announcement, Output, Waits, result},
};

type Modelset = Set<Modelled<UnparkHosts>>;

fn new() -> Modelset {
    Set::new(Modelled::new(0))
}

/// Polled and dropped on the thread that made it.
pub(crate) struct Stays<F> {
    future: F,
    thread: thread::ThreadId,
}

impl<F> Stays<F> {
    pub(crate) fn here(future: F) -> Self {
        Self { future, thread: thread::current().id() }
    }
}

impl<F: Future + Unpin> Future for Stays<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        assert_eq!(self.thread, thread::current().id());
        Pin::new(&mut self.future).poll(context)
    }
}

impl<F> Drop for Stays<F> {
    fn drop(&mut self) {
        // After a report of loom's its threads are no more.
        if !std::thread::panicking() {
            assert_eq!(self.thread, thread::current().id());
        }
    }
}

/// Who polls the set: a `block_on`.
struct Host {
    parker: StdArc<ThreadParker>,
    waker: Waker,
}

impl Host {
    fn new() -> Self {
        let parker = StdArc::new(ThreadParker::for_this_thread());
        let waker = Waker::from(StdArc::clone(&parker));
        Self { parker, waker }
    }

    fn poll(&self, set: &Modelset) -> Poll<()> {
        set.poll(&mut Context::from_waker(&self.waker))
    }

    fn run(&self, set: &Modelset) {
        while self.poll(set).is_pending() {
            self.parker.park();
        }
    }
}

/// Spawns a task and polls the set once.
fn spawn_asleep<const N: usize>(
    set: &Modelset,
    host: &Host,
) -> ([Announcement; N], Waker, JoinHandle<Output>) {
    let (future, announcements, place) = Waits::new();
    // SAFETY: the models keep their sets on one thread.
    let join = unsafe { set.handle().spawn_local(Stays::here(future)) };
    assert!(host.poll(set).is_pending());
    (announcements, place.take(), join)
}

#[test]
fn no_wake_is_lost() {
    check("local set: two wakes against the host's sleep", Bounds::preemptions(2), || {
        let (set, host) = (new(), Host::new());
        let (announcements, waker, join) = spawn_asleep::<2>(&set, &host);
        let others = announcements.map(|announcement| {
            let waker = waker.clone();
            thread::spawn(move || {
                announcement.make();
                waker.wake();
            })
        });
        drop(waker);
        host.run(&set);
        assert!(result(join).is_ok());
        for other in others {
            other.join().unwrap();
        }
        set.shut_down();
    });
}

/// The task's waker is used on another thread while the set is dropped: the future is dropped by the
/// set's thread, once, and nothing leaks, whichever comes first.
#[test]
fn wake_during_shutdown() {
    check("local set: wake during shutdown", Bounds::preemptions(3), || {
        let (set, host) = (new(), Host::new());
        let ([announcement], waker, join) = spawn_asleep(&set, &host);
        drop(host);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        set.shut_down();
        drop(set);
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        other.join().unwrap();
    });
}

/// As before, with two threads and a waker that outlives all else.
#[test]
fn two_wakes_during_shutdown() {
    check("local set: two wakes during shutdown", Bounds::preemptions(2), || {
        let (set, host) = (new(), Host::new());
        let ([_], waker, join) = spawn_asleep(&set, &host);
        let others = [waker.clone(), waker.clone()].map(|waker| thread::spawn(|| waker.wake()));
        set.shut_down();
        drop(set);
        assert!(result(join).is_err_and(|error| error.is_cancelled()));
        for other in others {
            other.join().unwrap();
        }
        waker.wake();
    });
}

/// An abort is a wake, too: it drops the future on the set's thread, or finds it dropped.
#[test]
fn abort_during_shutdown() {
    check("local set: abort during shutdown", Bounds::preemptions(3), || {
        let (set, host) = (new(), Host::new());
        let ([_], waker, join) = spawn_asleep(&set, &host);
        drop(waker);
        let abort = join.abort_handle();
        let other = thread::spawn(move || abort.abort());
        set.shut_down();
        drop(set);
        assert!(result(join).is_err_and(|error| error.is_cancelled()));
        other.join().unwrap();
    });
}

/// Two futures wait on one set. The one that polled last goes away while a task is woken, or is ready:
/// the other one has to hear of it.
fn a_host_goes(name: &str, is_ready: bool) {
    check(name, Bounds::preemptions(3), move || {
        let (set, stays, goes) = (new(), Host::new(), Host::new());
        let ([announcement], waker, join) = spawn_asleep(&set, &stays);
        let mut future = local_set::Host::new();
        let mut poll = |polled: Poll<()>| {
            let context = &mut Context::from_waker(&goes.waker);
            assert_eq!(set.poll_beside(&mut future, pin!(poll_fn(|_| polled)), context), polled);
        };
        poll(Poll::Pending);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        // Whatever it finds to do; what it does not, it leaves to the other one.
        poll(if is_ready { Poll::Ready(()) } else { Poll::Pending });
        drop(future);
        stays.parker.park();
        stays.run(&set);
        assert!(result(join).is_ok());
        other.join().unwrap();
        set.shut_down();
    });
}

#[test]
fn a_host_leaves() {
    a_host_goes("local set: wake against a host that leaves", false);
}

#[test]
fn a_host_is_ready() {
    a_host_goes("local set: wake against a host that is ready", true);
}

/// Whoever asks for a dump hears from the set, although its host sleeps.
#[test]
fn a_dump_against_sleep() {
    check("local set: a dump against the host's sleep", Bounds::preemptions(2), || {
        let (set, host) = (new(), Host::new());
        let ([announcement], waker, join) = spawn_asleep(&set, &host);
        let (handle, task) = (set.handle().clone(), join.id());
        let other = thread::spawn(move || {
            assert!(handle.start_dump());
            wait(|context| handle.poll_dump(context));
            assert_eq!(ids(handle.end_dump()), HashSet::from([task]));
            drop(handle);
            announcement.make();
            waker.wake();
        });
        host.run(&set);
        assert!(result(join).is_ok());
        other.join().unwrap();
        set.shut_down();
    });
}

/// Also if the set is dropped meanwhile, and nobody polls it any more.
#[test]
fn a_dump_against_shutdown() {
    check("local set: a dump against shutdown", Bounds::preemptions(2), || {
        let (set, host) = (new(), Host::new());
        let ([_], waker, join) = spawn_asleep(&set, &host);
        drop((host, waker));
        let (handle, task) = (set.handle().clone(), join.id());
        let other = thread::spawn(move || {
            assert!(handle.start_dump());
            wait(|context| handle.poll_dump(context));
            assert!(ids(handle.end_dump()).is_subset(&HashSet::from([task])));
        });
        set.shut_down();
        drop(set);
        assert!(result(join).is_err_and(|error| error.is_cancelled()));
        other.join().unwrap();
    });
}
