//! `embassy-time` over jenny's driver: in every runtime, outside of all, and with foreign wakers.

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use embassy_time::{Duration, Instant, TICK_HZ, Ticker, TimeoutError, Timer, with_timeout};
use jenny::runtime::Builder;

use crate::support::{on_every_runtime, on_every_shared_runtime, wait_until, within_a_minute};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Unparks a thread, and counts.
struct Unparker {
    thread: Thread,
    wakes: AtomicUsize,
}

impl Unparker {
    fn here() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), wakes: AtomicUsize::new(0) })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Relaxed)
    }

    fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }
}

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.thread.unpark();
    }
}

/// What somebody without a runtime might write.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unparker = Unparker::here();
    loop {
        match unparker.poll(future.as_mut()) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Sleeps, ticks and times out, and looks at the clock.
async fn all_kinds() {
    let start = Instant::now();
    Timer::after(3 * MS).await;
    assert!(start.elapsed() >= 3 * MS);
    let mut ticker = Ticker::every(2 * MS);
    for _ in 0..3 {
        ticker.next().await;
    }
    assert!(start.elapsed() >= 9 * MS);
    assert_eq!(with_timeout(2 * MS, pending::<()>()).await, Err(TimeoutError));
    assert_eq!(with_timeout(HOUR, Timer::after(MS)).await, Ok(()));
    Timer::at(start).await;
    assert!((12 * MS..HOUR).contains(&start.elapsed()));
}

on_every_runtime! {
    fn timers_in_tasks_and_in_the_root(flavour: Flavour) {
        let runtime = flavour.build();
        let task = runtime.spawn(all_kinds());
        runtime.block_on(async {
            all_kinds().await;
            task.await.unwrap();
        });
    }

    fn thousands_of_timers_fire_and_none_early(flavour: Flavour) {
        let runtime = flavour.build();
        let tasks: Vec<_> = (0..4_000u64)
            .map(|number| {
                runtime.spawn(async move {
                    let deadline = Instant::now() + Duration::from_micros(number * 7919 % 20_000);
                    Timer::at(deadline).await;
                    assert!(Instant::now() >= deadline);
                })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    fn many_deadlines_of_one_task_all_come(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let mut timers: Vec<_> = (0..300).map(|n| Timer::after(n % 10 * MS)).collect();
            let mut order = Vec::new();
            poll_fn(|context| {
                timers.retain_mut(|timer| Pin::new(timer).poll(context).is_pending());
                order.push(timers.len());
                if timers.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            // Each poll of those that remain registers again, at the earliest of them.
            assert!(order.len() <= 300 && order.is_sorted_by(|a, b| a >= b));
        });
    }

    fn a_time_that_no_clock_can_show_never_comes(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let never = Timer::at(Instant::MAX);
            assert_eq!(with_timeout(3 * MS, never).await, Err(TimeoutError));
            let centuries = Timer::at(Instant::from_ticks(TICK_HZ * 86_400 * 365 * 250));
            assert_eq!(with_timeout(3 * MS, centuries).await, Err(TimeoutError));
        });
    }

    fn a_runtime_without_timers_has_them_too(flavour: Flavour) {
        let mut builder = if flavour.has_one_thread() {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        let runtime = flavour.build_from(builder.worker_threads(flavour.workers()));
        let task = runtime.spawn(all_kinds());
        runtime.block_on(task).unwrap();
    }

    fn what_waits_is_let_go_with_the_runtime(flavour: Flavour) {
        let runtime = flavour.build();
        let unparker = Unparker::here();
        runtime.block_on(async {
            assert!(unparker.poll(pin!(Timer::after(HOUR))).is_pending());
            assert_eq!((unparker.wakes(), Arc::strong_count(&unparker)), (0, 2));
        });
        drop(runtime);
        // It is told once, so that it may look for another clock.
        wait_until(|| Arc::strong_count(&unparker) == 1);
        assert_eq!(unparker.wakes(), 1);
    }
}

on_every_shared_runtime! {
    fn a_task_that_moves_to_another_runtime_keeps_its_time(flavour: Flavour) {
        let (first, second) = (flavour.build_shared(), flavour.build_shared());
        let mut timer = Timer::after(20 * MS);
        let start = Instant::now();
        first.block_on(async {
            assert!(Unparker::here().poll(Pin::new(&mut timer)).is_pending());
        });
        second.block_on(timer);
        assert!(start.elapsed() >= 20 * MS);
    }

    fn a_thread_beside_the_runtime_is_woken(flavour: Flavour) {
        let runtime = flavour.build_shared();
        // Nobody is in `block_on`: a runtime of one thread cannot be relied on.
        let _guard = runtime.enter();
        block_on(all_kinds());
        drop(_guard);
        let blocking = runtime.spawn_blocking(|| block_on(all_kinds()));
        runtime.block_on(blocking).unwrap();
    }
}

#[test]
fn a_plain_thread_needs_no_runtime() {
    within_a_minute(|| block_on(all_kinds()));
}

#[test]
fn a_waker_is_woken_once_at_the_earliest_of_its_times() {
    within_a_minute(|| {
        let (unparker, other) = (Unparker::here(), Unparker::here());
        // Polled again and again, as by a `select`.
        let mut far = Timer::after(HOUR);
        for _ in 0..10_000 {
            assert!(unparker.poll(Pin::new(&mut far)).is_pending());
            assert!(unparker.poll(pin!(Timer::after(HOUR))).is_pending());
        }
        assert_eq!(Arc::strong_count(&unparker), 2, "the queue has it once");
        assert!(unparker.poll(pin!(Timer::after(2 * MS))).is_pending());
        assert!(other.poll(pin!(Timer::after(4 * MS))).is_pending());
        wait_until(|| other.wakes() == 1);
        assert_eq!((unparker.wakes(), Arc::strong_count(&unparker)), (1, 1));
    });
}

#[test]
fn a_waker_may_register_wakers() {
    /// Comes back a few times.
    struct Again(AtomicUsize, mpsc::Sender<()>);

    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            if self.0.fetch_sub(1, Relaxed) > 0 {
                let waker = Waker::from(Arc::clone(&self));
                register(Instant::now() + MS, &waker);
                register(Instant::MIN, Waker::noop());
            } else {
                self.1.send(()).unwrap();
            }
        }
    }

    fn register(at: Instant, waker: &Waker) {
        assert!(pin!(Timer::at(at)).poll(&mut Context::from_waker(waker)).is_pending());
    }

    within_a_minute(|| {
        let (done, is_done) = mpsc::channel();
        Waker::from(Arc::new(Again(AtomicUsize::new(5), done))).wake();
        is_done.recv().unwrap();
    });
}

#[test]
fn a_paused_clock_jumps_to_the_next_timer() {
    within_a_minute(|| {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (start, beside) = (Instant::now(), jenny::time::Instant::now());
            let sleeper = jenny::spawn(async move {
                Timer::after(30 * HOUR).await;
                start.elapsed()
            });
            assert_eq!(with_timeout(7 * HOUR, pending::<()>()).await, Err(TimeoutError));
            assert_eq!(start.elapsed(), 7 * HOUR);
            jenny::time::sleep(jenny::time::Duration::from_secs(3600)).await;
            assert_eq!(start.elapsed(), 8 * HOUR);
            assert_eq!(sleeper.await.unwrap(), 30 * HOUR);
            assert_eq!(beside.elapsed().as_secs(), 30 * 3600);
            let (registered, is_registered) = jenny::sync::oneshot::channel();
            let elsewhere = jenny::task::spawn_blocking(move || {
                let mut timer = Timer::after(HOUR);
                assert!(Unparker::here().poll(Pin::new(&mut timer)).is_pending());
                registered.send(()).unwrap();
                block_on(timer);
                start.elapsed()
            });
            is_registered.await.unwrap();
            // The clock stands while a closure runs, unless somebody moves it.
            jenny::time::advance(jenny::time::Duration::from_secs(3600)).await;
            assert_eq!(elsewhere.await.unwrap(), 31 * HOUR);
        });
    });
}
