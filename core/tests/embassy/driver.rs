//! The driver's queue among interrupts, threads and foreign wakers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, RawWaker, RawWakerVTable, Wake, Waker},
    thread,
};

use embassy_time::{Instant, Timer};
use embassy_time_driver::{now, schedule_wake};

use super::{COMPARE, Counter, DRIVER, advance_to, board, critical};
use jenny_core::embassy::QueueDriver;

/// Counts its wakes, none of which may come with interrupts masked.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), count.into())
    }

    fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        assert!(!critical::is_inside());
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_waker_is_called_once_at_the_earliest_of_its_times() {
    let _board = board();
    let (count, waker) = Count::new();
    let start = now();
    for at in [50, 30, 40, 30, 60] {
        schedule_wake(start + at, &waker);
    }
    assert_eq!((DRIVER.len(), Arc::strong_count(&count)), (1, 3));
    advance_to(start + 29);
    assert_eq!(count.wakes(), 0);
    advance_to(start + 30);
    assert_eq!((count.wakes(), DRIVER.len()), (1, 0));
    advance_to(start + 100);
    assert_eq!((count.wakes(), Arc::strong_count(&count)), (1, 2));
}

#[test]
fn a_time_in_the_past_is_now() {
    let _board = board();
    let (count, waker) = Count::new();
    schedule_wake(now(), &waker);
    schedule_wake(0, &waker);
    assert_eq!((count.wakes(), DRIVER.len()), (2, 0));
}

#[test]
fn a_full_queue_says_so() {
    let _board = board();
    let at = now() + 10;
    let wakers: Vec<_> = (0..9).map(|_| Count::new()).collect();
    wakers[..8].iter().for_each(|(_, waker)| schedule_wake(at, waker));
    let full = DRIVER.try_schedule_wake(at, &wakers[8].1).unwrap_err();
    assert_eq!(full.capacity(), 8);
    schedule_wake(at - 5, &wakers[3].1);
    let panic = catch_unwind(AssertUnwindSafe(|| schedule_wake(at, &wakers[8].1))).unwrap_err();
    let message = panic.downcast::<String>().unwrap();
    assert_eq!(
        *message,
        "the timer queue is full: 8 wakers wait in it; raise its `N` where the time driver, a \
         `QueueDriver<_, N>`, is made"
    );
    advance_to(at);
    assert!(wakers[..8].iter().all(|(count, _)| count.wakes() == 1));
    assert_eq!((wakers[8].0.wakes(), Arc::strong_count(&wakers[8].0)), (0, 2));
}

#[test]
fn a_waker_may_come_back() {
    /// Registers again until it has been called five times.
    struct Again(AtomicUsize);

    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            assert!(!critical::is_inside());
            if self.0.fetch_add(1, SeqCst) < 4 {
                schedule_wake(now() + 3, &self.into());
            }
        }
    }

    let _board = board();
    let again = Arc::new(Again(AtomicUsize::new(0)));
    let start = now();
    schedule_wake(start + 3, &Arc::clone(&again).into());
    for step in 1..=20 {
        advance_to(start + step);
    }
    assert_eq!((again.0.load(SeqCst), Arc::strong_count(&again)), (5, 1));
}

/// Interrupts come where the driver leaves its critical section: while it clones a waker, between the
/// look into the queue and the insertion.
mod interrupted {
    use super::*;

    static INTERRUPT: Mutex<Option<fn()>> = Mutex::new(None);
    static REFERENCES: AtomicUsize = AtomicUsize::new(0);
    static WAKES: AtomicUsize = AtomicUsize::new(0);
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

    unsafe fn clone(data: *const ()) -> RawWaker {
        assert!(!critical::is_inside());
        REFERENCES.fetch_add(1, SeqCst);
        let interrupt = INTERRUPT.lock().unwrap().take();
        if let Some(interrupt) = interrupt {
            interrupt();
        }
        RawWaker::new(data, &TABLE)
    }

    unsafe fn wake(data: *const ()) {
        // SAFETY: both take nothing but numbers.
        unsafe {
            wake_by_ref(data);
            drop(data);
        }
    }

    unsafe fn wake_by_ref(_: *const ()) {
        assert!(!critical::is_inside());
        WAKES.fetch_add(1, SeqCst);
    }

    unsafe fn drop(_: *const ()) {
        assert!(!critical::is_inside());
        REFERENCES.fetch_sub(1, SeqCst);
    }

    fn waker() -> Waker {
        REFERENCES.fetch_add(1, SeqCst);
        // SAFETY: the functions count references, and own nothing.
        unsafe { Waker::new(std::ptr::null(), &TABLE) }
    }

    #[test]
    fn the_same_waker_from_an_interrupt_is_in_the_queue_once() {
        let _board = board();
        let start = now();
        for (first, second) in [(20, 10), (10, 20)] {
            let outer = waker();
            WAKES.store(0, SeqCst);
            static SECOND: AtomicUsize = AtomicUsize::new(0);
            SECOND.store(second, SeqCst);
            *INTERRUPT.lock().unwrap() =
                Some(|| schedule_wake(now() + SECOND.load(SeqCst) as u64, &waker()));
            schedule_wake(now() + first, &outer);
            assert_eq!((DRIVER.len(), REFERENCES.load(SeqCst)), (1, 2));
            assert_eq!(COMPARE.load(SeqCst), now() + 10);
            advance_to(now() + 10);
            assert_eq!((WAKES.load(SeqCst), REFERENCES.load(SeqCst)), (1, 1));
        }
        assert_eq!(now(), start + 20);
    }

    #[test]
    fn an_alarm_between_look_and_insertion_is_set_again() {
        let _board = board();
        let (count, other) = Count::new();
        let outer = waker();
        WAKES.store(0, SeqCst);
        schedule_wake(now() + 5, &other);
        // The alarm comes, and the queue is empty for a moment.
        *INTERRUPT.lock().unwrap() = Some(|| advance_to(now() + 5));
        schedule_wake(now() + 20, &outer);
        assert_eq!((count.wakes(), COMPARE.load(SeqCst)), (1, now() + 15));
        // Its own time passes meanwhile.
        advance_to(now() + 15);
        *INTERRUPT.lock().unwrap() = Some(|| advance_to(now() + 100));
        schedule_wake(now() + 20, &outer);
        assert_eq!((WAKES.load(SeqCst), DRIVER.len()), (2, 0));
    }
}

#[test]
fn threads_register_while_others_expire() {
    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 2_000 };
    static SHARED: QueueDriver<Counter, 4> = QueueDriver::new(Counter);

    let _board = board();
    let start = now();
    let wakers: Vec<_> = (0..4).map(|_| Count::new()).collect();
    thread::scope(|scope| {
        for (count, waker) in &wakers {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    SHARED.try_schedule_wake(now() + round % 3, waker).unwrap();
                    while count.wakes() as u64 <= round {
                        thread::yield_now();
                    }
                }
            });
        }
        scope.spawn(|| {
            while wakers.iter().any(|(count, _)| (count.wakes() as u64) < ROUNDS) {
                super::COUNTER.fetch_add(1, SeqCst);
                SHARED.on_alarm();
                thread::yield_now();
            }
        });
    });
    assert!(SHARED.is_empty() && now() > start);
    for (count, _waker) in &wakers {
        assert_eq!((count.wakes() as u64, Arc::strong_count(count)), (ROUNDS, 2));
    }
}

#[test]
fn a_timer_polled_by_hand_registers_any_waker() {
    let _board = board();
    let (count, waker) = Count::new();
    let mut timer = pin!(Timer::at(Instant::from_ticks(now() + 4)));
    let mut context = Context::from_waker(&waker);
    assert!(timer.as_mut().poll(&mut context).is_pending());
    advance_to(now() + 4);
    assert_eq!(count.wakes(), 1);
    assert!(timer.as_mut().poll(&mut context).is_ready());
}
