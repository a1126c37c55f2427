//! Wakes from interrupts, and how the executor waits for them.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::Poll,
};

use jenny_core::task::{Id, id_of};

use crate::machine::{Signal, executor, in_interrupt, interrupt, when_asleep};

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn an_interrupt_wakes_the_future_that_is_blocked_on() {
    let (executor, signal) = (executor(), Signal::leaked());
    when_asleep(|| signal.raise());
    let raised = executor.block_on(async { (signal.wait().await, in_interrupt()) });
    assert_eq!(raised, (1, false));
    assert_eq!(executor.counts().idles, 1);
}

#[test]
fn an_interrupt_wakes_a_task_and_that_wakes_another() {
    let (executor, signal, relayed) = (executor(), Signal::leaked(), Signal::leaked());
    let first = executor.spawn(async {
        let raised = signal.wait().await;
        relayed.raise();
        raised
    });
    let second = executor.spawn(relayed.wait());
    when_asleep(|| signal.raise());
    let joined = executor.block_on(async { (first.await.unwrap(), second.await.unwrap()) });
    assert_eq!(joined, (1, 1));
    let counts = executor.counts();
    // Two spawns and two wakes; each task is polled twice.
    assert_eq!((counts.wakes, counts.polls, counts.idles), (4, 4, 1));
    assert_eq!(counts.longest_poll, 0, "the board's cycles stand still");
}

#[test]
fn an_interrupt_may_spawn() {
    let (executor, done) = (executor(), Signal::leaked());
    when_asleep(|| {
        executor.spawn(async {
            assert!(!in_interrupt());
            done.raise();
        });
    });
    executor.block_on(done.wait());
}

/// An interrupt in the middle of a poll: the task that is being polled is polled again.
#[test]
fn an_interrupt_during_the_poll_is_not_forgotten() {
    let executor = executor();
    let polls = executor.block_on(executor.spawn(async {
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(polls);
            }
            let waker = context.waker().clone();
            interrupt(move || waker.wake());
            Poll::Pending
        })
        .await
    }));
    assert_eq!(polls.unwrap(), 3);
    assert_eq!(executor.counts().idles, 0);
}

#[test]
fn tasks_that_yield_take_turns() {
    thread_local!(static ORDER: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) });
    let executor = executor();
    let write = |letter| ORDER.with_borrow_mut(|order| order.push(letter));
    executor.run(|spawner| {
        for letter in ['a', 'b', 'c'] {
            spawner.spawn_local(async move {
                for _ in 0..3 {
                    write(letter);
                    yield_now().await;
                }
                if letter == 'c' {
                    spawner.executor().close();
                }
            });
        }
    });
    assert_eq!(ORDER.take(), "abcabcabc");
}

/// What an interrupt queues comes after what is queued, and before what yields later.
#[test]
fn a_task_alone_that_yields_lets_interrupts_in() {
    let (executor, signal) = (executor(), Signal::leaked());
    let waiter = executor.spawn(signal.wait());
    let spinner = executor.spawn(async {
        let mut spins = 0;
        loop {
            yield_now().await;
            spins += 1;
            if spins == 5 {
                interrupt(|| signal.raise());
            }
        }
    });
    executor.block_on(async {
        waiter.await.unwrap();
        spinner.abort();
        assert!(spinner.await.unwrap_err().is_cancelled());
    });
    assert!(executor.counts().polls < 20);
}

#[test]
fn futures_that_are_not_send_run_in_place() {
    let executor = executor();
    let shared = Rc::new(Cell::new(0));
    let counter = Rc::clone(&shared);
    executor.run(|spawner| {
        let inner = spawner.spawn_local(async move {
            yield_now().await;
            counter.set(counter.get() + 1);
            counter
        });
        spawner.spawn_local(async move {
            let counter = inner.await.unwrap();
            counter.set(counter.get() + 1);
            spawner.executor().close();
        });
    });
    assert_eq!((shared.get(), Rc::strong_count(&shared)), (2, 1));
}

#[test]
fn a_nested_block_on_says_what_to_do() {
    let executor = executor();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        executor.block_on(async { executor.block_on(async {}) });
    }))
    .unwrap_err();
    let message = panic.downcast_ref::<&str>().unwrap();
    assert!(message.contains("await the future inside of a task"), "{message}");
    // The outer one has been left by the panic, and may be entered again.
    assert_eq!(executor.block_on(async { 1 }), 1);
}

/// The inner one would sleep until its own tasks are woken, and those of the outer stand still.
#[test]
fn an_executor_inside_of_another_says_what_to_do() {
    let (outer, inner) = (executor(), executor());
    let in_a_task = outer.spawn(async move {
        let blocked = catch_unwind(AssertUnwindSafe(|| inner.block_on(async {})));
        let ran = catch_unwind(AssertUnwindSafe(|| inner.run(|_| {})));
        [blocked.unwrap_err(), ran.unwrap_err()]
            .map(|panic| panic.downcast_ref::<&str>().unwrap().contains("await its handle"))
    });
    assert_eq!(outer.block_on(in_a_task).unwrap(), [true; 2]);
    // One after the other they may.
    assert_eq!(inner.block_on(async { 1 }), 1);
    assert_eq!(outer.block_on(async { 2 }), 2);
}

#[test]
fn a_task_finds_its_id_by_its_waker() {
    async fn id() -> Option<Id> {
        poll_fn(|context| Poll::Ready(id_of(context.waker()))).await
    }

    let executor = executor();
    let task = executor.spawn(id());
    let expected = task.id();
    executor.block_on(async {
        assert_eq!(id().await, None, "the future of a block_on is no task");
        assert_eq!(task.await.unwrap(), Some(expected));
    });
}

#[test]
fn the_future_that_is_blocked_on_may_borrow_and_leave_tasks_behind() {
    let (executor, signal) = (executor(), Signal::leaked());
    let task = executor.spawn(signal.wait());
    let text = String::from("borrowed");
    assert_eq!(executor.block_on(async { text.len() }), 8);
    assert!(!task.is_finished());
    signal.raise();
    assert_eq!(executor.block_on(task).unwrap(), 1);
}
