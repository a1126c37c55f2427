//! The end of an executor.

use std::{cell::Cell, future, rc::Rc};

use jenny_core::single::{Board, Executor, Idle, TaskPool, ThreadMode};

use crate::machine::{Signal, executor, interrupt, left_by, thread_mode, when_asleep};

/// Wakes a signal when it is dropped.
struct Raises(&'static Signal);

impl Drop for Raises {
    fn drop(&mut self) {
        self.0.raise();
    }
}

#[test]
fn a_close_in_an_interrupt_cancels_every_task() {
    let (executor, signal) = (executor(), Signal::leaked());
    let dropped = Rc::new(Cell::new(0));
    let left = left_by(|| {
        executor.run(|spawner| {
            for _ in 0..3 {
                let dropped = Rc::clone(&dropped);
                spawner.spawn_local(async move {
                    let _raises = Raises(signal);
                    signal.wait().await;
                    dropped.set(100);
                });
            }
            when_asleep(|| executor.close());
        });
    });
    assert_eq!((Rc::strong_count(&dropped), dropped.get()), (1, 0));
    drop(signal.take_waker());
    executor.block_on(future::ready(()));
    assert!(left <= 1, "at most the cell of the waker that the signal still had");
}

#[test]
fn what_comes_after_the_end_is_cancelled() {
    static POOL: TaskPool<256, 1> = TaskPool::new();
    let (executor, signal) = (executor(), Signal::leaked());
    let left = left_by(|| {
        let mut late = None;
        executor.run(|spawner| {
            executor.close();
            late = Some(spawner);
        });
        let spawned = executor.spawn(signal.wait());
        let local = late.unwrap().spawn_local(signal.wait());
        let pooled = POOL.spawn(executor, signal.wait()).unwrap();
        executor.block_on(async {
            assert!(spawned.await.unwrap_err().is_cancelled());
            assert!(local.await.unwrap_err().is_cancelled());
            assert!(pooled.await.unwrap_err().is_cancelled());
        });
    });
    assert_eq!((left, POOL.free()), (0, 1));
}

#[test]
fn a_wake_after_the_end_does_nothing() {
    let (executor, signal) = (executor(), Signal::leaked());
    let task = executor.spawn(signal.wait());
    when_asleep(|| executor.close());
    executor.run(|_| {});
    interrupt(|| signal.raise());
    assert!(executor.block_on(task).unwrap_err().is_cancelled());
    executor.close();
    executor.run(|_| {});
}

/// A future can wait for a closed executor's tasks, and sleeps while it does.
#[test]
fn block_on_goes_on_after_the_end() {
    let (executor, signal) = (executor(), Signal::leaked());
    executor.close();
    when_asleep(|| signal.raise());
    assert_eq!(executor.block_on(signal.wait()), 1);
    assert_eq!(executor.counts().idles, 1);
}

/// The future of `block_on` goes on while the executor closes around it.
#[test]
fn a_close_from_the_future_that_is_blocked_on() {
    let (executor, signal, never) = (executor(), Signal::leaked(), Signal::leaked());
    let task = executor.spawn(never.wait());
    let ended = executor.block_on(async {
        when_asleep(|| signal.raise());
        signal.wait().await;
        executor.close();
        task.await
    });
    assert!(ended.unwrap_err().is_cancelled());
}

/// A board with a timer, whose time passes in its sleep.
#[derive(Default)]
struct Ticking {
    now: Cell<u64>,
    timer: Cell<Option<(u64, &'static Signal)>>,
}

// SAFETY: the board is used by the thread of its test only.
unsafe impl Sync for Ticking {}
// SAFETY: as above.
unsafe impl Send for Ticking {}

impl Board for Ticking {
    fn wait(&self, idle: Idle<'_>) {
        let until = idle.until().expect("the core sleeps for ever: a timer was lost");
        assert!(until > self.now.get(), "the core was to turn its timer, not to sleep");
        self.now.set(until);
    }

    fn turn(&self) {
        if let Some((_, signal)) = self.timer.get().filter(|(at, _)| *at <= self.now.get()) {
            self.timer.set(None);
            signal.raise();
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.timer.get().map(|(at, _)| at)
    }

    fn thread_mode(&self) -> &ThreadMode {
        thread_mode()
    }
}

/// The future of `block_on` has timers, too.
#[test]
fn the_board_is_turned_after_the_end() {
    let executor: &Executor<Ticking> = Box::leak(Box::new(Executor::new(Ticking::default())));
    let signal = Signal::leaked();
    // The last one sleeps after a close that came when all was over.
    for at in [3, 5, 8] {
        executor.board().timer.set(Some((at, signal)));
        assert_eq!(executor.block_on(signal.wait()), 1);
        assert_eq!(executor.board().now.get(), at);
        executor.close();
        executor.run(|_| {});
    }
}
