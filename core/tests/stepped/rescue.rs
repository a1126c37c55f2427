//! What is taken from a worker that is stuck in a poll, and from no other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use jenny_core::scheduler::stealing::{Glances, Look};

use crate::{
    probe::yield_now,
    rig::{Dice, Kind, Rig},
    toy::Toy,
};

fn look(rig: &Rig, glances: &mut Glances) -> Look {
    rig.stealing().look_after(glances, |_, _| false)
}

/// Of workers that have begun few polls.
fn found(awake: usize, stuck: usize, exposed: bool) -> Look {
    let mut look = Look::default();
    (look.awake, look.stuck, look.slow, look.exposed) = (awake, stuck, awake, exposed);
    look
}

/// Spawns a task that says when it has run.
fn spawn_flagged(rig: &Rig) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    drop(rig.handle.spawn(async move { raised.store(true, SeqCst) }));
    flag
}

/// A worker that is awake, has a task in its LIFO slot and does not come to it; the other one sleeps.
fn stuck() -> (Rig, Arc<AtomicBool>) {
    let (mut rig, mut dice) =
        (Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {}), Dice::new(0));
    rig.settle(&mut dice);
    let handle = rig.handle.clone();
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    rig.inside(0, || {
        // The first one is pushed aside, to the ring, and the worker is awake.
        drop(handle.spawn(async {}));
        drop(handle.spawn(async move { raised.store(true, SeqCst) }));
    });
    while rig.step(1).is_some() {}
    assert!(!flag.load(SeqCst), "nobody takes from a LIFO slot");
    assert_eq!(rig.stealing().sleepers(), 1);
    (rig, flag)
}

#[test]
fn the_next_task_of_a_stuck_worker_goes_to_one_that_sleeps() {
    let (mut rig, ran) = stuck();
    let mut glances = rig.stealing().glances();
    assert_eq!(look(&rig, &mut glances), found(1, 0, true), "it may have begun its poll just now");
    assert_eq!(rig.stealing().rescues(), 0);
    assert_eq!(look(&rig, &mut glances), found(2, 1, false), "the other one has been woken for it");
    assert_eq!((rig.stealing().rescues(), rig.stealing().sleepers()), (1, 0));
    while rig.step(1).is_some() {}
    assert!(ran.load(SeqCst));
    assert_eq!(look(&rig, &mut glances), found(1, 1, false), "it is still stuck, with nothing");
    assert_eq!(rig.stealing().rescues(), 1);
}

#[test]
fn a_worker_that_begins_a_poll_keeps_its_next_task() {
    let (mut rig, _) = stuck();
    let mut glances = rig.stealing().glances();
    for _ in 0..3 {
        let before = look(&rig, &mut glances);
        assert_eq!(before, found(1, 0, true));
        assert!(rig.step(0).is_some());
        let handle = rig.handle.clone();
        rig.inside(0, || {
            // One in the ring, one in the LIFO slot.
            drop(handle.spawn(async {}));
            drop(handle.spawn(async {}));
        });
        while rig.step(1).is_some() {}
    }
    assert_eq!(rig.stealing().rescues(), 0);
}

#[test]
fn a_worker_that_sleeps_is_not_looked_after() {
    let (mut rig, mut dice) =
        (Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {}), Dice::new(0));
    rig.settle(&mut dice);
    let mut glances = rig.stealing().glances();
    let handle = rig.stealing().clone();
    for _ in 0..3 {
        let look = handle.look_after(&mut glances, |worker, _| panic!("worker {worker} sleeps"));
        assert_eq!(look, found(0, 0, false));
    }
    // What was seen before a sleep says nothing about the time after it, polls or no polls.
    for _ in 0..2 {
        let ran = spawn_flagged(&rig);
        assert_eq!(look(&rig, &mut glances), found(1, 0, false), "it was woken for the task");
        while !ran.load(SeqCst) {
            let _ = rig.tick(1);
        }
        rig.settle(&mut dice);
        assert_eq!(look(&rig, &mut glances), found(0, 0, false));
    }
}

#[test]
fn what_else_is_neglected_is_asked_for_each_worker_that_is_awake() {
    let (rig, _) = stuck();
    let mut glances = rig.stealing().glances();
    let mut asked = Vec::new();
    for is_stuck in [false, true] {
        let look = rig.stealing().look_after(&mut glances, |worker, is_stuck| {
            asked.push((worker, is_stuck));
            true
        });
        assert_eq!((look.exposed, look.stuck), (true, usize::from(is_stuck)));
    }
    // The other one was awakened by what the second look has taken from the first.
    assert_eq!(asked, [(0, false), (0, true), (1, false)]);
}

#[test]
fn a_worker_that_begins_many_polls_is_not_stuck_soon() {
    let (mut rig, mut dice) =
        (Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {}), Dice::new(0));
    rig.settle(&mut dice);
    let mut glances = rig.stealing().glances();
    let handle = rig.handle.clone();
    rig.inside(0, || {
        drop(handle.spawn(async {
            for _ in 0..200 {
                yield_now().await
            }
        }))
    });
    assert!(rig.step(0).is_some());
    assert_eq!(look(&rig, &mut glances).slow, 1, "nobody knows");
    (0..2).for_each(|_| assert!(rig.step(0).is_some()));
    assert_eq!(look(&rig, &mut glances).slow, 0);
    let look = look(&rig, &mut glances);
    assert!(look.slow > 0 && look.stuck == 1, "it has begun none since: {look:?}");
    rig.settle(&mut dice);
}
