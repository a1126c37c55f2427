//! Timers: each is woken once, fired, refused or taken out, whichever comes first; and no deadline
//! is missed by an owner that sleeps until the one it has read.

use std::{
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use jenny_core::{
    platform::Unpark,
    time::{Closed, Home, Timer, Timers},
};
use loom::{
    alloc::Track,
    sync::atomic::{AtomicUsize, Ordering::*},
    thread,
};

use crate::{
    harness::{Bounds, Lock, check},
    platform::Parker,
};

/// The timers of a worker, which parks until the next deadline.
#[derive(Clone)]
struct Worker {
    // Not loom's, which does not bear to be dropped after a report.
    shared: Arc<(Timers<Lock>, Parker)>,
    /// An earlier registration unparks it.
    told: bool,
}

impl Worker {
    fn new() -> Self {
        Self { shared: Arc::new((Timers::new(), Parker::new())), told: true }
    }

    fn timers(&self) -> &Timers<Lock> {
        &self.shared.0
    }
}

// SAFETY: the reference count keeps the timers alive, in their allocation.
unsafe impl Home for Worker {
    type Lock = Lock;

    fn with<R>(&self, use_timers: impl FnOnce(&Timers<Lock>) -> R) -> Option<R> {
        Some(use_timers(self.timers()))
    }

    fn earlier(&self) {
        if self.told {
            self.shared.1.unparker().unpark();
        }
    }
}

/// A task that counts its wake-ups and can wait for one.
struct Task {
    wakes: AtomicUsize,
    parker: Parker,
    _leak: Track<()>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, AcqRel);
        self.parker.unparker().unpark();
    }
}

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(0), parker: Parker::new(), _leak: Track::new(()) })
    }

    /// Polls a timer whose first deadline is 10, at the time 0.
    fn poll(self: &Arc<Self>, timer: &mut Pinned) -> Poll<Result<(), Closed>> {
        self.poll_until(10, timer)
    }

    fn poll_until(self: &Arc<Self>, deadline: u64, timer: &mut Pinned) -> Poll<Result<(), Closed>> {
        let waker = Waker::from(Arc::clone(self));
        timer.as_mut().poll(deadline, || 0, &mut Context::from_waker(&waker))
    }

    /// Polls as a task does: again after each wake-up.
    fn wait(self: &Arc<Self>, timer: &mut Pinned) -> Result<(), Closed> {
        loop {
            match self.poll(timer) {
                Poll::Ready(result) => return result,
                Poll::Pending => self.parker.park(),
            }
        }
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Acquire)
    }
}

/// A timer that is left alone after a report of loom's: its drop would meet nothing but loom.
struct Pinned(ManuallyDrop<Pin<Box<Timer<Worker>>>>);

impl Deref for Pinned {
    type Target = Pin<Box<Timer<Worker>>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Pinned {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: it is dropped here and nowhere else, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

fn timer(worker: &Worker) -> Pinned {
    Pinned(ManuallyDrop::new(Box::pin(Timer::new(worker.clone()))))
}

/// Runs `f` on the timers in another thread.
fn meanwhile<R: 'static>(
    worker: &Worker,
    f: impl FnOnce(&Timers<Lock>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let worker = worker.clone();
    thread::spawn(move || f(worker.timers()))
}

/// The wheel and the waker are let go of, whoever was first.
fn assert_over(worker: &Worker, tasks: &[&Arc<Task>]) {
    assert!(worker.timers().is_empty());
    for task in tasks {
        assert_eq!(Arc::strong_count(task), 1, "a waker was kept, or leaked");
    }
}

#[test]
fn a_drop_against_a_fire() {
    check("time: drop against fire", Bounds::ALL, || {
        let (worker, task) = (Worker::new(), Task::new());
        let mut timer = timer(&worker);
        assert!(task.poll(&mut timer).is_pending());
        let firing = meanwhile(&worker, |timers| timers.fire(10));
        drop(timer);
        assert_eq!(firing.join().unwrap(), task.wakes());
        assert!(task.wakes() <= 1);
        assert_over(&worker, &[&task]);
    });
}

/// One timer comes and goes, another stays until it is fired, by one who knows of neither.
#[test]
fn registrations_against_a_cancellation_and_a_fire() {
    check("time: register and cancel against fire", Bounds::preemptions(4), || {
        let (worker, waiting, leaving) = (Worker::new(), Task::new(), Task::new());
        let other = {
            let (worker, leaving) = (worker.clone(), Arc::clone(&leaving));
            thread::spawn(move || {
                let mut timer = timer(&worker);
                let _ = leaving.poll(&mut timer);
            })
        };
        let owner = meanwhile(&worker, |timers| timers.fire(10));
        let mut timer = timer(&worker);
        let registered = waiting.poll(&mut timer).is_pending();
        owner.join().unwrap();
        if registered && !timer.is_fired() {
            worker.timers().fire(10);
        }
        assert_eq!(waiting.wait(&mut timer), Ok(()));
        assert_eq!(waiting.wakes(), usize::from(registered));
        other.join().unwrap();
        assert!(leaving.wakes() <= 1);
        drop(timer);
        assert_over(&worker, &[&waiting, &leaving]);
    });
}

/// A timer that finds itself fired has its entry to itself, and uses it again without the lock.
#[test]
fn a_fired_timer_is_used_again_at_once() {
    check("time: fire against reuse", Bounds::ALL, || {
        let (worker, task) = (Worker::new(), Task::new());
        let mut timer = timer(&worker);
        assert!(task.poll(&mut timer).is_pending());
        let firing = meanwhile(&worker, |timers| timers.fire(10));
        if timer.is_fired() {
            timer.as_mut().reset(20);
            assert!(task.poll_until(20, &mut timer).is_pending());
        }
        assert_eq!(firing.join().unwrap(), 1);
        drop(timer);
        assert_over(&worker, &[&task]);
    });
}

#[test]
fn a_close_against_a_registration() {
    check("time: close against register", Bounds::ALL, || {
        let (worker, task) = (Worker::new(), Task::new());
        let closing = meanwhile(&worker, Timers::close);
        let mut timer = timer(&worker);
        // It is refused, or woken by the close: this would wait for ever otherwise.
        assert_eq!(task.wait(&mut timer), Err(Closed));
        closing.join().unwrap();
        assert!(task.wakes() <= 1);
        assert_over(&worker, &[&task]);
    });
}

#[test]
fn a_close_against_a_fire() {
    check("time: close against fire", Bounds::ALL, || {
        let (worker, task) = (Worker::new(), Task::new());
        let mut timers: Vec<_> = (0..3).map(|_| timer(&worker)).collect();
        timers.iter_mut().for_each(|timer| assert!(task.poll(timer).is_pending()));
        let closing = meanwhile(&worker, Timers::close);
        let firing = worker.timers().fire(10);
        closing.join().unwrap();
        let fired = timers.iter_mut().filter_map(|timer| task.wait(timer).ok()).count();
        assert_eq!((fired, task.wakes()), (firing, 3), "each is woken once");
        assert_over(&worker, &[&task]);
    });
}

#[test]
fn another_waker_against_a_fire() {
    check("time: another waker against fire", Bounds::ALL, || {
        let (worker, first, second) = (Worker::new(), Task::new(), Task::new());
        let mut timer = timer(&worker);
        assert!(first.poll(&mut timer).is_pending());
        let firing = meanwhile(&worker, |timers| timers.fire(10));
        // If it has to wait, it is the one that is woken: this would wait for ever otherwise.
        assert_eq!(second.wait(&mut timer), Ok(()));
        firing.join().unwrap();
        assert_eq!(first.wakes() + second.wakes(), 1);
        assert_over(&worker, &[&first, &second]);
    });
}

#[test]
fn a_reset_against_a_fire() {
    check("time: reset against fire", Bounds::ALL, || {
        let (worker, task) = (Worker::new(), Task::new());
        let mut timer = timer(&worker);
        assert!(task.poll(&mut timer).is_pending());
        let firing = meanwhile(&worker, |timers| timers.fire(10));
        timer.as_mut().reset(20);
        let moved = timer.is_registered();
        assert_eq!(firing.join().unwrap(), usize::from(!moved), "fired, or moved in time");
        assert_eq!(worker.timers().fire(20), usize::from(moved));
        assert_eq!((timer.is_fired(), task.wakes()), (moved, 1));
        assert_over(&worker, &[&task]);
    });
}

/// More than one batch, and two threads to fire it.
#[test]
fn two_fire_the_same_timers() {
    check("time: fire against fire", Bounds::ALL, || {
        let (worker, task) = (Worker::new(), Task::new());
        let mut timers: Vec<_> = (0..3).map(|_| timer(&worker)).collect();
        timers.iter_mut().for_each(|timer| assert!(task.poll(timer).is_pending()));
        let firing = meanwhile(&worker, |timers| timers.fire(10));
        let fired = worker.timers().fire(10);
        assert_eq!(fired + firing.join().unwrap(), 3);
        assert_eq!(task.wakes(), 3);
        assert!(timers.iter().all(|timer| timer.is_fired()));
        assert_over(&worker, &[&task]);
    });
}

/// What else happens while the owner of the wheel is about to sleep.
#[derive(Clone, Copy)]
pub(crate) enum Meanwhile {
    /// Nothing.
    Nothing,
    /// The published deadline is too early, and another thread finds out.
    Raised,
    /// The owner is not told of an earlier deadline: wrong.
    Untold,
}

/// A stranger registers a deadline; the owner, who has read a later one, may not sleep past it.
pub(crate) fn a_stranger_registers(event: Meanwhile) {
    let worker = Worker { told: !matches!(event, Meanwhile::Untold), ..Worker::new() };
    let (task, far, gone) = (Task::new(), Task::new(), Task::new());
    let mut later = timer(&worker);
    assert!(far.poll_until(1_000, &mut later).is_pending());
    let raising = matches!(event, Meanwhile::Raised).then(|| {
        let mut cancelled = timer(&worker);
        assert!(gone.poll_until(2, &mut cancelled).is_pending());
        drop(cancelled);
        meanwhile(&worker, |timers| timers.fire(2))
    });
    let stranger = {
        let (worker, task) = (worker.clone(), Arc::clone(&task));
        thread::spawn(move || task.wait(&mut timer(&worker)))
    };
    // The owner's loop. A short wait is over as soon as it begins, a long one only by an unpark.
    let mut now = 2;
    while worker.timers().fire(now) == 0 {
        match worker.timers().next(now) {
            Some(next) if next <= 10 => now = next.max(now),
            _ => worker.shared.1.park(),
        }
    }
    assert_eq!(now, 10, "at its time");
    assert_eq!(stranger.join().unwrap(), Ok(()));
    if let Some(raising) = raising {
        assert_eq!(raising.join().unwrap(), 0);
    }
    drop(later);
    assert_over(&worker, &[&task, &far, &gone]);
}

#[test]
fn no_deadline_is_missed() {
    check("time: sleep against register", Bounds::preemptions(4), || {
        a_stranger_registers(Meanwhile::Nothing);
    });
    check("time: sleep against register and raise", Bounds::preemptions(2), || {
        a_stranger_registers(Meanwhile::Raised);
    });
}
