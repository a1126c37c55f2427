//! A worker's seat that is lent while its thread sleeps: one thread has it at a time, and whatever the
//! resident sleeps for, it gets up for. If it does not, loom reports a deadlock.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc as StdArc,
        atomic::{AtomicBool as StdBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use jenny::loom_internals::park::{
    Berth, Driver, DriverWaker, NoDriver, Parker, SharedDriver, ThreadParker, Unparker,
};
use jenny_core::{
    platform::Unpark,
    scheduler::{
        Tick,
        stealing::{self, Config, Entered, Handle, Worker},
    },
};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};

use crate::{
    harness::{Bounds, check},
    park::{Line, Mock},
    platform::Modelled,
    task::ready,
};

const SOON: Option<Duration> = Some(Duration::from_millis(1));

/// A seat without a worker: something that one thread at a time may change.
struct Seat {
    visits: UnsafeCell<usize>,
}

impl Seat {
    fn new() -> Self {
        Self { visits: UnsafeCell::new(0) }
    }

    fn visit(&self) {
        // SAFETY: loom reports any access that is not ordered with this one.
        self.visits.with_mut(|visits| unsafe { *visits += 1 });
    }

    fn visits(&self) -> usize {
        // SAFETY: as in `visit`.
        self.visits.with(|visits| unsafe { *visits })
    }
}

/// A seat that may be lent, as its resident has it.
struct Lent<D: Driver> {
    parker: Parker<D>,
    berth: Arc<Berth<Seat, D>>,
    bed: Parker<D>,
}

/// What a guest does last.
fn leave_or_bring<T, D: Driver>(berth: &Berth<T, D>, seat: T) {
    if let Some(seat) = berth.leave(seat) {
        berth.bring(seat);
    }
}

fn undriven() -> Lent<NoDriver> {
    Lent::new(SharedDriver::without_driver())
}

impl<D: Driver> Lent<D> {
    fn new(driver: Arc<SharedDriver<D>>) -> Self {
        let (parker, bed) = Parker::with_bed(driver);
        Self { berth: Arc::new(Berth::new(&parker)), parker, bed }
    }

    /// A thread that comes to the seat once, and returns how often it was there.
    fn guest(&self) -> thread::JoinHandle<usize> {
        let berth = Arc::clone(&self.berth);
        thread::spawn(move || {
            let Some(seat) = berth.claim() else { return 0 };
            seat.visit();
            leave_or_bring(&berth, seat);
            1
        })
    }

    fn sleep(&mut self, seat: Seat, timeout: Option<Duration>) -> Seat {
        let seat = self.berth.sleep(seat, &mut self.bed, timeout, |seat, dispatch| {
            seat.visits();
            dispatch();
        });
        seat.visits();
        seat
    }

    /// Sleeps until it is over.
    fn reside(&mut self, over: &AtomicBool) -> Seat {
        let mut seat = Seat::new();
        while !over.load(Relaxed) {
            seat = self.sleep(seat, None);
        }
        seat
    }
}

/// Tells the resident that it is over, and has it get up.
fn announce<D: Driver>(over: &Arc<AtomicBool>, unparker: Unparker<D>) -> thread::JoinHandle<()> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        over.store(true, Relaxed);
        unparker.unpark();
    })
}

#[test]
fn an_unpark_against_a_guest() {
    check("berth: an unpark against a guest", Bounds::ALL, || {
        let mut lent = undriven();
        let over = Arc::new(AtomicBool::new(false));
        let (guest, other) = (lent.guest(), announce(&over, lent.parker.unparker()));
        let seat = lent.reside(&over);
        other.join().unwrap();
        assert_eq!(seat.visits(), guest.join().unwrap());
    });
}

#[test]
fn an_unpark_against_two_guests() {
    check("berth: an unpark against two guests", Bounds::preemptions(2), || {
        let mut lent = undriven();
        let over = Arc::new(AtomicBool::new(false));
        let guests = [lent.guest(), lent.guest()];
        let other = announce(&over, lent.parker.unparker());
        let seat = lent.reside(&over);
        other.join().unwrap();
        let came = guests.map(|guest| guest.join().unwrap());
        assert_eq!(seat.visits(), came.iter().sum::<usize>());
    });
}

/// The resident gets up for its timer, whoever has the seat then.
#[test]
fn a_timeout_against_a_guest() {
    check("berth: a time-out against a guest", Bounds::ALL, || {
        let mut lent = undriven();
        let guest = lent.guest();
        let seat = lent.sleep(Seat::new(), SOON);
        assert!(seat.visits() <= 1);
        guest.join().unwrap();
    });
}

#[test]
fn a_timeout_against_two_guests_and_an_unpark() {
    check("berth: a time-out against two guests and an unpark", Bounds::preemptions(2), || {
        let mut lent = undriven();
        let over = Arc::new(AtomicBool::new(false));
        let guests = [lent.guest(), lent.guest()];
        let other = announce(&over, lent.parker.unparker());
        let mut seat = lent.sleep(Seat::new(), SOON);
        while !over.load(Relaxed) {
            seat = lent.sleep(seat, None);
        }
        other.join().unwrap();
        let came = guests.map(|guest| guest.join().unwrap());
        assert_eq!(seat.visits(), came.iter().sum::<usize>());
    });
}

/// The call that has ended one sleep gives the resident no right to the seat in the next.
#[test]
fn a_timeout_after_a_call() {
    check("berth: a time-out after a call, against a guest", Bounds::preemptions(3), || {
        let mut lent = undriven();
        let unparker = lent.parker.unparker();
        let other = thread::spawn(move || unparker.unpark());
        let seat = lent.sleep(Seat::new(), None);
        other.join().unwrap();
        let guest = lent.guest();
        let seat = lent.sleep(seat, SOON);
        assert_eq!(seat.visits(), guest.join().unwrap());
    });
}

/// A guest that brings the seat instead of leaving it, as it does when there is work.
#[test]
fn a_seat_that_is_brought() {
    check("berth: brought, against an unpark", Bounds::ALL, || {
        let mut lent = undriven();
        let over = Arc::new(AtomicBool::new(false));
        let (berth, is_over) = (Arc::clone(&lent.berth), Arc::clone(&over));
        let guest = thread::spawn(move || {
            let Some(seat) = berth.claim() else { return 0 };
            seat.visit();
            is_over.store(true, Relaxed);
            berth.bring(seat);
            1
        });
        let unparker = lent.parker.unparker();
        let other = thread::spawn(move || unparker.unpark());
        let seat = lent.sleep(Seat::new(), None);
        assert_eq!(seat.visits(), usize::from(over.load(Relaxed)));
        let came = guest.join().unwrap();
        other.join().unwrap();
        assert_eq!(seat.visits(), came);
    });
}

/// The resident sleeps in the driver. What it dispatches there, with the seat or without it, gets
/// it up.
#[test]
fn an_event_against_a_guest() {
    check("berth: an event of the driver against a guest", Bounds::preemptions(3), || {
        let line = Arc::new(Line::default());
        let mut lent = Lent::new(SharedDriver::new(Mock::new(&line)));
        let (guest, event) = (lent.guest(), lent.parker.unparker());
        let driver = thread::spawn(move || line.bring(event));
        let seat = lent.sleep(Seat::new(), None);
        assert!(seat.visits() <= 1);
        guest.join().unwrap();
        driver.join().unwrap();
    });
}

/// A driver that has one event, at once, for a waker that waits until the guest has gone.
struct Slow(Arc<Office>);

#[derive(Default)]
struct Office {
    woken: Mutex<bool>,
    gone: Mutex<bool>,
    change: Condvar,
    /// No part of the model, so std's.
    had_event: StdBool,
    resident_has_seat: StdBool,
    seat_is_left: StdBool,
}

impl DriverWaker for Slow {
    fn wake(&self) {
        *self.0.woken.lock().unwrap() = true;
        self.0.change.notify_all();
    }
}

impl Office {
    fn wait(&self, flag: &Mutex<bool>) {
        let mut flag = flag.lock().unwrap();
        while !*flag {
            flag = self.change.wait(flag).unwrap();
        }
    }
}

impl Driver for Slow {
    type Waker = Self;

    fn waker(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn wait(&mut self, _: Option<Duration>) -> bool {
        if !self.0.had_event.swap(true, SeqCst) {
            return true;
        }
        self.0.wait(&self.0.woken);
        *self.0.woken.lock().unwrap() = false;
        false
    }

    fn dispatch(&mut self) -> bool {
        if !self.0.resident_has_seat.load(SeqCst) {
            self.0.wait(&self.0.gone);
            assert!(!self.0.seat_is_left.load(SeqCst), "asleep, and its resident is stuck");
        }
        true
    }

    fn shutdown(&mut self) {}
}

/// The resident is stuck in a waker that it has called in the driver while a guest has the seat. That
/// guest may not leave the seat as that of a worker that sleeps.
#[test]
fn a_waker_blocks_without_the_seat() {
    check("berth: a waker that blocks without the seat, a guest", Bounds::preemptions(3), || {
        let office = Arc::new(Office::default());
        let mut lent = Lent::new(SharedDriver::new(Slow(Arc::clone(&office))));
        let (berth, leaves) = (Arc::clone(&lent.berth), Arc::clone(&office));
        let guest = thread::spawn(move || {
            let came = berth.claim().is_some_and(|seat| {
                seat.visit();
                let refused = berth.leave(seat);
                leaves.seat_is_left.store(refused.is_none(), SeqCst);
                refused.into_iter().for_each(|seat| berth.bring(seat));
                true
            });
            *leaves.gone.lock().unwrap() = true;
            leaves.change.notify_all();
            usize::from(came)
        });
        let seat = lent.berth.sleep(Seat::new(), &mut lent.bed, None, |_, dispatch| {
            office.resident_has_seat.store(true, SeqCst);
            dispatch();
        });
        assert!(seat.visits() <= 1);
        assert!(guest.join().unwrap() <= 1);
    });
}

type Platform = Modelled<Unparker<NoDriver>>;

/// A seat with a worker.
struct WorkSeat {
    worker: Worker<Platform>,
    _parker: Parker<NoDriver>,
}

type WorkBerth = Arc<Berth<WorkSeat, NoDriver>>;

/// A scheduler with one worker, and its thread.
fn start() -> (Handle<Platform>, WorkBerth, thread::JoinHandle<()>) {
    let (handle, [(berth, resident)]) = start_workers();
    (handle, berth, resident)
}

fn start_workers<const N: usize>() -> (Handle<Platform>, [(WorkBerth, thread::JoinHandle<()>); N]) {
    let parkers: [_; N] = std::array::from_fn(|_| Parker::with_bed(SharedDriver::without_driver()));
    let unparkers: Vec<_> = parkers.iter().map(|(parker, _)| parker.unparker()).collect();
    let (handle, workers) = stealing::new(Modelled::new(0), unparkers, Config::default());
    let mut workers = workers.into_iter();
    let residents = parkers.map(|(parker, mut bed)| {
        let berth = Arc::new(Berth::new(&parker));
        let (home, worker) = (Arc::clone(&berth), workers.next().unwrap());
        let resident = thread::spawn(move || {
            let mut seat = WorkSeat { worker, _parker: parker };
            while seat.worker.enter(works_until_idle) {
                seat = home.sleep(seat, &mut bed, None, |_, dispatch| dispatch());
            }
        });
        (berth, resident)
    });
    (handle, residents)
}

/// False if the worker has stopped.
fn works_until_idle(worker: &Entered<'_, Platform>) -> bool {
    loop {
        match worker.tick() {
            Tick::Ran => {}
            Tick::Idle => return true,
            Tick::Stopped | Tick::HandedOff => return false,
        }
    }
}

/// What the waker of a future that is waited for has to do.
struct Root {
    woken: AtomicBool,
    parker: ThreadParker,
}

impl Wake for Root {
    fn wake(self: StdArc<Self>) {
        self.woken.swap(true, Release);
        self.parker.unpark();
    }
}

/// The loop of `runtime/multi_thread/guest.rs`, which needs a context that is not there under a model
/// checker. Without a berth it is the loop of `runtime/handle.rs`.
fn block_on<F: Future>(future: F, berth: Option<&Berth<WorkSeat, NoDriver>>) -> F::Output {
    let root = StdArc::new(Root {
        woken: AtomicBool::new(false),
        parker: ThreadParker::for_this_thread(),
    });
    let waker = Waker::from(StdArc::clone(&root));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        let mut poll = || future.as_mut().poll(&mut context);
        let polled = match berth.and_then(Berth::claim) {
            None => poll(),
            Some(mut seat) => {
                let (polled, is_asleep) =
                    seat.worker.enter(|worker| visit_worker(worker, poll, &root));
                let berth = berth.expect("it was claimed");
                let refused = if is_asleep { berth.leave(seat) } else { Some(seat) };
                if let Some(mut seat) = refused {
                    seat.worker.enter(|worker| worker.resume());
                    berth.bring(seat);
                }
                polled
            }
        };
        if let Poll::Ready(output) = polled {
            return output;
        }
        root.parker.park();
    }
}

fn visit_worker<T>(
    worker: &Entered<'_, Platform>,
    mut poll: impl FnMut() -> Poll<T>,
    root: &Root,
) -> (Poll<T>, bool) {
    loop {
        worker.resume();
        let polled = worker.detachable(&mut poll);
        if polled.is_ready() {
            return (polled, worker.rest());
        }
        let is_woken = || root.woken.load(Relaxed);
        loop {
            match worker.tick_until(is_woken) {
                Tick::Ran | Tick::Idle if is_woken() => break,
                Tick::Ran => {}
                Tick::Idle => return (polled, true),
                Tick::Stopped | Tick::HandedOff => return (polled, false),
            }
        }
        root.woken.swap(false, Acquire);
    }
}

/// A guest and another thread spawn at once. Whoever has the worker then, both tasks run.
#[test]
fn tasks_of_a_guest_and_of_another_thread() {
    check("berth: a guest spawns, and another thread", Bounds::preemptions(2), || {
        let (handle, berth, resident) = start();
        let stranger = handle.clone();
        let other = thread::spawn(move || assert!(block_on(stranger.spawn(ready()), None).is_ok()));
        let inside = handle.clone();
        assert!(block_on(async move { inside.spawn(ready()).await }, Some(&berth)).is_ok());
        other.join().unwrap();
        handle.close();
        resident.join().unwrap();
    });
}

/// A guest that leaves the worker has registered it as asleep: who spawns then wakes it.
#[test]
fn a_spawn_after_a_guest() {
    check("berth: a spawn after a guest", Bounds::preemptions(2), || {
        let (handle, berth, resident) = start();
        block_on(async {}, Some(&berth));
        assert!(block_on(handle.spawn(ready()), None).is_ok());
        handle.close();
        resident.join().unwrap();
    });
}

/// A guest ends while its task is queued.
#[test]
fn a_task_that_a_guest_leaves_behind() {
    check("berth: a guest leaves a task behind", Bounds::preemptions(3), || {
        let (handle, berth, resident) = start();
        let inside = handle.clone();
        let task = block_on(async move { inside.spawn(ready()) }, Some(&berth));
        assert!(block_on(task, None).is_ok());
        handle.close();
        resident.join().unwrap();
    });
}

/// A guest whose future takes its time is not taken for one that looks for work.
#[test]
fn a_future_that_blocks_is_no_search() {
    check("berth: a future that blocks, and another worker", Bounds::preemptions(1), || {
        let (handle, [(berth, resident), (_, other)]) = start_workers();
        while handle.sleepers() < 2 {
            thread::yield_now();
        }
        let stranger = handle.clone();
        let task = thread::spawn(move || assert!(block_on(stranger.spawn(ready()), None).is_ok()));
        thread::yield_now();
        let mut task = Some(task);
        let future = poll_fn(|_| {
            task.take().unwrap().join().unwrap();
            Poll::Ready(())
        });
        block_on(future, Some(&berth));
        handle.close();
        resident.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_shutdown_against_a_guest() {
    check("berth: a shutdown against a guest", Bounds::preemptions(2), || {
        let (handle, berth, resident) = start();
        let closer = handle.clone();
        let closer = thread::spawn(move || closer.close());
        let inside = handle.clone();
        let outcome = block_on(async move { inside.spawn(ready()).await }, Some(&berth));
        assert!(outcome.map_or_else(|error| error.is_cancelled(), |_| true));
        closer.join().unwrap();
        resident.join().unwrap();
    });
}
