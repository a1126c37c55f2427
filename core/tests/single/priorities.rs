//! An executor in an interrupt beside the one of `main`.

use std::cell::RefCell;

use jenny_core::single::{Board, Executor, Idle};

use crate::machine::{Chip, Signal, executor, in_interrupt, interrupt, when_asleep};

thread_local!(static ORDER: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) });

fn note(what: &'static str) {
    ORDER.with_borrow_mut(|order| order.push(what));
}

/// Sets the software interrupt of its executor pending.
struct Urgent(fn());

impl Board for Urgent {
    fn wait(&self, _: Idle<'_>) {
        panic!("an executor in an interrupt does not sleep");
    }

    fn pend(&self) {
        interrupt(self.0);
    }
}

#[test]
fn a_task_at_interrupt_priority_goes_before_the_others() {
    static URGENT: Executor<Urgent> = Executor::new(Urgent(handler));
    fn handler() {
        assert!(in_interrupt());
        // SAFETY: this is the one handler.
        unsafe { URGENT.on_interrupt() }
    }

    let (low, signal, done) = (executor(), Signal::leaked(), Signal::leaked());
    let urgent = URGENT.spawn(async {
        note("urgent starts");
        signal.wait().await;
        note("urgent runs");
        assert!(in_interrupt());
        done.raise();
    });
    assert_eq!(ORDER.take(), ["urgent starts"], "the spawn itself sets the interrupt pending");

    low.block_on(low.spawn(async {
        note("low");
        // Preempts this poll.
        signal.raise();
        note("low goes on");
        done.wait().await;
        urgent.await.unwrap();
        note("low ends");
    }))
    .unwrap();
    assert_eq!(ORDER.take(), ["low", "urgent runs", "low goes on", "low ends"]);
}

/// A round polls each task once; who yields is polled in the next interrupt.
#[test]
fn a_round_leaves_what_yields_to_the_next() {
    thread_local!(static ROUNDS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    static URGENT: Executor<Urgent> = Executor::new(Urgent(handler));
    fn handler() {
        ROUNDS.set(ROUNDS.get() + 1);
        // SAFETY: this is the one handler.
        unsafe { URGENT.on_interrupt() }
    }
    let task = URGENT.spawn(async {
        let mut left = 4;
        std::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(ROUNDS.get());
            }
            left -= 1;
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await
    });
    assert_eq!(executor().block_on(task).unwrap(), 5);
    URGENT.close();
    let late = URGENT.spawn(async {});
    assert!(executor().block_on(late).unwrap_err().is_cancelled());
}

/// Counters take no memory where there are none.
#[test]
fn an_executor_without_counters_is_smaller() {
    let numbers = 4 * size_of::<u32>();
    assert_eq!(size_of::<Executor<Chip>>() + numbers, size_of::<crate::machine::Core>(),);
    let plain: &'static Executor<Chip> = Box::leak(Box::new(Executor::new(Chip)));
    let signal = Signal::leaked();
    when_asleep(|| signal.raise());
    plain.block_on(signal.wait());
    assert_eq!(plain.counts(), Default::default());
}
