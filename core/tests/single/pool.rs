//! Tasks in statics.

use std::future;

use jenny_core::single::{PoolFull, TaskPool, task_size};

use crate::machine::{Signal, executor, in_interrupt, left_by, when_asleep, without_memory};

async fn double(value: u32) -> u32 {
    value * 2
}

#[test]
fn a_task_lives_without_the_allocator() {
    static POOL: TaskPool<{ task_size(&double) }, 1> = TaskPool::new();
    let executor = executor();
    without_memory(|| {
        for value in 0..10 {
            let task = POOL.spawn(executor, double(value)).unwrap();
            assert_eq!(POOL.free(), 0);
            assert_eq!(executor.block_on(task).unwrap(), value * 2);
            assert_eq!(POOL.free(), 1);
        }
    });
}

#[test]
fn a_full_pool_gives_the_future_back() {
    static POOL: TaskPool<{ task_size(&double) }, 2> = TaskPool::new();
    let executor = executor();
    let first = POOL.spawn(executor, double(1)).unwrap();
    let second = POOL.spawn(executor, double(2)).unwrap();
    let error = POOL.spawn(executor, double(3)).unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(POOL.reserve().unwrap_err(), PoolFull);
    assert_eq!(executor.block_on(first).unwrap(), 2);
    let third = POOL.spawn(executor, error.into_inner()).unwrap();
    assert_eq!(executor.block_on(async { (second.await.unwrap(), third.await.unwrap()) }), (4, 6));
    assert_eq!(POOL.free(), 2);
}

#[test]
fn a_reserved_place_cannot_be_refused() {
    static POOL: TaskPool<256, 1> = TaskPool::new();
    let executor = executor();
    let place = POOL.reserve().unwrap();
    assert!(POOL.spawn(executor, double(1)).is_err());
    let task = place.spawn(executor, double(2));
    assert_eq!(executor.block_on(task).unwrap(), 4);
    drop(POOL.reserve().unwrap());
    assert_eq!(POOL.free(), 1);
}

#[test]
fn a_place_is_taken_until_the_last_waker_is_gone() {
    static POOL: TaskPool<256, 1> = TaskPool::new();
    let (executor, signal) = (executor(), Signal::leaked());
    let task = POOL.spawn(executor, signal.wait()).unwrap();
    task.abort();
    when_asleep(|| {
        assert!(in_interrupt());
        assert_eq!(POOL.free(), 0);
        drop(signal.take_waker());
        assert_eq!(POOL.free(), 1, "an interrupt may give a place back");
        signal.raise();
    });
    executor.block_on(async {
        // It is cancelled before its first poll, so it leaves no waker; this future's own is last.
        assert!(task.await.unwrap_err().is_cancelled());
    });
    assert_eq!(POOL.free(), 1);

    let task = POOL.spawn(executor, signal.wait()).unwrap();
    let watcher = executor.spawn(async move { task.await.unwrap_err().is_cancelled() });
    executor.close();
    executor.run(|_| {});
    assert!(executor.block_on(watcher).is_err(), "cancelled, too");
    drop(signal.take_waker());
    assert_eq!(POOL.free(), 1);
}

#[test]
fn tasks_of_several_types_share_a_pool() {
    static POOL: TaskPool<512, 3> = TaskPool::new();
    let executor = executor();
    let left = left_by(|| {
        let number = POOL.spawn(executor, double(3)).unwrap();
        let text = POOL.spawn(executor, async { String::from("text") }).unwrap();
        let large = POOL.spawn(executor, future::ready([1_u64; 32])).unwrap();
        executor.block_on(async {
            assert_eq!(number.await.unwrap(), 6);
            assert_eq!(text.await.unwrap(), "text");
            assert_eq!(large.await.unwrap(), [1; 32]);
        });
    });
    assert_eq!((left, POOL.free()), (0, 3));
}

#[test]
fn an_output_that_nobody_takes_is_dropped() {
    static POOL: TaskPool<256, 1> = TaskPool::new();
    let executor = executor();
    let left = left_by(|| {
        drop(POOL.spawn(executor, async { String::from("output") }).unwrap());
        executor.close();
        executor.run(|_| {});
    });
    assert_eq!((left, POOL.free()), (0, 1));
}
