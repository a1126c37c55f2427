//! The smallest firmware that does something: one task, woken by an interrupt.

#![no_std]
#![no_main]

use core::{
    alloc::{GlobalAlloc, Layout},
    panic::PanicInfo,
    ptr,
};

use cortex_m::asm::{udf, wfi};
use cortex_m_rt::{entry, exception};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use jenny_core::single::{Board, Executor, Idle, TaskPool, task_size};

/// There is no heap.
struct NoHeap;

#[global_allocator]
static HEAP: NoHeap = NoHeap;

// SAFETY: gives nothing out.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

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
        if TASK.spawn_local(spawner, task()).is_err() {
            udf();
        }
    });
    udf()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    udf()
}
