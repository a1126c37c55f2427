//! The figures of jenny's executor for one core.

#![no_std]
#![no_main]

use core::{
    future::{Ready, pending, ready},
    mem::size_of,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use cortex_m::asm::wfi;
use firmware_board::{self as board, Exit, println};
use firmware_figures::{Meter, ROUNDS, interrupt, interrupted, tell, told, yields};
use jenny_core::single::{Board, Executor, Idle, Spawner, TaskPool, task_size};

struct Chip;

impl Board for Chip {
    fn wait(&self, _: Idle<'_>) {
        wfi();
    }
}

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static EACH: TaskPool<{ task_size(&each) }, 1> = TaskPool::new();
static YIELDING: TaskPool<{ task_size(&yields) }, 1> = TaskPool::new();
static SPAWNING: TaskPool<{ task_size(&spawning) }, 1> = TaskPool::new();
static JOINING: TaskPool<{ task_size(&joining) }, 1> = TaskPool::new();
static CHILDREN: TaskPool<{ task_size(&child) }, 1> = TaskPool::new();
static TELLERS: TaskPool<{ task_size(&tell) }, 1> = TaskPool::new();

async fn child(value: u32) -> u32 {
    value
}

/// Nobody joins, as with embassy.
async fn spawning(spawner: Spawner<Chip>) {
    let meter = Meter::start();
    for round in 0..ROUNDS {
        TELLERS.spawn_local_detached(spawner, tell(round)).unwrap();
        assert_eq!(told().await, round);
    }
    meter.report("spawn_static");
}

async fn joining(spawner: Spawner<Chip>) {
    let meter = Meter::start();
    for round in 0..ROUNDS {
        let child = CHILDREN.spawn_local(spawner, child(round)).unwrap();
        assert_eq!(child.await.unwrap(), round);
    }
    meter.report("spawn_join_static");
}

async fn each(spawner: Spawner<Chip>) {
    YIELDING.spawn_local(spawner, yields()).unwrap().await.unwrap();
    SPAWNING.spawn_local(spawner, spawning(spawner)).unwrap().await.unwrap();
    JOINING.spawn_local(spawner, joining(spawner)).unwrap().await.unwrap();
    EXECUTOR.close();
    pending().await
}

/// An interrupt comes in each sleep.
struct Interrupted;

impl Board for Interrupted {
    fn wait(&self, _: Idle<'_>) {
        interrupt();
        wfi();
    }
}

static INTERRUPTED: Executor<Interrupted> = Executor::new(Interrupted);
static INTERRUPTS: TaskPool<{ task_size(&interrupts) }, 1> = TaskPool::new();
static COUNTED: AtomicU32 = AtomicU32::new(0);

async fn interrupts() {
    let meter = Meter::start();
    while COUNTED.load(Relaxed) < ROUNDS {
        interrupted().await;
        COUNTED.store(COUNTED.load(Relaxed) + 1, Relaxed);
    }
    meter.report("interrupt");
    INTERRUPTED.close();
    pending().await
}

#[board::entry]
fn main() -> ! {
    let ready = |value: u32| -> Ready<u32> { ready(value) };
    println!("bytes_per_task {}", task_size(&ready) - size_of::<Ready<u32>>());
    INTERRUPTED.run(|spawner| drop(INTERRUPTS.spawn_local(spawner, interrupts()).unwrap()));
    EXECUTOR.run(|spawner| drop(EACH.spawn_local(spawner, each(spawner)).unwrap()));
    board::exit(Exit::Success)
}
