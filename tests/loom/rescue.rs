//! The monitor takes the next task of a worker that seems to be stuck, while the worker comes to it
//! itself, stops, or really is stuck.

use jenny_core::scheduler::stealing::Config;
use loom::thread;

use crate::{
    harness::{Bounds, check},
    task::{ready, result},
    workers::{new, with},
};

/// Both take from the LIFO slot; the shutdown begins.
#[test]
fn against_the_owner_and_the_shutdown() {
    check("rescue: against the owner and the shutdown", Bounds::preemptions(2), || {
        let (handle, [mut first, second]) = new(1);
        let joins = first.worker.enter(|_| [(); 2].map(|()| handle.spawn(ready())));
        let monitor = {
            let handle = handle.clone();
            thread::spawn(move || {
                let mut glances = handle.glances();
                (0..2).map(|_| handle.look_after(&mut glances, |_| false).stuck).sum::<usize>()
            })
        };
        let second = thread::spawn(move || second.run());
        handle.close();
        drop(handle);
        first.run();
        second.join().unwrap();
        monitor.join().unwrap();
        for join in joins {
            assert!(result(join).map_or_else(|error| error.is_cancelled(), |_| true));
        }
    });
}

/// The owner does not come to its task: the other worker, which goes to sleep, has to.
#[test]
fn against_a_sleeper() {
    check("rescue: against a sleeper", Bounds::preemptions(2), || {
        let (handle, [mut first, mut second]) = new(0);
        let join = first.worker.enter(|_| handle.spawn(ready()));
        let monitor = {
            let handle = handle.clone();
            thread::spawn(move || {
                let mut glances = handle.glances();
                let _ = handle.look_after(&mut glances, |_| false);
                let _ = handle.look_after(&mut glances, |_| false);
            })
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
                let mut glances = handle.glances();
                let _ = handle.look_after(&mut glances, |_| false);
                let _ = handle.look_after(&mut glances, |_| false);
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
