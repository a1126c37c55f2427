//! Hart 0 spawns, the others wake up and steal. Next to the tasks that may move, each hart has one
//! that may not. A timer interrupt wakes a task on whatever hart. In the end what is left is
//! cancelled, and everything is counted.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::{rc::Rc, vec::Vec};
use core::{
    cell::Cell,
    future, hint,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use firmware_board::{self as board, Exit, println};
use firmware_four_harts::{Bell, HARTS, Handle, Virt, hart, run};
use jenny_core::smp;

const TASKS: usize = 2_000;
const TICKS: usize = 50;
const FOREVER: usize = 100;

/// Polls of tasks that may move, by the hart that polled.
static POLLS: [AtomicUsize; HARTS] = [const { AtomicUsize::new(0) }; HARTS];
/// What wakes the task that each hart keeps.
static PINNED: [Bell; HARTS] = [const { Bell::new() }; HARTS];
/// Rung by each task that a hart keeps, when it has been rung for often enough.
static STAYED: Bell = Bell::new();
static TICKED: Bell = Bell::new();
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

#[board::entry]
fn main() -> ! {
    run(conduct, |spawner| drop(spawner.spawn_local(stay())));
    assert_eq!(CANCELLED.load(Relaxed), FOREVER + HARTS);
    println!("{HARTS} harts stopped, {} tasks cancelled", FOREVER + HARTS);
    board::exit(Exit::Success)
}

/// A task that may not move: what it holds is not `Send`.
async fn stay() {
    let home = hart();
    let rings = Rc::new(Cell::new(0));
    while rings.get() < TASKS / HARTS {
        rings.set(PINNED[home].rung(rings.get() + 1).await);
        assert_eq!(hart(), home, "a pinned task has moved");
    }
    println!("pinned to hart {home}: rung {} times", rings.get());
    STAYED.ring();
    for_ever().await;
}

/// A task that may move: some work, in several polls.
async fn roam(number: usize) -> usize {
    for _ in 0..4 {
        POLLS[hart()].fetch_add(1, Relaxed);
        (0..2_000).for_each(|_| hint::spin_loop());
        yield_now().await;
    }
    PINNED[number % HARTS].ring();
    number
}

async fn conduct(handle: Handle) {
    let tasks: Vec<_> = (0..TASKS).map(|number| handle.spawn(roam(number))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("nobody has aborted it");
    }
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    let polls: Vec<_> = POLLS.iter().map(|polls| polls.load(Relaxed)).collect();
    assert_eq!(polls.iter().sum::<usize>(), TASKS * 4);
    assert!(polls.iter().all(|&polls| polls > 0), "a hart has had no share: {polls:?}");
    let steals: usize = (0..HARTS).filter_map(|hart| Some(handle.metrics(hart)?.steals)).sum();
    assert!(steals > 0);
    println!("{TASKS} tasks, {} polls, by hart: {polls:?}; {steals} stolen", TASKS * 4);

    STAYED.rung(HARTS).await;

    board::timer::start(10_000);
    println!("{} timer interrupts", TICKED.rung(TICKS).await);

    for _ in 0..FOREVER {
        handle.spawn(for_ever());
    }
    handle.close();
}

board::on_timer!(|| {
    smp::in_interrupt::<Virt, _>(|| TICKED.ring());
    // Here, since the task that waits may be on another hart.
    if TICKED.rings() == TICKS {
        board::timer::stop();
    }
});

/// Waits until it is cancelled, and counts that, even if it was never polled.
fn for_ever() -> impl Future<Output = ()> {
    let counted = OnDrop;
    async move {
        let _counted = counted;
        future::pending::<()>().await;
    }
}

struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        CANCELLED.fetch_add(1, Relaxed);
    }
}

/// Lets other tasks run first.
async fn yield_now() {
    let mut yielded = false;
    future::poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return core::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        core::task::Poll::Pending
    })
    .await;
}
