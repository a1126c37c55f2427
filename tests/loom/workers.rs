//! The stealing scheduler with two workers, against threads that wake, spawn and close.

use std::sync::{
    Arc as StdArc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use jenny_core::{
    platform::Unpark,
    scheduler::{
        Tick,
        stealing::{self, Config, Handle, Worker},
    },
};
use loom::thread;

use crate::{
    harness::{Bounds, check},
    platform::{Modelled, Parker, Unparker, stop_clock},
    task::{Waits, ready, result},
};

/// A worker and where it sleeps.
pub(crate) struct Thread {
    pub(crate) worker: Worker<Modelled>,
    parker: Parker,
}

/// `home` is the worker whose inbox strangers use.
pub(crate) fn new<const N: usize>(home: usize) -> (Handle<Modelled>, [Thread; N]) {
    with(home, Config::default())
}

pub(crate) fn with<const N: usize>(home: usize, config: Config) -> (Handle<Modelled>, [Thread; N]) {
    let parkers = [(); N].map(|()| Parker::new());
    let unparkers = parkers.each_ref().map(Parker::unparker);
    let (handle, workers) = stealing::new(Modelled::new(home), unparkers, config);
    let mut workers = workers.into_iter();
    let threads = parkers.map(|parker| Thread { worker: workers.next().unwrap(), parker });
    (handle, threads)
}

impl Thread {
    /// Runs the worker until the condition holds, or it has stopped.
    pub(crate) fn run_until(&mut self, is_over: impl Fn() -> bool) {
        self.worker.enter(|entered| {
            loop {
                let tick = entered.tick();
                if is_over() || tick == Tick::Stopped {
                    return;
                }
                if tick == Tick::Idle {
                    self.parker.park();
                    if is_over() {
                        return;
                    }
                }
            }
        });
    }

    /// Runs the worker until it has stopped, and drops it.
    pub(crate) fn run(mut self) {
        self.run_until(|| false);
    }
}

/// A spawn from outside is run, cancelled by a worker, or refused and cancelled by the spawner.
#[test]
fn spawn_against_shutdown() {
    check("workers: spawn against shutdown", Bounds::preemptions(2), || {
        let (handle, [first, second]) = new(1);
        let spawner = {
            let handle = handle.clone();
            thread::spawn(move || handle.spawn(ready()))
        };
        let second = thread::spawn(move || second.run());
        handle.close();
        drop(handle);
        first.run();
        second.join().unwrap();
        let join = spawner.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// A wake from outside finds the task's owner gone to sleep, stopping or stopped; the scheduler's
/// memory outlives it.
#[test]
fn wake_during_shutdown() {
    check("workers: wake during shutdown", Bounds::preemptions(2), || {
        let (handle, [mut first, second]) = new(1);
        let (future, [announcement], place) = Waits::new();
        let join = first.worker.enter(|entered| {
            let join = handle.spawn(future);
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        let waker = place.take();
        handle.close();
        drop(handle);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        let second = thread::spawn(move || second.run());
        first.run();
        second.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        other.join().unwrap();
    });
}

/// The same with a worker alone, which has slept since the shutdown began: it has to look into the
/// inboxes once more before it sleeps again.
#[test]
fn wake_during_shutdown_of_the_only_worker() {
    check("workers: wake during the shutdown of the only worker", Bounds::preemptions(3), || {
        let (handle, [mut first]) = new(0);
        let (future, [announcement], place) = Waits::new();
        let join = first.worker.enter(|entered| {
            let join = handle.spawn(future);
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        let waker = place.take();
        handle.close();
        drop(handle);
        // The close's own unpark.
        first.parker.park();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        first.run();
        other.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// The same, where the other worker has been woken to search and stops instead: whoever counts on its
/// search would leave the owner asleep.
#[test]
fn wake_during_shutdown_of_a_searcher() {
    check("workers: wake during the shutdown of a searcher", Bounds::preemptions(2), || {
        let (handle, [mut first, mut second]) = new(1);
        assert_eq!(second.worker.enter(|entered| entered.tick()), Tick::Idle);
        let (future, [announcement], place) = Waits::new();
        // Wakes the second, and is the first's who comes earlier.
        let join = handle.spawn(future);
        assert_eq!(first.worker.enter(|entered| entered.tick()), Tick::Idle);
        let waker = place.take();
        handle.close();
        drop(handle);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        let second = thread::spawn(move || second.run());
        first.run();
        second.join().unwrap();
        other.join().unwrap();
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    });
}

/// A worker that frees more than it has spawned gives the counts back, each once.
#[test]
fn frees_what_strangers_have_spawned() {
    check("workers: frees what strangers have spawned", Bounds::preemptions(2), || {
        let (handle, [mut first]) = new(0);
        for _ in 0..5 {
            drop(handle.spawn(ready()));
        }
        let other = handle.clone();
        let other = thread::spawn(move || other.close());
        first.run_until(|| handle.metrics(0).is_some_and(|first| first.completions == 5));
        drop(handle);
        first.run();
        other.join().unwrap();
    });
}

/// One worker steals what the other one cancels.
#[test]
fn steal_against_shutdown() {
    check("workers: steal against shutdown", Bounds::preemptions(2), || {
        let (handle, [mut first, second]) = new(0);
        // One is in the LIFO slot, the others are in the ring.
        let joins = first.worker.enter(|_| [(); 3].map(|()| handle.spawn(ready())));
        let second = thread::spawn(move || second.run());
        handle.close();
        drop(handle);
        first.run();
        second.join().unwrap();
        for join in joins {
            assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        }
    });
}

/// A task is woken while its worker goes to sleep. Of two workers the other is stuck in a poll all the
/// while, and it is the stuck one's inbox that the task comes to.
fn wake_against_sleep<const N: usize>(name: &str) {
    check(name, Bounds::preemptions(3), || {
        let (handle, threads) = new::<N>(N - 1);
        let mut threads = threads.into_iter();
        let mut first = threads.next().unwrap();
        let (future, [announcement], place) = Waits::new();
        let join = first.worker.enter(|entered| {
            let join = handle.spawn(future);
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        let waker = place.take();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        first.run_until(|| join.is_finished());
        other.join().unwrap();
        assert!(result(join).is_ok());
        handle.close();
        threads.for_each(Thread::run);
        first.run();
    });
}

#[test]
fn the_only_worker_goes_to_sleep() {
    wake_against_sleep::<1>("workers: wake against sleep");
}

#[test]
fn the_other_worker_is_stuck() {
    wake_against_sleep::<2>("workers: wake against sleep, the other is stuck");
}

/// Both workers sleep when a task is woken, and go back to sleep until it is done. With one preemption:
/// whole workers have too many steps for two, which the models of `idle.rs` explore.
#[test]
fn both_workers_sleep() {
    check("workers: wake against two sleepers", Bounds::preemptions(1), || {
        let (handle, [mut first, mut second]) = new(1);
        let (future, [announcement], place) = Waits::new();
        // No part of the model, so it is std's.
        let is_over = StdArc::new(AtomicBool::new(false));
        let unparkers = [&first, &second].map(|thread| thread.parker.unparker());
        let over = StdArc::clone(&is_over);
        let join = first.worker.enter(|entered| {
            let join = handle.spawn(async move {
                future.await;
                over.store(true, SeqCst);
                unparkers.iter().for_each(Unparker::unpark);
            });
            assert_eq!(entered.tick(), Tick::Idle);
            join
        });
        assert_eq!(second.worker.enter(|entered| entered.tick()), Tick::Idle);
        let waker = place.take();
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        let over = StdArc::clone(&is_over);
        let running = thread::spawn(move || {
            second.parker.park();
            second.run_until(|| over.load(SeqCst));
            second
        });
        first.parker.park();
        first.run_until(|| is_over.load(SeqCst));
        let second = running.join().unwrap();
        other.join().unwrap();
        assert!(result(join).is_ok());
        handle.close();
        second.run();
        first.run();
    });
}

/// A thief has had enough of tasks that take no time, and goes to sleep although the other worker has one
/// more. That one sleeps, too, when it has run it, and a task comes from outside. One of them runs it.
#[test]
fn a_thief_rests() {
    check("workers: a thief rests, a spawn", Bounds::preemptions(1), || {
        stop_clock();
        let (handle, [mut first, mut second]) = new(0);
        let spawn = |handle: &Handle<Modelled>| drop(handle.spawn(ready()));
        // One in the LIFO slot and one for the thief, who then has nothing left.
        first.worker.enter(|_| (0..2).for_each(|_| spawn(&handle)));
        assert_eq!(second.worker.enter(|entered| entered.tick_until(|| true)), Tick::Ran);
        // The first gets something done meanwhile: it has one more for thieves.
        first.worker.enter(|_| spawn(&handle));
        let stuck = Stuck::new();
        let unparkers = [&first, &second].map(|thread| thread.parker.unparker());
        let (end, spawner) = (stuck.end(), handle.clone());
        let outside = thread::spawn(move || {
            spawner.spawn(async move {
                end();
                unparkers.iter().for_each(Unparker::unpark);
            })
        });
        let over = StdArc::clone(&stuck.has_run);
        let running = thread::spawn(move || {
            second.run_until(|| over.load(SeqCst));
            second
        });
        first.run_until(|| stuck.has_run.load(SeqCst));
        let second = running.join().unwrap();
        let join = outside.join().unwrap();
        handle.close();
        second.run();
        first.run();
        assert!(result(join).is_ok());
    });
}

/// Somebody who waits, in a poll or in a waker, until a task has run elsewhere.
struct Stuck {
    has_run: StdArc<AtomicBool>,
    parker: Parker,
}

impl Stuck {
    fn new() -> Self {
        Self { has_run: StdArc::default(), parker: Parker::new() }
    }

    /// What the task does that it waits for.
    fn end(&self) -> impl FnOnce() + Send + use<> {
        let (has_run, unparker) = (StdArc::clone(&self.has_run), self.parker.unparker());
        move || {
            has_run.store(true, SeqCst);
            unparker.unpark();
        }
    }

    fn wait(&self) {
        while !self.has_run.load(SeqCst) {
            self.parker.park();
        }
    }
}

/// What a worker has gathered is there for both, although it does not come to it: it has called the
/// one that sleeps.
#[test]
fn what_was_gathered_is_shared() {
    check("workers: gathered wakes, a sleeper", Bounds::preemptions(3), || {
        let (handle, [mut first, mut second]) = new(0);
        let stuck = Stuck::new();
        let end = stuck.end();
        let (shared, [shared_call], shared_place) = Waits::new();
        let (own, [own_call], own_place) = Waits::new();
        let joins = first.worker.enter(|entered| {
            let joins = [
                handle.spawn(async move {
                    drop(shared.await);
                    end();
                }),
                handle.spawn(async { drop(own.await) }),
            ];
            while entered.tick() != Tick::Idle {}
            entered.resume();
            joins
        });
        assert_eq!(second.worker.enter(|entered| entered.tick()), Tick::Idle);
        let (other, over) = (handle.clone(), StdArc::clone(&stuck.has_run));
        let running = thread::spawn(move || {
            // It comes for the call only: who gets up without one may miss a push, which has no fence.
            while other.sleepers() > 0 {
                second.parker.park();
            }
            second.run_until(|| over.load(SeqCst));
            second
        });
        first.worker.enter(|entered| {
            entered.gather(|| {
                // The second pushes the first aside.
                for (call, place) in [(shared_call, shared_place), (own_call, own_place)] {
                    call.make();
                    place.take().wake();
                }
            });
            stuck.wait();
        });
        let second = running.join().unwrap();
        first.run_until(|| joins.iter().all(|join| join.is_finished()));
        for join in joins {
            assert!(result(join).is_ok());
        }
        handle.close();
        second.run();
        first.run();
    });
}

/// A waker blocks while a worker gathers that was asleep, and may just be called for a task from
/// outside: the other one is called for it.
#[test]
fn a_waker_blocks_while_another_task_comes() {
    check("workers: a waker that blocks, a spawn", Bounds::preemptions(2), || {
        let (handle, [mut first, mut second]) = new(0);
        assert_eq!(second.worker.enter(|entered| entered.tick()), Tick::Idle);
        let stuck = Stuck::new();
        let over = StdArc::clone(&stuck.has_run);
        let running = thread::spawn(move || {
            second.parker.park();
            second.run_until(|| over.load(SeqCst));
            second
        });
        let (spawner, end) = (handle.clone(), stuck.end());
        let spawner = first.worker.enter(|entered| {
            assert_eq!(entered.tick(), Tick::Idle);
            let spawner = thread::spawn(move || spawner.spawn(async { end() }));
            entered.gather(|| stuck.wait());
            spawner
        });
        let second = running.join().unwrap();
        assert!(result(spawner.join().unwrap()).is_ok());
        handle.close();
        second.run();
        first.run();
    });
}
