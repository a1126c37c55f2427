//! What is taken from a worker that is stuck in a poll, and from no other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use jenny_core::scheduler::stealing::{Glances, Look};

use crate::{
    rig::{Dice, Kind, Rig},
    toy::Toy,
};

fn look(rig: &Rig, glances: &mut Glances) -> Look {
    rig.stealing().look_after(glances, |_| false)
}

fn found(awake: usize, stuck: usize, exposed: bool) -> Look {
    let mut look = Look::default();
    (look.awake, look.stuck, look.exposed) = (awake, stuck, exposed);
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
        let look = handle.look_after(&mut glances, |worker| panic!("worker {worker} sleeps"));
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
    let look = rig.stealing().look_after(&mut glances, |worker| {
        asked.push(worker);
        true
    });
    assert_eq!((look, asked), (found(1, 0, true), vec![0]));
}
