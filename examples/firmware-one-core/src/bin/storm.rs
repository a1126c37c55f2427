//! No wake is lost, wherever an interrupt comes: one in each round, an instruction earlier than in the
//! round before, through all of the way from a task to WFI.
//!
//! A lost wake would leave the chip asleep for ever.

#![no_std]
#![no_main]

use core::{
    cell::RefCell,
    future::poll_fn,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
    task::{Poll, Waker},
};

use critical_section::Mutex;
use firmware_board::{self as board, Exit, println};
use firmware_one_core::Chip;
use jenny_core::single::{Executor, TaskPool, task_size};

/// Instructions from the start of the timer to its interrupt, about: more than there are between a
/// task and WFI.
const AHEAD: u32 = 2_000;
const ROUNDS: u32 = AHEAD + 500;

static EXECUTOR: Executor<Chip> = Executor::new(Chip);
static TASK: TaskPool<{ task_size(&task) }, 1> = TaskPool::new();

static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
static WAKER: Mutex<RefCell<Option<Waker>>> = Mutex::new(RefCell::new(None));

board::on_timer_at!(interrupt);

fn interrupt(instruction: usize) {
    board::timer::stop();
    note(instruction);
    // Ordering: there is one writer. Release publishes it to the task.
    INTERRUPTS.store(INTERRUPTS.load(Relaxed) + 1, Release);
    let waker = critical_section::with(|token| WAKER.borrow_ref_mut(token).take());
    if let Some(waker) = waker {
        waker.wake();
    }
}

async fn interrupted(times: u32) {
    poll_fn(|context| {
        let waker = context.waker().clone();
        critical_section::with(|token| WAKER.borrow_ref_mut(token).replace(waker));
        // Looked at after the waker is in place: an interrupt in between wakes, or is seen here.
        if INTERRUPTS.load(Acquire) < times { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

async fn task() {
    for round in 1..=ROUNDS {
        board::timer::start(board::timer::ticks(AHEAD));
        board::spin(1 + round);
        interrupted(round).await;
        assert_eq!(INTERRUPTS.load(Acquire), round, "an interrupt too many");
    }
    EXECUTOR.close();
}

#[board::entry]
fn main() -> ! {
    board::heap!(64);
    EXECUTOR.run(|_| drop(TASK.spawn(&EXECUTOR, task()).expect("the pool is free")));
    println!("{ROUNDS} interrupts, {} came back", INTERRUPTS.load(Relaxed));
    println!("{} instructions were interrupted", places());
    board::exit(Exit::Success)
}

/// A bit for each place where an instruction may be. The program is at the start of the memory.
static PLACES: Mutex<RefCell<[u32; 1024]>> = Mutex::new(RefCell::new([0; 1024]));

fn note(instruction: usize) {
    let place = instruction / 2 % (32 * 1024);
    critical_section::with(|token| {
        PLACES.borrow_ref_mut(token)[place / 32] |= 1 << (place % 32);
    });
}

fn places() -> u32 {
    critical_section::with(|token| {
        PLACES.borrow_ref(token).iter().map(|bits| bits.count_ones()).sum()
    })
}
