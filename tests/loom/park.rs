//! The parker: no unpark is lost, whatever the parker sleeps in. A lost one is a deadlock, which
//! loom reports.

use std::{
    sync::atomic::{AtomicUsize as Count, Ordering::SeqCst},
    time::Duration,
};

use jenny::loom_internals::park::{
    Driver, DriverWaker, NoDriver, Parker, SharedDriver, ThreadParker, Unparker,
};
use jenny_core::platform::Unpark;
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use crate::harness::{Bounds, check, check_fails};

/// A driver that sleeps on a condition variable and has at most one event: a parker to unpark.
pub(crate) struct Mock(Arc<Line>, Option<Unparker<Mock>>);

impl Mock {
    pub(crate) fn new(line: &Arc<Line>) -> Self {
        Self(Arc::clone(line), None)
    }
}

#[derive(Clone)]
pub(crate) struct MockWaker(Arc<Line>);

#[derive(Default)]
pub(crate) struct Line {
    state: Mutex<LineState>,
    called: Condvar,
    /// Not the model's own variables, so std's.
    wakes: Count,
    dispatched: Count,
}

#[derive(Default)]
struct LineState {
    woken: bool,
    event: Option<Unparker<Mock>>,
}

impl Line {
    pub(crate) fn bring(&self, event: Unparker<Mock>) {
        self.state.lock().unwrap().event = Some(event);
        self.called.notify_one();
    }
}

impl DriverWaker for MockWaker {
    fn wake(&self) {
        self.0.wakes.fetch_add(1, SeqCst);
        self.0.state.lock().unwrap().woken = true;
        self.0.called.notify_one();
    }
}

impl Driver for Mock {
    type Waker = MockWaker;

    fn waker(&self) -> MockWaker {
        MockWaker(Arc::clone(&self.0))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> bool {
        let mut state = self.0.state.lock().unwrap();
        while timeout.is_none() && !state.woken && state.event.is_none() {
            state = self.0.called.wait(state).unwrap();
        }
        state.woken = false;
        self.1 = state.event.take();
        self.1.is_some()
    }

    fn dispatch(&mut self) -> bool {
        let event = self.1.take();
        let told = event.is_some();
        if let Some(parker) = event {
            self.0.dispatched.fetch_add(1, SeqCst);
            parker.unpark();
        }
        told
    }

    fn shutdown(&mut self) {}
}

fn without_driver() -> Parker<NoDriver> {
    Parker::new(SharedDriver::without_driver())
}

fn with_driver<const N: usize>() -> (Arc<Line>, [Parker<Mock>; N]) {
    let line = Arc::new(Line::default());
    let shared = SharedDriver::new(Mock::new(&line));
    (line, std::array::from_fn(|_| Parker::new(Arc::clone(&shared))))
}

/// What happened before an unpark must be visible behind the park.
struct Message(UnsafeCell<bool>);

impl Message {
    fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(false)))
    }

    fn write(&self) {
        // SAFETY: loom reports any access that is not ordered with this one.
        self.0.with_mut(|place| unsafe { *place = true });
    }

    fn read(&self) -> bool {
        // SAFETY: loom reports any write that is not ordered with this read.
        self.0.with(|place| unsafe { *place })
    }
}

/// Among the executions are those where the unpark comes before the park.
fn unpark_against_park<D: Driver>(mut parker: Parker<D>) {
    let message = Message::new();
    let (sent, unparker) = (Arc::clone(&message), parker.unparker());
    let other = thread::spawn(move || {
        sent.write();
        unparker.unpark();
    });
    parker.park();
    assert!(message.read());
    other.join().unwrap();
}

/// Two unparks, of which the owner may see one: it must not miss what the other one announced.
fn two_unparks_collapse<D: Driver>(mut parker: Parker<D>) {
    let announced: [_; 2] = std::array::from_fn(|_| Arc::new(AtomicBool::new(false)));
    let others = announced.clone().map(|announced| {
        let unparker = parker.unparker();
        thread::spawn(move || {
            announced.store(true, Relaxed);
            unparker.unpark();
        })
    });
    while !announced.iter().all(|announced| announced.load(Relaxed)) {
        parker.park();
    }
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn an_unpark_against_the_park() {
    check("park, unparked meanwhile, condvar", Bounds::ALL, || {
        unpark_against_park(without_driver());
    });
    check("park, unparked meanwhile, driver", Bounds::ALL, || {
        let (line, [parker]) = with_driver();
        unpark_against_park(parker);
        assert!(line.wakes.load(SeqCst) <= 1);
    });
}

#[test]
fn two_unparks_collapse_into_one() {
    check("park, two unparks, condvar", Bounds::preemptions(4), || {
        two_unparks_collapse(without_driver())
    });
    check("park, two unparks, driver", Bounds::preemptions(4), || {
        let (line, [parker]) = with_driver();
        two_unparks_collapse(parker);
        assert!(line.wakes.load(SeqCst) <= 2);
    });
}

/// A wait that times out just as it is unparked must not swallow what the unpark announced.
#[test]
fn an_unpark_against_the_timeout() {
    check("park, time-out against unpark", Bounds::ALL, || {
        let mut parker = without_driver();
        let announced = Arc::new(AtomicBool::new(false));
        let (announce, unparker) = (Arc::clone(&announced), parker.unparker());
        let other = thread::spawn(move || {
            announce.store(true, Relaxed);
            unparker.unpark();
        });
        parker.park_timeout(Duration::from_millis(1));
        if !announced.load(Relaxed) {
            parker.park();
        }
        assert!(announced.load(Relaxed));
        other.join().unwrap();
    });
}

/// Whichever of the two gets the driver, each is unparked where it sleeps.
#[test]
fn two_parkers_compete_for_the_driver() {
    check("park, two parkers, one driver", Bounds::preemptions(4), || {
        let (_, parkers) = with_driver::<2>();
        let unparkers = [parkers[0].unparker(), parkers[1].unparker()];
        let sleepers = parkers.map(|mut parker| thread::spawn(move || parker.park()));
        for unparker in unparkers {
            unparker.unpark();
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// The first wakes the second, who may sleep beside the driver or, if the first was quick, in it.
#[test]
fn the_holder_wakes_the_one_beside() {
    check("park, the holder unparks the other", Bounds::preemptions(4), || {
        let (_, [mut first, mut second]) = with_driver();
        let (wake_first, wake_second) = (first.unparker(), second.unparker());
        let holder = thread::spawn(move || {
            first.park();
            wake_second.unpark();
        });
        let other = thread::spawn(move || second.park());
        wake_first.unpark();
        holder.join().unwrap();
        other.join().unwrap();
    });
}

/// An event for one that may sleep beside the driver. A worker that is busy looks at the driver in
/// passing; then it goes to sleep. Whoever of the two comes across the event dispatches it.
#[test]
fn an_event_reaches_its_parker() {
    check("park, an event and a busy worker", Bounds::preemptions(4), || {
        let (line, [mut busy, mut target]) = with_driver();
        let (wake_busy, wake_target) = (busy.unparker(), target.unparker());
        let delivered = Arc::new(AtomicBool::new(false));

        let (sees, seen) = (Arc::clone(&delivered), Arc::clone(&line));
        let target = thread::spawn(move || {
            // It sleeps until it is the event's turn: another wake-up would be a spurious one.
            while seen.dispatched.load(SeqCst) == 0 {
                target.park();
            }
            sees.store(true, Relaxed);
            wake_busy.unpark();
        });
        let sees = Arc::clone(&delivered);
        let busy = thread::spawn(move || {
            busy.turn_now();
            while !sees.load(Relaxed) {
                busy.park();
            }
        });
        line.bring(wake_target);
        target.join().unwrap();
        busy.join().unwrap();
        assert_eq!(line.dispatched.load(SeqCst), 1);
    });
}

/// `block_on`: a token that came for no reason, or was taken by others, changes nothing.
#[test]
fn a_thread_parker_keeps_its_notification() {
    check("park, thread parker", Bounds::ALL, || {
        let parker = std::sync::Arc::new(ThreadParker::for_this_thread());
        let message = Message::new();
        let (sent, unparker) = (Arc::clone(&message), std::sync::Arc::clone(&parker));
        let other = thread::spawn(move || {
            sent.write();
            unparker.unpark();
        });
        parker.park();
        assert!(message.read());
        other.join().unwrap();
        // The token may be left over from the first round.
        let unparker = std::sync::Arc::clone(&parker);
        let other = thread::spawn(move || unparker.unpark());
        parker.park();
        other.join().unwrap();
    });
}

/// Wrong on purpose: a park that timed out proves nothing about what an unpark announces.
#[test]
fn a_timeout_taken_for_an_unpark() {
    check_fails("park, time-out taken for an unpark", Bounds::ALL, || {
        let mut parker = without_driver();
        let announced = Arc::new(AtomicBool::new(false));
        let (announce, unparker) = (Arc::clone(&announced), parker.unparker());
        let other = thread::spawn(move || {
            announce.store(true, Relaxed);
            unparker.unpark();
        });
        parker.park_timeout(Duration::from_millis(1));
        let seen = announced.load(Relaxed);
        other.join().unwrap();
        assert!(seen);
    });
}
