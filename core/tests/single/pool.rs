//! Tasks in statics.

use std::{
    future::{self, poll_fn},
    task::{Poll, Waker},
};

use jenny_core::{
    single::{PoolFull, TaskPool, task_size},
    task::{has_completed, id_of},
};

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
fn a_place_is_taken_until_the_last_handle_is_gone() {
    static POOL: TaskPool<256, 1> = TaskPool::new();
    let (executor, signal) = (executor(), Signal::leaked());
    let task = POOL.spawn(executor, signal.wait()).unwrap();
    let aborts = task.abort_handle();
    signal.raise();
    assert_eq!(executor.block_on(task).unwrap(), 1);
    assert_eq!(POOL.free(), 0);
    when_asleep(move || {
        assert!(in_interrupt());
        drop(aborts);
        assert_eq!(POOL.free(), 1, "an interrupt may give a place back");
        signal.raise();
    });
    executor.block_on(signal.wait());
    assert_eq!(POOL.free(), 1);
}

/// Keeps a waker of the task that awaits it.
async fn waker() -> Waker {
    poll_fn(|context| Poll::Ready(context.waker().clone())).await
}

#[test]
fn a_waker_that_outlives_its_task_wakes_the_next_one_for_nothing() {
    static POOL: TaskPool<512, 1> = TaskPool::new();
    let (executor, signal) = (executor(), Signal::leaked());
    let stale = executor.block_on(POOL.spawn(executor, waker()).unwrap()).unwrap();
    assert_eq!(POOL.free(), 1, "wakers do not hold a place");
    let polls = executor.counts().polls;

    // A vacant place, a reserved one, a task that waits to be polled.
    stale.wake_by_ref();
    let place = POOL.reserve().unwrap();
    stale.wake_by_ref();
    let next = place.spawn(executor, signal.wait());
    assert_eq!(id_of(&stale), Some(next.id()));
    stale.wake_by_ref();
    let again = stale.clone();
    when_asleep(move || {
        assert_eq!(executor.counts().polls, polls + 1);
        again.wake();
    });
    when_asleep(move || {
        assert_eq!(executor.counts().polls, polls + 2, "polled for nothing");
        signal.raise();
    });
    assert_eq!(executor.block_on(next).unwrap(), 1);
    assert!(has_completed(&stale));
    stale.wake();
    executor.close();
    executor.run(|_| {});
    assert_eq!(POOL.free(), 1);
}

#[test]
fn a_detached_task_runs_to_its_end_and_gives_its_place_back() {
    static POOL: TaskPool<256, 1> = TaskPool::new();
    let (executor, signal) = (executor(), Signal::leaked());
    let left = left_by(|| {
        without_memory(|| {
            POOL.spawn_detached(executor, signal.wait()).unwrap();
            assert!(POOL.spawn_detached(executor, signal.wait()).is_err());
        });
        signal.raise();
        // As it has no handle, it is over when another one has had its turn.
        executor.block_on(executor.spawn(async {})).unwrap();
        assert_eq!(POOL.free(), 1);
        POOL.spawn_detached(executor, async { String::from("an output that is dropped") }).unwrap();
        executor.block_on(executor.spawn(async {})).unwrap();
        assert_eq!(POOL.free(), 1);
    });
    assert_eq!(left, 0);
}

#[test]
fn a_shutdown_cancels_detached_tasks() {
    static POOL: TaskPool<256, 3> = TaskPool::new();
    let (executor, signal) = (executor(), Signal::leaked());
    POOL.spawn_detached(executor, signal.wait()).unwrap();
    executor.block_on(executor.spawn(async {})).unwrap();
    // One that waits, one that has not been polled, one that comes too late.
    POOL.spawn_detached(executor, async { unreachable!("cancelled before") }).unwrap();
    executor.close();
    let mut local = None;
    executor.run(|spawner| local = Some(spawner));
    assert_eq!(POOL.free(), 3);
    POOL.spawn_detached(executor, async { unreachable!("refused") }).unwrap();
    POOL.spawn_local_detached(local.unwrap(), async { unreachable!("refused") }).unwrap();
    assert_eq!(POOL.free(), 3);
    drop(signal.take_waker());
}

/// Two executors take turns in the same places: what one cancels is its own.
#[test]
fn a_shutdown_leaves_the_tasks_of_another_executor_alone() {
    static POOL: TaskPool<256, 3> = TaskPool::new();
    let (first, second) = (executor(), executor());
    let (mine, theirs) = (Signal::leaked(), Signal::leaked());
    for _ in 0..2 {
        second.block_on(POOL.spawn(second, double(1)).unwrap()).unwrap();
        first.block_on(POOL.spawn(first, double(1)).unwrap()).unwrap();
    }
    let cancelled = POOL.spawn(first, mine.wait()).unwrap();
    let stays = POOL.spawn(second, theirs.wait()).unwrap();
    // Both wait.
    first.block_on(first.spawn(async {})).unwrap();
    second.block_on(second.spawn(async {})).unwrap();
    first.close();
    first.run(|_| {});
    assert!(first.block_on(cancelled).unwrap_err().is_cancelled());
    assert!(!stays.is_finished());
    theirs.raise();
    assert_eq!(second.block_on(stays).unwrap(), 1);
    assert_eq!(POOL.free(), 3);
    drop(mine.take_waker());
}

#[test]
fn a_task_keeps_the_id_that_it_gets_when_it_is_asked() {
    static POOL: TaskPool<256, 2> = TaskPool::new();
    let executor = executor();
    let (first, second) = (POOL.spawn(executor, double(1)), POOL.spawn(executor, double(2)));
    let (first, second) = (first.unwrap(), second.unwrap());
    let (later, sooner) = (second.id(), first.id());
    assert_ne!(later, sooner);
    assert_eq!(first.abort_handle().id(), sooner);
    first.abort();
    assert_eq!(executor.block_on(first).unwrap_err().id(), sooner);
    assert_eq!(second.id(), later);
    let next = POOL.spawn(executor, double(3)).unwrap();
    assert!(![later, sooner].contains(&next.id()), "the id of an earlier task in the place");
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
