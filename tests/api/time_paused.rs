//! The clock that tests stop and move: exact times, exact orders.

use std::{
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    thread,
};

use jenny::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::{Notify, oneshot},
    task::{spawn, spawn_blocking, yield_now},
    time::{
        Duration, Instant, Interval, MissedTickBehavior, advance, interval, interval_at, pause,
        resume, sleep, sleep_until, timeout,
    },
};

use crate::support::within_a_minute;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Runs a future on a runtime of one thread whose clock stands from the beginning.
fn paused<F>(future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    within_a_minute(|| {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(future);
    });
}

/// Polls once, with a waker that does nothing.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[jenny::test(start_paused = true)]
async fn the_attribute_stops_the_clock() {
    let (start, real) = (Instant::now(), std::time::Instant::now());
    sleep(1000 * HOUR).await;
    assert_eq!(start.elapsed(), 1000 * HOUR);
    assert!(real.elapsed() < HOUR);
}

#[test]
fn the_clock_stands_still_while_there_is_something_to_do() {
    paused(async {
        let start = Instant::now();
        let mut future = pin!(sleep(MS));
        assert!(poll(future.as_mut()).is_pending());
        for _ in 0..1_000 {
            yield_now().await;
        }
        thread::sleep(5 * MS);
        assert_eq!(Instant::now(), start);
        assert!(poll(future).is_pending());
    });
}

/// Millisecond by millisecond, and through every level of the wheel.
#[test]
fn the_clock_jumps_to_each_deadline_exactly() {
    paused(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..20_u32)
            .map(|n| {
                spawn(async move {
                    let duration = (3_u64.pow(n) + u64::from(n)) * 1_000_000;
                    sleep(Duration::from_nanos(duration)).await;
                    assert_eq!(start.elapsed(), Duration::from_nanos(duration));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // Between two ticks, the tick after the deadline.
        let now = Instant::now();
        sleep(MS / 4).await;
        assert_eq!(now.elapsed(), MS);
    });
}

#[test]
fn timers_fire_in_the_order_of_deadlines_and_of_their_beginning() {
    paused(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        // Numbers that repeat: the same deadlines are begun at different times.
        let deadlines: Vec<u32> = (0..500).map(|n| n * 7919 % 97).collect();
        let start = Instant::now();
        let tasks: Vec<_> = deadlines
            .iter()
            .copied()
            .enumerate()
            .map(|(sequence, ms)| {
                let order = Arc::clone(&order);
                spawn(async move {
                    sleep_until(start + ms * MS).await;
                    assert_eq!(start.elapsed(), ms * MS);
                    order.lock().unwrap().push((ms, sequence));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let mut sorted = order.lock().unwrap().clone();
        sorted.sort_unstable();
        assert_eq!(*order.lock().unwrap(), sorted);
        assert_eq!(sorted.len(), deadlines.len());
    });
}

#[test]
fn advance_fires_in_order_and_moves_the_clock_once() {
    paused(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        // In a task, which yields to all others.
        let task = spawn(async move {
            let start = Instant::now();
            let tasks: Vec<_> = [30_u32, 10, 20, 99]
                .into_iter()
                .map(|ms| {
                    let order = Arc::clone(&order);
                    spawn(async move {
                        sleep(ms * MS).await;
                        assert_eq!(start.elapsed() / 50, MS);
                        order.lock().unwrap().push(ms);
                    })
                })
                .collect();
            yield_now().await;
            advance(50 * MS).await;
            assert_eq!(*order.lock().unwrap(), [10, 20, 30]);
            assert_eq!(start.elapsed(), 50 * MS);
            tasks[3].abort();
        });
        task.await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 3);
    });
}

#[test]
fn advance_fires_what_is_due() {
    paused(async {
        let start = Instant::now();
        // A sleep that is not polled by anybody else.
        let mut future = pin!(sleep(10 * MS));
        assert!(poll(future.as_mut()).is_pending());
        advance(9 * MS).await;
        assert!(!future.is_elapsed());
        advance(MS).await;
        assert!(future.is_elapsed() && poll(future).is_ready());
        assert_eq!(start.elapsed(), 10 * MS);

        // One that was made before, and is polled first after the deadline.
        let future = pin!(sleep(10 * MS));
        advance(10 * MS).await;
        assert!(poll(future).is_ready());
    });
}

#[test]
fn a_running_clock_is_paused_and_goes_on() {
    within_a_minute(|| {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let real = std::time::Instant::now();
            sleep(2 * MS).await;
            assert!(real.elapsed() >= 2 * MS);

            pause();
            let stopped = Instant::now();
            sleep(HOUR).await;
            let shown = Instant::now();
            assert!(stopped + HOUR <= shown && shown < stopped + HOUR + 2 * MS);
            thread::sleep(2 * MS);
            assert_eq!(Instant::now(), shown);

            resume();
            let real = std::time::Instant::now();
            sleep(2 * MS).await;
            assert!(real.elapsed() >= 2 * MS);
            assert!(Instant::now() >= shown + 2 * MS);
            assert!(start.elapsed() >= HOUR + 4 * MS);

            // And once more.
            pause();
            advance(HOUR).await;
            assert!(start.elapsed() >= 2 * HOUR);
        });
        // Elsewhere the clock is the system's.
        let other = Builder::new_current_thread().enable_time().build().unwrap();
        other.block_on(async {
            assert!(Instant::now().into_std() <= std::time::Instant::now());
        });
        assert!(Instant::now().into_std() <= std::time::Instant::now());
    });
}

/// A thread of the pool takes as long as it takes; the clock waits for it.
#[test]
fn closures_that_block_hold_the_clock() {
    paused(async {
        let start = Instant::now();
        for _ in 0..20 {
            let answer = timeout(MS, spawn_blocking(|| thread::sleep(3 * MS))).await;
            answer.expect("no time has passed").unwrap();
        }
        assert_eq!(Instant::now(), start);

        // Nobody waits for this one; it ends, and the clock goes on.
        let (release, held) = mpsc::channel::<()>();
        let closure = spawn_blocking(move || held.recv().unwrap());
        let sleeper = spawn(sleep(MS));
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!sleeper.is_finished());
        let real = thread::spawn(move || {
            thread::sleep(5 * MS);
            release.send(()).unwrap();
        });
        sleeper.await.unwrap();
        assert!(closure.is_finished());
        assert_eq!(start.elapsed(), MS);
        real.join().unwrap();
    });
}

/// What a socket has to say comes before any deadline.
#[test]
fn sockets_come_first() {
    paused(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let start = Instant::now();
        let server = spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
        });
        let stream = timeout(HOUR, TcpStream::connect(address)).await.unwrap().unwrap();
        assert_eq!(stream.try_write(b"spin").unwrap(), 4);
        timeout(HOUR, server).await.expect("the kernel has it already").unwrap();
        assert_eq!(Instant::now(), start);
    });
}

#[test]
fn another_thread_wakes_while_nothing_is_due() {
    paused(async {
        let start = Instant::now();
        let (answer, question) = oneshot::channel();
        let thread = thread::spawn(move || {
            thread::sleep(3 * MS);
            answer.send(1).unwrap();
        });
        // No timer: there is nothing to jump to, so the runtime sleeps for real.
        assert_eq!(question.await, Ok(1));
        assert_eq!(Instant::now(), start);
        thread.join().unwrap();
    });
}

/// A thread that has entered the runtime moves the clock under a sleeping loop.
#[test]
fn another_thread_moves_the_clock() {
    within_a_minute(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (is_waiting, waiting) = mpsc::channel();
        let other = thread::spawn(move || {
            waiting.recv().unwrap();
            handle.block_on(async {
                pause();
                advance(HOUR).await;
                resume();
            });
        });
        runtime.block_on(async {
            let start = Instant::now();
            let mut future = pin!(sleep(HOUR));
            assert!(poll(future.as_mut()).is_pending());
            is_waiting.send(()).unwrap();
            future.await;
            assert!(start.elapsed() >= HOUR);
        });
        other.join().unwrap();
    });
}

/// When each tick was taken and when it was due, if somebody is away for a while after the second.
async fn ticks(behavior: MissedTickBehavior, away: Duration) -> Vec<(u128, u128)> {
    let start = Instant::now();
    let mut interval = interval(50 * MS);
    assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    interval.set_missed_tick_behavior(behavior);
    assert_eq!(interval.missed_tick_behavior(), behavior);
    let mut taken = Vec::new();
    for n in 0..7 {
        let due = interval.tick().await;
        taken.push((start.elapsed().as_millis(), (due - start).as_millis()));
        if n == 1 {
            advance(away).await;
        }
    }
    taken
}

#[test]
fn missed_ticks() {
    paused(async {
        assert_eq!(
            ticks(MissedTickBehavior::Burst, 120 * MS).await,
            [(0, 0), (50, 50), (170, 100), (170, 150), (200, 200), (250, 250), (300, 300)]
        );
        assert_eq!(
            ticks(MissedTickBehavior::Delay, 120 * MS).await,
            [(0, 0), (50, 50), (170, 100), (220, 220), (270, 270), (320, 320), (370, 370)]
        );
        assert_eq!(
            ticks(MissedTickBehavior::Skip, 120 * MS).await,
            [(0, 0), (50, 50), (170, 100), (200, 200), (250, 250), (300, 300), (350, 350)]
        );
        // Late by no more than what counts as punctual: nothing was missed.
        for behavior in [MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
            assert_eq!(
                ticks(behavior, 55 * MS).await,
                [(0, 0), (50, 50), (105, 100), (150, 150), (200, 200), (250, 250), (300, 300)]
            );
        }
        assert_eq!(MissedTickBehavior::default(), MissedTickBehavior::Burst);
    });
}

async fn next(interval: &mut Interval, start: Instant) -> u128 {
    (interval.tick().await - start).as_millis()
}

#[test]
fn resetting_an_interval() {
    paused(async {
        let start = Instant::now();
        let mut interval = interval_at(start + 10 * MS, 100 * MS);
        assert_eq!(next(&mut interval, start).await, 10);
        advance(40 * MS).await;
        interval.reset();
        assert_eq!(next(&mut interval, start).await, 150);
        advance(25 * MS).await;
        interval.reset_immediately();
        assert_eq!(next(&mut interval, start).await, 175);
        assert_eq!(start.elapsed(), 175 * MS);
        interval.reset_after(30 * MS);
        assert_eq!(next(&mut interval, start).await, 205);
        interval.reset_at(start + 300 * MS);
        assert_eq!(next(&mut interval, start).await, 300);
        assert_eq!(next(&mut interval, start).await, 400);
        interval.reset_after(Duration::MAX);
        assert!(timeout(HOUR, interval.tick()).await.is_err());
        interval.reset_at(start);
        assert_eq!(next(&mut interval, start).await, 0);
    });
}

/// A deadline that is over needs no turn of the runtime, which a stopped clock may never bring.
#[test]
fn a_reset_to_the_past_is_over_at_once() {
    paused(async {
        let start = Instant::now();
        let mut sleep = pin!(sleep(HOUR));
        assert!(poll(sleep.as_mut()).is_pending());
        advance(100 * MS).await;
        sleep.as_mut().reset(start + 100 * MS);
        assert!(poll(sleep.as_mut()).is_ready());
        assert_eq!(start.elapsed(), 100 * MS);
    });
}

/// A tick that was not waited for to the end is there for the next call.
#[test]
fn a_cancelled_tick_is_not_lost() {
    paused(async {
        let start = Instant::now();
        let mut interval = interval(10 * MS);
        assert_eq!(next(&mut interval, start).await, 0);
        assert!(timeout(9 * MS, interval.tick()).await.is_err());
        assert_eq!(next(&mut interval, start).await, 10);
        assert_eq!(start.elapsed(), 10 * MS);
    });
}

#[test]
fn a_time_out_is_exact() {
    paused(async {
        let start = Instant::now();
        assert!(timeout(HOUR, pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), HOUR);
        // At the same instant the future, which is polled first, wins.
        assert!(timeout(HOUR, sleep(HOUR)).await.is_ok());
        assert!(timeout(HOUR - MS, sleep(HOUR)).await.is_err());
        assert_eq!(start.elapsed(), 3 * HOUR - MS);
    });
}

/// The flow of a program that retries: tasks, notifications and deadlines in one exact order.
#[test]
fn a_whole_day_in_no_time() {
    paused(async {
        let start = Instant::now();
        let ping = Arc::new(Notify::new());
        let pong = Arc::clone(&ping);
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        let ticker = spawn(async move {
            let mut hours = interval(HOUR);
            for _ in 0..24 {
                hours.tick().await;
                pong.notify_one();
            }
        });
        let listener = spawn(async move {
            while timeout(2 * HOUR, ping.notified()).await.is_ok() {
                seen.lock().unwrap().push(start.elapsed().as_secs() / 3600);
            }
        });
        ticker.await.unwrap();
        listener.await.unwrap();
        assert_eq!(*log.lock().unwrap(), (0..24).collect::<Vec<_>>());
        assert_eq!(start.elapsed(), 25 * HOUR);
    });
}

#[test]
fn a_sleep_for_ever_takes_decades() {
    paused(async {
        let start = Instant::now();
        sleep(Duration::MAX).await;
        assert!(start.elapsed() >= Duration::from_secs(86_400 * 365 * 29));
    });
}

#[test]
fn dropped_and_moved_timers_do_not_move_the_clock() {
    paused(async {
        let start = Instant::now();
        let mut moved = Box::pin(sleep(5 * MS));
        let mut dropped = Box::pin(sleep(3 * MS));
        assert!(poll(moved.as_mut()).is_pending() && poll(dropped.as_mut()).is_pending());
        drop(dropped);
        moved.as_mut().reset(start + 20 * MS);
        poll_fn(|context| {
            assert_eq!(Instant::now(), start);
            assert!(moved.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        sleep(10 * MS).await;
        assert_eq!(start.elapsed(), 10 * MS);
        moved.await;
        assert_eq!(start.elapsed(), 20 * MS);
    });
}
