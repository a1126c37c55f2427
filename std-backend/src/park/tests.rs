//! On real threads, with a driver that counts. The interleavings are the loom models' business.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::Wake,
    thread,
    time::{Duration, Instant},
};

use jenny_core::platform::Unpark;

use super::{Driver, DriverWaker, NoDriver, Parker, SharedDriver, ThreadParker, block_on_waker};

/// Longer than any of these tests should take, short enough to fail in.
const LONG: Duration = Duration::from_secs(20);

/// Sleeps in a channel; counts its wakes.
struct Channel {
    sender: mpsc::Sender<()>,
    receiver: mpsc::Receiver<()>,
    has_event: bool,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    wakes: AtomicUsize,
    dispatched: AtomicUsize,
    waiting: AtomicBool,
    shut_down: AtomicBool,
}

#[derive(Clone)]
struct ChannelWaker(Arc<Seen>, Arc<Mutex<mpsc::Sender<()>>>);

impl DriverWaker for ChannelWaker {
    fn wake(&self) {
        self.0.wakes.fetch_add(1, Ordering::SeqCst);
        let _ = self.1.lock().unwrap().send(());
    }
}

impl Driver for Channel {
    type Waker = ChannelWaker;

    fn waker(&self) -> ChannelWaker {
        ChannelWaker(Arc::clone(&self.seen), Arc::new(Mutex::new(self.sender.clone())))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> bool {
        self.seen.waiting.store(true, Ordering::SeqCst);
        self.has_event = self.receiver.recv_timeout(timeout.unwrap_or(LONG)).is_ok();
        self.seen.waiting.store(false, Ordering::SeqCst);
        self.has_event
    }

    fn dispatch(&mut self) -> bool {
        self.seen.dispatched.fetch_add(1, Ordering::SeqCst);
        self.has_event
    }

    fn shutdown(&mut self) {
        self.seen.shut_down.store(true, Ordering::SeqCst);
    }
}

fn channel() -> (Arc<Seen>, crate::primitives::Arc<SharedDriver<Channel>>) {
    let seen = Arc::new(Seen::default());
    let (sender, receiver) = mpsc::channel();
    let driver = Channel { sender, receiver, has_event: false, seen: Arc::clone(&seen) };
    (seen, SharedDriver::new(driver))
}

fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "waited in vain");
        thread::yield_now();
    }
}

#[test]
fn an_unpark_before_the_park_counts_once() {
    let mut parker = Parker::<NoDriver>::new(SharedDriver::without_driver());
    let unparker = parker.unparker();
    unparker.unpark();
    unparker.clone().unpark();
    parker.park();

    let start = Instant::now();
    parker.park_timeout(Duration::from_millis(20));
    assert!(start.elapsed() >= Duration::from_millis(20), "the second unpark was not absorbed");
}

#[test]
fn a_timeout_beyond_the_clock_is_none() {
    let mut parker = Parker::<NoDriver>::new(SharedDriver::without_driver());
    let unparker = parker.unparker();
    let other = thread::spawn(move || unparker.unpark());
    parker.park_timeout(Duration::MAX);
    other.join().unwrap();
}

#[test]
fn the_driver_is_woken_only_if_somebody_sleeps_in_it() {
    let (seen, shared) = channel();
    let mut parker = Parker::new(shared);
    let unparker = parker.unparker();

    unparker.unpark();
    parker.park();
    parker.turn_now();
    assert_eq!(seen.wakes.load(Ordering::SeqCst), 0);

    let other = thread::spawn(move || parker.park());
    until(|| seen.waiting.load(Ordering::SeqCst));
    unparker.unpark();
    other.join().unwrap();
    assert_eq!(seen.wakes.load(Ordering::SeqCst), 1);
    assert_eq!(seen.dispatched.load(Ordering::SeqCst), 2, "one turn_now, one park");
}

#[test]
fn who_does_not_get_the_driver_sleeps_beside_it() {
    let (seen, shared) = channel();
    let mut first = Parker::new(crate::primitives::Arc::clone(&shared));
    let mut second = Parker::new(crate::primitives::Arc::clone(&shared));
    let (wake_first, wake_second) = (first.unparker(), second.unparker());

    let holder = thread::spawn(move || first.park());
    until(|| seen.waiting.load(Ordering::SeqCst));
    let sleeper = thread::spawn(move || {
        second.turn_now();
        second.park();
    });
    wake_second.unpark();
    sleeper.join().unwrap();
    assert_eq!(seen.wakes.load(Ordering::SeqCst), 0, "the sleeper is not in the driver");
    assert!(!holder.is_finished());

    wake_first.unpark();
    holder.join().unwrap();
    shared.shutdown();
    assert!(seen.shut_down.load(Ordering::SeqCst));
}

#[test]
fn a_turn_says_whether_there_was_anything() {
    let (seen, shared) = channel();
    let mut parker = Parker::new(crate::primitives::Arc::clone(&shared));
    let event = || shared.wake();
    assert!(!parker.turn_now());
    event();
    assert!(parker.turn_now());

    let mut sleeper = Parker::new(crate::primitives::Arc::clone(&shared));
    let (dispatches, goes_on) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            sleeper.park_around(None, |dispatch| {
                dispatches.store(true, Ordering::SeqCst);
                until(|| goes_on.load(Ordering::SeqCst));
                dispatch();
            })
        });
        until(|| seen.waiting.load(Ordering::SeqCst));
        assert!(!parker.turn_now(), "who sleeps in it would have awoken");
        event();
        until(|| dispatches.load(Ordering::SeqCst));
        assert!(!parker.turn_now());
        let start = Instant::now();
        assert!(!parker.turn_next_around(|dispatch| dispatch()));
        assert!(start.elapsed() < LONG / 2, "a moment");
        goes_on.store(true, Ordering::SeqCst);
    });
    event();
    assert!(parker.turn_next_around(|dispatch| dispatch()));

    let mut without = Parker::<NoDriver>::new(SharedDriver::without_driver());
    assert!(!without.turn_now());
    assert!(!without.turn_next_around(|dispatch| dispatch()));
}

/// Has events for whoever looks, and none for whoever sleeps.
struct Eager {
    sleeps: Arc<AtomicUsize>,
    has_event: bool,
}

impl DriverWaker for () {
    fn wake(&self) {}
}

impl Driver for Eager {
    type Waker = ();

    fn waker(&self) {}

    fn wait(&mut self, timeout: Option<Duration>) -> bool {
        self.has_event = timeout == Some(Duration::ZERO);
        self.sleeps.fetch_add(usize::from(!self.has_event), Ordering::SeqCst);
        self.has_event
    }

    fn dispatch(&mut self) -> bool {
        self.has_event
    }

    fn shutdown(&mut self) {}
}

#[test]
fn a_look_that_finds_events_dispatches_them_and_does_not_sleep() {
    let sleeps = Arc::new(AtomicUsize::new(0));
    let driver = Eager { sleeps: Arc::clone(&sleeps), has_event: false };
    let mut parker = Parker::new(SharedDriver::new(driver));
    let dispatches = (0..100).filter(|_| parker.park_for(None)).count();
    assert_eq!(dispatches + sleeps.load(Ordering::SeqCst), 100);
    // The first few waits are without a look. On a single core, all are; elsewhere how many depends on
    // what else the core has to do.
    let several = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    assert_eq!(dispatches > 0, several, "{dispatches} of 100");
}

#[test]
fn a_thread_parker_survives_thieves_of_the_token() {
    let parker = Arc::new(ThreadParker::for_this_thread());
    Arc::clone(&parker).wake();
    // What a future may do inside of its poll: it takes the token, not the notification.
    thread::park();
    parker.park();

    let waker = Arc::clone(&parker);
    let main = thread::current();
    let other = thread::spawn(move || {
        main.unpark();
        waker.unpark();
    });
    parker.park();
    other.join().unwrap();
}

#[test]
fn the_parker_of_a_thread_is_reused_but_not_by_nested_calls() {
    let (mut outer, waker) = block_on_waker();
    let (mut inner, other) = block_on_waker();
    assert!(!waker.will_wake(&other));
    other.wake_by_ref();
    inner.park();
    waker.wake_by_ref();
    drop(inner);
    outer.park();
    drop(outer);
    let (_again, same) = block_on_waker();
    assert!(same.will_wake(&waker));
}
