//! `embassy-time` in the tasks of an executor, next to this crate's timers.

use std::{future::pending, sync::Mutex};

use embassy_time::{Duration, Instant, Ticker, TimeoutError, Timer, with_timeout};
use jenny_core::single::{Executor, TaskPool, task_size};

use super::{DRIVER, Simulated, TIMERS, board};

fn ticks(ticks: u64) -> Duration {
    Duration::from_ticks(ticks)
}

#[test]
fn timers_of_both_kinds_fire_at_their_tick() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    let start = Instant::now();
    let log: &'static Mutex<Vec<(u64, &str)>> = Box::leak(Box::default());
    let note = move |what| log.lock().unwrap().push((start.elapsed().as_ticks(), what));
    EXECUTOR.block_on(async {
        let timer = EXECUTOR.spawn(async move {
            Timer::after(ticks(500)).await;
            note("timer");
        });
        let sleep = EXECUTOR.spawn(async move {
            TIMERS.sleep(300).await;
            note("sleep");
            TIMERS.sleep_until(start.as_ticks() + 700).await;
            note("sleep until");
        });
        let ticker = EXECUTOR.spawn(async move {
            let mut ticker = Ticker::every(ticks(200));
            for _ in 0..5 {
                ticker.next().await;
                note("tick");
            }
        });
        assert_eq!(with_timeout(ticks(650), pending::<()>()).await, Err(TimeoutError));
        note("timeout");
        for task in [timer, sleep, ticker] {
            task.await.unwrap();
        }
    });
    let mut expected = vec![
        (200, "tick"),
        (300, "sleep"),
        (400, "tick"),
        (500, "timer"),
        (600, "tick"),
        (650, "timeout"),
        (700, "sleep until"),
        (800, "tick"),
        (1000, "tick"),
    ];
    let mut log = log.lock().unwrap().clone();
    log.sort_unstable();
    expected.sort_unstable();
    assert_eq!(log, expected);
}

#[test]
fn more_sleeps_than_the_driver_has_room_for() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    let start = embassy_time_driver::now();
    EXECUTOR.block_on(async {
        let tasks: Vec<_> = (0..1_000)
            .map(|n: u64| {
                let deadline = start + 1 + n * 7919 % 5_000;
                EXECUTOR.spawn(async move {
                    TIMERS.sleep_until(deadline).await;
                    assert_eq!(embassy_time_driver::now(), deadline);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        drop(TIMERS.sleep(1 << 30));
        assert!(DRIVER.len() <= 1, "one slot for all of them");
    });
}

#[test]
fn a_dropped_timer_of_an_ended_task_makes_room() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    let _board = board();
    EXECUTOR.block_on(async {
        for _ in 0..50 {
            let task = EXECUTOR.spawn(with_timeout(ticks(1 << 30), async {
                Timer::after(ticks(1)).await;
            }));
            assert_eq!(task.await.unwrap(), Ok(()));
        }
    });
}

#[test]
fn static_tasks_wait_as_well() {
    static EXECUTOR: Executor<Simulated> = Executor::new(Simulated);
    static POOL: TaskPool<{ task_size(&wait) }, 2> = TaskPool::new();
    async fn wait(time: u64) -> u64 {
        Timer::after(ticks(time)).await;
        time
    }
    let _board = board();
    EXECUTOR.block_on(async {
        let [short, long] = [3, 9].map(|time| POOL.spawn(&EXECUTOR, wait(time)).unwrap());
        assert_eq!((long.await.unwrap(), short.await.unwrap()), (9, 3));
    });
}
