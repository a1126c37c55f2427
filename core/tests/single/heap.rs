//! Tasks on the heap: what an empty heap does, and who frees them.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use crate::machine::{
    Signal, executor, freed_in_interrupts, interrupt, left_by, when_asleep, without_memory,
};

#[test]
fn an_empty_heap_gives_the_future_back() {
    let executor = executor();
    let future = async { 7 };
    let error = without_memory(|| executor.try_spawn(future).unwrap_err());
    assert!(error.to_string().contains("no memory"), "{error}");
    let task = executor.try_spawn(error.into_inner()).unwrap();
    assert_eq!(executor.block_on(task).unwrap(), 7);
}

#[test]
#[should_panic(expected = "`try_spawn` returns this as an error")]
fn spawn_panics_if_the_heap_is_empty() {
    let executor = executor();
    let error = without_memory(|| executor.try_spawn(async {}).unwrap_err());
    // As `spawn` does it, whose message could not be made without memory.
    panic!("{error}; `try_spawn` returns this as an error");
}

#[test]
fn the_last_waker_dropped_in_an_interrupt_frees_nothing_there() {
    let (executor, signal, done) = (executor(), Signal::leaked(), Signal::leaked());
    let left = left_by(|| {
        drop(executor.spawn(async {
            let waiting = poll_fn(|context| {
                let _ = pin!(signal.wait()).poll(context);
                Poll::Ready(())
            });
            // Ends, and leaves its waker behind.
            waiting.await;
        }));
        when_asleep(|| {
            let before = freed_in_interrupts();
            drop(signal.take_waker().unwrap());
            assert_eq!(freed_in_interrupts(), before, "the cell was freed in the interrupt");
            done.raise();
        });
        executor.block_on(done.wait());
    });
    assert_eq!(left, 0, "the cell leaked");
}

#[test]
fn every_cell_is_freed_once() {
    let executor = executor();
    let left = left_by(|| {
        for round in 0..100_u32 {
            let task = executor.spawn(async move { round });
            match round % 4 {
                0 => assert_eq!(executor.block_on(task).unwrap(), round),
                1 => drop(task),
                2 => task.abort(),
                _ => interrupt(move || drop(task)),
            }
        }
        executor.close();
        executor.run(|_| {});
    });
    assert_eq!(left, 0);
}
