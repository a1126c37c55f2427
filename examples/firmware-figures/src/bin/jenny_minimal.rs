//! The smallest firmware that does something: one task, woken by an interrupt, and no
//! heap.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::asm::{udf, wfi};
use cortex_m_rt::{entry, exception};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use jenny_core::single::{Board, Executor, Idle, TaskPool, task_size};

struct Chip;

impl Board for Chip {
    fn wait(&self, _: Idle<'_>) {
        wfi();
    }
}

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static TASK: TaskPool<{ task_size(&task) }, 1> = TaskPool::new();
static TICK: Signal<CriticalSectionRawMutex, ()> = Signal::new();

async fn task() {
    loop {
        TICK.wait().await;
    }
}

#[exception]
fn SysTick() {
    TICK.signal(());
}

#[entry]
fn main() -> ! {
    EXECUTOR.run(|spawner| {
        if TASK.spawn_local_detached(spawner, task()).is_err() {
            udf();
        }
    });
    udf()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    udf()
}
