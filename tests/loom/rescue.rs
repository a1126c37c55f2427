//! The monitor takes the next task of a worker that seems to be stuck, while the worker comes to it
//! itself, stops, or really is stuck.

use jenny_core::{
    scheduler::stealing::{Config, Handle},
    task::JoinHandle,
};
use loom::thread;

use crate::{
    harness::{Bounds, check},
    platform::{Modelled, add_fences},
    task::{Output, ready, result},
    workers::{new, with},
};

/// Looks twice, so that the second look finds a worker that has not begun a poll in between.
fn look_twice(handle: &Handle<Modelled>) {
    let mut glances = handle.glances();
    let _ = handle.look_after(&mut glances, |_, _| false);
    let _ = handle.look_after(&mut glances, |_, _| false);
}

fn assert_over(joins: impl IntoIterator<Item = JoinHandle<Output>>) {
    for join in joins {
        assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
    }
}

/// Where both sides of the LIFO slot swap, and where its owner does not.
fn check_both(name: &str, bounds: Bounds, model: impl Fn() + Copy + Sync + Send + 'static) {
    check(name, bounds, model);
    add_fences();
    check(&format!("{name}, with fences"), bounds, model);
}

/// Both take from the LIFO slot, and the shutdown begins.
#[test]
fn against_the_owner_and_the_shutdown() {
    check_both("rescue: against the owner and the shutdown", Bounds::preemptions(4), || {
        let (handle, [mut first]) = new(0);
        let joins = first.worker.enter(|_| [(); 2].map(|()| handle.spawn(ready())));
        let monitor = handle.clone();
        let monitor = thread::spawn(move || look_twice(&monitor));
        handle.close();
        drop(handle);
        first.run();
        monitor.join().unwrap();
        assert_over(joins);
    });
}

/// The owner puts tasks into the slot just now, nobody has polled them, and they are run elsewhere:
/// what they are made of has gone through the slot.
#[test]
fn against_the_owner_that_spawns() {
    check_both("rescue: against the owner that spawns", Bounds::preemptions(2), || {
        let (handle, [mut first, mut second]) = new(1);
        let monitor = handle.clone();
        let monitor = thread::spawn(move || {
            look_twice(&monitor);
            let _ = second.worker.enter(|entered| entered.tick());
            second
        });
        // Three: for loom, what the second is made of is as old as the first in the slot.
        let joins = first.worker.enter(|_| [(); 3].map(|()| handle.spawn(ready())));
        let second = monitor.join().unwrap();
        handle.close();
        drop(handle);
        second.run();
        first.run();
        assert_over(joins);
    });
}

/// Two look at the same time, while the owner puts a task into the slot and takes it out.
#[test]
fn against_another_that_looks() {
    check_both("rescue: against another that looks", Bounds::preemptions(2), || {
        let (handle, [mut first]) = new(0);
        let join = first.worker.enter(|_| handle.spawn(ready()));
        let [mine, another] = [(); 2].map(|()| {
            let mut glances = handle.glances();
            let _ = handle.look_after(&mut glances, |_, _| false);
            let handle = handle.clone();
            move || {
                let _ = handle.look_after(&mut glances, |_, _| false);
            }
        });
        let monitors = [thread::spawn(mine), thread::spawn(another)];
        let more = first.worker.enter(|_| handle.spawn(ready()));
        handle.close();
        drop(handle);
        first.run();
        for monitor in monitors {
            monitor.join().unwrap();
        }
        assert_over([join, more]);
    });
}

/// The task goes to the inbox of a worker that is stopping, while its own is really stuck.
#[test]
fn against_another_that_stops() {
    check("rescue: against another that stops", Bounds::preemptions(3), || {
        let (handle, [mut first, second]) = new(1);
        let joins = first.worker.enter(|_| [(); 2].map(|()| handle.spawn(ready())));
        let closer = handle.clone();
        let second = thread::spawn(move || {
            closer.close();
            drop(closer);
            second.run();
        });
        look_twice(&handle);
        drop(handle);
        first.run();
        second.join().unwrap();
        assert_over(joins);
    });
}

/// All three at once: the monitor knows that the owner has not begun a poll, the owner begins to
/// cancel, and the other worker stops, whose inbox the task goes to.
#[test]
fn against_the_owner_and_another_that_stops() {
    let name = "rescue: against the owner and another that stops";
    check(name, Bounds::preemptions(2), || {
        let (handle, [mut first, second]) = new(1);
        let join = first.worker.enter(|_| handle.spawn(ready()));
        let mut glances = handle.glances();
        let _ = handle.look_after(&mut glances, |_, _| false);
        handle.close();
        let monitor = thread::spawn(move || {
            let _ = handle.look_after(&mut glances, |_, _| false);
        });
        let second = thread::spawn(move || second.run());
        first.run();
        second.join().unwrap();
        monitor.join().unwrap();
        assert_over([join]);
    });
}

/// The owner does not come to its task: the other worker, which goes to sleep, has to.
#[test]
fn against_a_sleeper() {
    check_both("rescue: against a sleeper", Bounds::preemptions(2), || {
        let (handle, [mut first, mut second]) = new(0);
        let join = first.worker.enter(|_| handle.spawn(ready()));
        let monitor = {
            let handle = handle.clone();
            thread::spawn(move || look_twice(&handle))
        };
        second.run_until(|| join.is_finished());
        monitor.join().unwrap();
        assert_eq!(handle.rescues(), 1);
        assert!(result(join).is_ok());
        handle.close();
        drop(handle);
        let second = thread::spawn(move || second.run());
        first.run();
        second.join().unwrap();
    });
}

/// The owner has pushed a task without a fence, as it does, while the other worker went to sleep, and
/// does not come to it.
#[test]
fn what_a_sleeper_has_missed() {
    check("rescue: what a sleeper has missed", Bounds::preemptions(2), || {
        let config = Config { lifo_slot: false, ..Config::default() };
        let (handle, [mut first, mut second]) = with(0, config);
        let taken = {
            let handle = handle.clone();
            thread::spawn(move || {
                let join = first.worker.enter(|_| handle.spawn(ready()));
                look_twice(&handle);
                (first, join)
            })
        };
        second.run_until(|| handle.metrics(1).is_some_and(|second| second.completions > 0));
        let (first, join) = taken.join().unwrap();
        assert!(result(join).is_ok());
        handle.close();
        drop(handle);
        let second = thread::spawn(move || second.run());
        first.run();
        second.join().unwrap();
    });
}
