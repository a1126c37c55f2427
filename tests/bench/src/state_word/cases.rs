//! One thread's life cycles, each through either form.

use std::hint::black_box;

use crate::form::{End, Form, Start, Woken};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Runs the cycle this many times.
    pub(crate) run: fn(u64),
}

pub(crate) fn all<F: Form>() -> [Case; 6] {
    let case = |name, run| Case { name, run };
    [
        case("clone, wake_by_val, poll, idle (own worker)", clone_wake_by_val::<F>),
        case("clone, wake_by_val, poll, idle (foreign)", clone_wake_foreign::<F>),
        case("wake_by_ref, poll, idle", wake_by_ref::<F>),
        case("yield: wakes itself in the poll", yield_now::<F>),
        case("spawn, join waits, run, complete, join", spawn_join::<F>),
        case("wake of a scheduled task", wake_scheduled::<F>),
    ]
}

#[inline(always)]
fn poll<F: Form>(task: &F) -> F::Ticket {
    match task.start_poll() {
        Start::Poll(ticket) => ticket,
        _ => unreachable!("nobody cancels here"),
    }
}

fn idle<F: Form>() -> Box<F> {
    let task = Box::new(F::spawned());
    let ticket = poll(&*task);
    assert_eq!(task.end_poll(ticket), End::Idle);
    black_box(task)
}

fn clone_wake_by_val<F: Form>(times: u64) {
    let task = idle::<F>();
    for _ in 0..times {
        task.clone_waker();
        assert_eq!(task.wake_by_val(), Woken::Schedule);
        let ticket = poll(&*task);
        assert_eq!(task.end_poll(ticket), End::Idle);
    }
}

fn clone_wake_foreign<F: Form>(times: u64) {
    let task = idle::<F>();
    for _ in 0..times {
        task.clone_waker();
        assert!(task.wake_by_ref());
        assert!(!task.drop_reference());
        let ticket = poll(&*task);
        assert_eq!(task.end_poll(ticket), End::Idle);
    }
}

fn wake_by_ref<F: Form>(times: u64) {
    let task = idle::<F>();
    for _ in 0..times {
        assert!(task.wake_by_ref());
        let ticket = poll(&*task);
        assert_eq!(task.end_poll(ticket), End::Idle);
    }
}

fn yield_now<F: Form>(times: u64) {
    let task = idle::<F>();
    assert!(task.wake_by_ref());
    for _ in 0..times {
        let ticket = poll(&*task);
        assert!(!task.wake_by_ref());
        assert_eq!(task.end_poll(ticket), End::Again);
    }
}

fn spawn_join<F: Form>(times: u64) {
    let mut slot = Box::new(F::spawned());
    for _ in 0..times {
        *slot = F::spawned();
        let task = black_box(&*slot);
        assert!(task.register_joiner());
        let _ticket = poll(task);
        assert!(task.complete());
        assert!(!task.release());
        assert!(task.drop_reference());
    }
}

fn wake_scheduled<F: Form>(times: u64) {
    let task = idle::<F>();
    assert!(task.wake_by_ref());
    for _ in 0..times {
        assert!(!task.wake_by_ref());
    }
}
