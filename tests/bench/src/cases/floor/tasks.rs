//! Tasks on one thread: an allocation, a virtual call and a free. A second thread would not help
//! where to hand a task over, a cache line that moves, takes longer than to run it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::super::Countdown;
use super::super::channel::{TASKS, TOKENS, pass_on};

/// Opaque to the optimizer, which would see through the call and spare the allocation.
type Task<T> = Pin<Box<dyn Future<Output = T>>>;

fn new<T>(future: impl Future<Output = T> + 'static) -> Task<T> {
    black_box(Box::pin(future))
}

fn poll<T>(task: &mut Task<T>) -> Poll<T> {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn spawn_many(operations: u64) {
    let (countdown, mut done) = Countdown::new(operations);
    let spawn = |_| {
        let countdown = countdown.clone();
        new(async move { countdown.task_ran() })
    };
    let tasks: VecDeque<_> = (0..operations).map(spawn).collect();
    for mut task in tasks {
        assert!(poll(&mut task).is_ready());
    }
    done.try_recv().expect("every task ran");
}

pub(super) fn spawn_join(operations: u64) {
    let mut sum = 0;
    for number in 0..operations {
        let Poll::Ready(output) = poll(&mut new(async move { number })) else {
            unreachable!("it waits for nothing")
        };
        sum += output;
    }
    assert_eq!(sum, (0..operations).sum::<u64>());
}

/// Around and around in a queue.
pub(super) fn yields<const TASKS: u64>(operations: u64) {
    let spawn = |_| {
        let mut yielded = 0;
        new(poll_fn(move |_| {
            if yielded == operations / TASKS {
                return Poll::Ready(yielded);
            }
            yielded += 1;
            Poll::Pending
        }))
    };
    let mut tasks: VecDeque<_> = (0..TASKS).map(spawn).collect();
    let mut yielded = 0;
    while let Some(mut task) = tasks.pop_front() {
        match poll(&mut task) {
            Poll::Ready(times) => yielded += times,
            Poll::Pending => tasks.push_back(task),
        }
    }
    assert_eq!(yielded, operations);
}

/// The tokens of the ring, all together from the start, and its tasks polled in the order in which the
/// tokens come by.
pub(super) fn hops(operations: u64) {
    let (countdown, mut done) = Countdown::new(TOKENS);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..TASKS).map(|_| async_channel::bounded(TOKENS as usize)).unzip();
    let task = |(task, receiver): (usize, _)| {
        new(pass_on(receiver, senders[(task + 1) % TASKS].clone(), countdown.clone()))
    };
    let mut tasks: Vec<_> = receivers.into_iter().enumerate().map(task).collect();
    for _ in 0..TOKENS {
        senders[0].try_send(operations / TOKENS).expect("there is room for all");
    }
    while done.try_recv().is_err() {
        tasks.iter_mut().for_each(|task| assert!(poll(task).is_pending()));
    }
}
