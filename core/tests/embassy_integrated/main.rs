//! A driver whose queue lies in the tasks, as HALs have it, and the items that this crate gives it.
#![cfg(all(feature = "embassy-time-driver", not(jenny_loom)))]

#[path = "../embassy/critical.rs"]
#[expect(dead_code, reason = "shared")]
mod critical;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::Waker,
};

use embassy_time::{Duration, Instant, Ticker, Timer};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use jenny_core::{
    embassy_timer_items,
    single::{Board, Executor, Idle, TaskPool, task_size},
};

static COUNTER: AtomicU64 = AtomicU64::new(0);
static COMPARE: AtomicU64 = AtomicU64::new(u64::MAX);

/// As the drivers of HALs are written.
struct Hal(critical_section::Mutex<RefCell<Queue>>);

impl Hal {
    fn set_alarm(at: u64) -> bool {
        COMPARE.store(at, SeqCst);
        COUNTER.load(SeqCst) < at
    }

    fn expire(queue: &mut Queue) {
        while !Self::set_alarm(queue.next_expiration(COUNTER.load(SeqCst))) {}
    }

    fn on_interrupt(&self) {
        critical_section::with(|cs| Self::expire(&mut self.0.borrow_ref_mut(cs)));
    }
}

impl Driver for Hal {
    fn now(&self) -> u64 {
        COUNTER.load(SeqCst)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let queue = &mut *self.0.borrow_ref_mut(cs);
            if queue.schedule_wake(at, waker) {
                Self::expire(queue);
            }
        });
    }
}

embassy_time_driver::time_driver_impl!(
    static DRIVER: Hal = Hal(critical_section::Mutex::new(RefCell::new(Queue::new())))
);

// One for `block_on` of each test, which are foreign wakers and keep theirs; one for a place, which
// keeps its own; and three for tasks.
embassy_timer_items!(static ITEMS: TESTS + 1 + 3);
const TESTS: usize = 5;

struct Simulated;

impl Board for Simulated {
    fn turn(&self) {
        if COMPARE.load(SeqCst) <= COUNTER.load(SeqCst) {
            DRIVER.on_interrupt();
        }
    }

    fn wait(&self, _: Idle<'_>) {
        let alarm = COMPARE.load(SeqCst);
        assert!(alarm < u64::MAX, "this sleep would never end");
        COUNTER.fetch_max(alarm, SeqCst);
    }
}

/// There is one board for all tests.
fn board() -> MutexGuard<'static, ()> {
    static BOARD: Mutex<()> = Mutex::new(());
    let board = BOARD.lock().unwrap_or_else(PoisonError::into_inner);
    // What the test before has left.
    COUNTER.store((COUNTER.load(SeqCst) + 1).next_multiple_of(1 << 40), SeqCst);
    DRIVER.on_interrupt();
    board
}

const TICK: Duration = Duration::from_ticks(1);
const LONG: Duration = Duration::from_ticks(1 << 30);

#[test]
fn tasks_and_block_on_sleep_and_tick() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    let start = Instant::now();
    EXECUTOR.block_on(async {
        let tasks: Vec<_> = [30, 20, 10]
            .into_iter()
            .map(|time| {
                EXECUTOR.spawn(async move {
                    Timer::after(Duration::from_ticks(time)).await;
                    let mut ticker = Ticker::every(Duration::from_ticks(time));
                    ticker.next().await;
                    ticker.next().await;
                    start.elapsed().as_ticks()
                })
            })
            .collect();
        Timer::after(Duration::from_ticks(5)).await;
        assert_eq!(start.elapsed().as_ticks(), 5);
        for (task, time) in tasks.into_iter().zip([90, 60, 30]) {
            assert_eq!(task.await.unwrap(), time);
        }
    });
}

#[test]
fn items_go_from_ended_tasks_to_others() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    EXECUTOR.block_on(async {
        for _ in 0..100 {
            EXECUTOR.spawn(Timer::after(TICK)).await.unwrap();
        }
    });
}

#[test]
fn an_item_in_the_queue_is_not_given_away() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    let mut given = 0;
    let full = catch_unwind(AssertUnwindSafe(|| {
        EXECUTOR.block_on(async {
            loop {
                // The task ends, and its timer is in the queue.
                assert!(!EXECUTOR.spawn(poll_once(Timer::after(LONG))).await.unwrap());
                given += 1;
            }
        });
    }));
    let message = full.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("raise the number in `embassy_timer_items!`"), "{message}");
    // The other tests may have been faster, or not.
    assert!((3..=TESTS + 1 + 3).contains(&given));
}

/// Polls once, and drops the future.
async fn poll_once<F: Future>(future: F) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready()))
        .await
}

#[test]
fn the_tasks_of_a_place_share_its_item() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    static POOL: TaskPool<{ task_size(&wait) }, 1> = TaskPool::new();
    async fn wait(ticks: Duration, dropped: Duration) -> u64 {
        let start = Instant::now();
        poll_once(Timer::after(dropped)).await;
        Timer::after(ticks).await;
        start.elapsed().as_ticks()
    }
    let _board = board();
    EXECUTOR.block_on(async {
        for ticks in 1..10 {
            // The dropped timer is in the queue when the next task comes, and wakes that for nothing.
            let (wanted, dropped) = (Duration::from_ticks(ticks), TICK * 3);
            let slept = POOL.spawn(&EXECUTOR, wait(wanted, dropped)).unwrap().await.unwrap();
            assert_eq!((slept, POOL.free()), (ticks, 1));
        }
    });
}

#[test]
fn a_task_that_has_ended_is_let_go() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    EXECUTOR.block_on(async {
        let before = LIVE.get();
        for _ in 0..10 {
            EXECUTOR.spawn(Timer::after(TICK)).await.unwrap();
            // The item still refers to the task.
            assert_eq!(LIVE.get(), before + 1);
            ITEMS.release_completed();
            // What was given up is freed by the executor's next turn.
            Timer::after(TICK).await;
            assert_eq!(LIVE.get(), before);
        }
    });
}

thread_local!(static LIVE: Cell<isize> = const { Cell::new(0) });

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: passes on to the system's allocator, and counts in a cell without a drop.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + 1);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - 1);
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}
