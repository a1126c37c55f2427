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

/// An interrupt comes in each sleep, as long as there are some left.
struct Interrupts {
    left: AtomicU32,
}

impl Board for Interrupts {
    fn wait(&self, _: Idle<'_>) {
        let left = self.left.load(Relaxed);
        if left == 0 {
            return WAKING.close();
        }
        self.left.store(left - 1, Relaxed);
        interrupt();
        wfi();
    }
}

static WAKING: Executor<Interrupts> = Executor::new(Interrupts { left: AtomicU32::new(ROUNDS) });
static WOKEN: TaskPool<{ task_size(&interrupts) }, 1> = TaskPool::new();
static INTERRUPTED: AtomicU32 = AtomicU32::new(0);

async fn interrupts() {
    loop {
        interrupted().await;
        INTERRUPTED.store(INTERRUPTED.load(Relaxed) + 1, Relaxed);
    }
}

fn count_interrupts() {
    let meter = Meter::start();
    WAKING.run(|spawner| WOKEN.spawn_local_detached(spawner, interrupts()).unwrap());
    meter.report("interrupt");
    assert_eq!(INTERRUPTED.load(Relaxed), ROUNDS);
}

#[board::entry]
fn main() -> ! {
    let ready = |value: u32| -> Ready<u32> { ready(value) };
    println!("bytes_per_task {}", task_size(&ready) - size_of::<Ready<u32>>());
    count_interrupts();
    EXECUTOR.run(|spawner| drop(EACH.spawn_local(spawner, each(spawner)).unwrap()));
    board::exit(Exit::Success)
}
