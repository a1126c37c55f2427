//! What the design promises about the hot paths, counted, by the lines of source that break it.
//!
//! The meter counts the whole process, so the promises have it to themselves, one after the other,
//! without the threads of a test harness.

use std::time::Instant;

use jenny_core::{scheduler::Tick, task::JoinHandle};
use jenny_count::{
    cases,
    machine::{Stepped, SteppedLocal, run},
    meter::{Counts, count},
};

/// Whole ticks, and fewer than a worker's queue takes at once.
const OPERATIONS: u64 = 183;

/// An argument picks promises.
pub(crate) fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let promises: [(&str, fn()); 6] = [
        ("everything is noticed", everything_is_noticed),
        ("no shared line for own tasks", no_shared_line_for_own_tasks),
        ("own lines are one's own", own_lines_are_ones_own),
        ("the memory of tasks is used again", the_memory_of_tasks_is_used_again),
        ("few read-modify-writes on a worker", few_read_modify_writes_on_a_worker),
        ("few read-modify-writes in runtimes", few_read_modify_writes_in_runtimes),
    ];
    for (name, promise) in promises {
        if filter.as_ref().is_none_or(|filter| name.contains(filter)) {
            print!("{name} ... ");
            promise();
            println!("kept");
        }
    }
}

fn counts_of(name: &str) -> Counts {
    let case = cases::all().find(|case| case.name == name);
    (case.unwrap_or_else(|| panic!("there is no case {name:?}")).run)(OPERATIONS)
}

fn report(name: &str, counts: &Counts) -> String {
    let lines: Vec<_> = counts.sites().iter().map(|(site, n)| format!("  {n:.2} {site}")).collect();
    format!("{name}:\n{}", lines.join("\n"))
}

/// What a worker does with its own tasks, and the read-modify-writes that it may take.
const LOCAL: &[(&str, u64)] = &[
    ("spawn, worker", 0),
    ("wake by ref, worker", 1),
    ("wake by value, worker", 1),
    ("poll, then idle", 2),
    ("yield", 2),
    ("poll, complete, free", 1),
    ("poll, complete, handle held", 2),
    ("join of a complete task", 0),
];

fn no_shared_line_for_own_tasks() {
    for &(name, _) in LOCAL {
        let counts = counts_of(name);
        let shared = (counts.writes_shared, counts.fences, counts.locks);
        assert_eq!(shared, (0, 0, 0), "{}", report(name, &counts));
    }
}

/// What a worker writes with each task lies on no cache line that a stranger who spawns reads or
/// writes.
fn own_lines_are_ones_own() {
    let spawn_all = |spawn: &dyn Fn() -> JoinHandle<()>| {
        for _ in 0..OPERATIONS {
            drop(spawn());
        }
    };

    let mut stepped = Stepped::new(2);
    let handle = stepped.handle.clone();
    let worker = stepped.on(0, |worker| {
        count(1, || {
            spawn_all(&|| handle.spawn(async {}));
            run(worker);
        })
    });
    let stranger = count(1, || spawn_all(&|| handle.spawn(async {})));
    assert_apart(&worker, &stranger);

    let stepped = SteppedLocal::new();
    let handle = &stepped.handle;
    let worker = stepped.on(|worker| {
        count(1, || {
            spawn_all(&|| handle.spawn(async {}));
            while worker.tick() == Tick::Ran {}
        })
    });
    let stranger = count(1, || spawn_all(&|| handle.spawn(async {})));
    assert_apart(&worker, &stranger);
}

fn assert_apart(worker: &Counts, stranger: &Counts) {
    let (own, shared) = (worker.own_lines(), stranger.shared_lines());
    assert!(!own.is_empty() && !shared.is_empty(), "both have written");
    let both = own.intersection(&shared).count();
    assert_eq!(
        both,
        0,
        "{both} lines: {}{}",
        report("worker", worker),
        report("stranger", stranger)
    );
}

/// The cases have warmed up: as many tasks have ended.
fn the_memory_of_tasks_is_used_again() {
    for &(name, _) in LOCAL {
        let counts = counts_of(name);
        assert_eq!((counts.allocations, counts.clock_reads), (0, 0), "{name}");
    }
}

fn few_read_modify_writes_on_a_worker() {
    for &(name, bound) in LOCAL {
        let counts = counts_of(name);
        assert!(counts.rmw <= bound * counts.operations, "{}", report(name, &counts));
    }
}

/// Paths with threads: how many read-modify-writes, and how many of them to shared memory, in
/// hundredths. What happens once in a tick or a batch leaves a fraction, and so does another worker on
/// the way to its first sleep.
const WITH_THREADS: &[(&str, u64, u64)] = &[
    ("spawn, outside", 3_10, 3_10),
    ("wake by ref, outside", 3_00, 2_00),
    ("poll of a task from outside", 1_10, 10),
    ("spawn from outside, busy workers", 4_00, 4_00),
    ("yield_now, current_thread", 1_10, 10),
    ("spawn + join, worker", 4_30, 10),
    ("spawn + join, current_thread", 2_10, 10),
    ("spawn_local + join, LocalRuntime", 2_10, 10),
    ("block_on, ready future", 2_10, 2_10),
    ("sleep, create + drop", 10, 10),
    ("sleep, insert + cancel", 10, 10),
];

fn few_read_modify_writes_in_runtimes() {
    for &(name, rmw, shared) in WITH_THREADS {
        let counts = counts_of(name);
        let within = |count: u64, bound| count * 100 <= bound * counts.operations;
        assert!(within(counts.rmw, rmw), "{}", report(name, &counts));
        assert!(within(counts.rmw_shared, shared), "{}", report(name, &counts));
    }
}

/// Otherwise the promises above could seem kept because nothing is counted.
fn everything_is_noticed() {
    let outside = counts_of("spawn, outside");
    assert!(outside.rmw_shared >= outside.operations, "the inbox is shared");
    assert_eq!(outside.fences, outside.operations, "a push from outside fences");
    assert_eq!(count(1, Instant::now).clock_reads, 1);
    assert_eq!(count(1, || Box::new(1)).allocations, 1);
    assert!(counts_of("sleep, insert + cancel").locks >= OPERATIONS, "a wheel has a lock");
}
