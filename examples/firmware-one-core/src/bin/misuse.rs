//! What goes wrong is said: by an error with a type where the program can go on.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::{
    cell::RefCell,
    future::{self, pending},
    task::{Poll, Waker},
};

use critical_section::Mutex;
use firmware_board::{self as board, Exit, println};
use firmware_one_core::Chip;
use jenny_core::single::{Executor, Spawner, TaskPool, task_size};

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static POOL: TaskPool<{ task_size(&sum) }, 2> = TaskPool::new();
static WAKER: Mutex<RefCell<Option<Waker>>> = Mutex::new(RefCell::new(None));

async fn sum(left: u32, right: u32) -> u32 {
    left + right
}

#[board::entry]
fn main() -> ! {
    board::heap!(4 * 1024);
    EXECUTOR.run(|spawner| drop(spawner.spawn_local(conduct(spawner))));
    after_the_shutdown();
    board::exit(Exit::Success)
}

async fn conduct(spawner: Spawner<Chip>) {
    full_pool(spawner).await;
    full_heap(spawner).await;
    leave_a_waker(spawner).await;
    EXECUTOR.close();
}

async fn full_pool(spawner: Spawner<Chip>) {
    let first = POOL.spawn_local(spawner, sum(1, 2)).expect("two places are free");
    // A place that is reserved cannot be lost.
    let place = POOL.reserve().expect("one place is free");
    let error = POOL.spawn_local(spawner, sum(3, 4)).expect_err("no place is free");
    println!("full pool: {error}");
    let second = place.spawn_local(spawner, error.into_inner());
    assert_eq!((first.await.ok(), second.await.ok()), (Some(3), Some(7)));
    assert_eq!(POOL.free(), 2);
}

async fn full_heap(spawner: Spawner<Chip>) {
    // The list has its memory before the tasks take what is left.
    let mut tasks = Vec::with_capacity(64);
    let error = loop {
        assert!(tasks.len() < tasks.capacity());
        match spawner.try_spawn_local(sum(5, 6)) {
            Ok(task) => tasks.push(task),
            Err(error) => break error,
        }
    };
    println!("full heap: {error}");
    assert_eq!(error.into_inner().await, 11);
    for task in tasks {
        assert_eq!(task.await.ok(), Some(11));
    }
    // The memory is there again.
    assert_eq!(spawner.try_spawn_local(sum(7, 8)).expect("memory is back").await.ok(), Some(15));
}

/// A task that meets the shutdown, and whose waker does not.
async fn leave_a_waker(spawner: Spawner<Chip>) {
    spawner.spawn_local(async {
        future::poll_fn(|context| {
            let waker = context.waker().clone();
            critical_section::with(|token| WAKER.borrow_ref_mut(token).replace(waker));
            Poll::Ready(())
        })
        .await;
        pending::<()>().await;
    });
    // Behind it in the queue.
    assert_eq!(spawner.spawn_local(sum(0, 0)).await.ok(), Some(0));
}

fn after_the_shutdown() {
    let waker = critical_section::with(|token| WAKER.borrow_ref_mut(token).take());
    waker.expect("the task has left its waker").wake();
    println!("wake after the shutdown: nothing to wake");

    let mut late = POOL.spawn(&EXECUTOR, sum(9, 10)).expect("the pool is free");
    let error = late.try_join().expect("it is over").expect_err("it cannot have run");
    println!("spawn after the shutdown: {error}");
    assert!(error.is_cancelled());
}
