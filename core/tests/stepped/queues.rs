//! The order in which tasks run, and who may take them.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

use jenny_core::scheduler::Tick;

use crate::{
    probe::yield_now,
    rig::{Dice, Handle, Kind, Rig},
    toy::Toy,
};

type Order = Arc<Mutex<Vec<usize>>>;

fn spawn_numbered(handle: &Handle, order: &Order, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        let order = order.clone();
        drop(handle.spawn(async move { order.lock().unwrap().push(number) }));
    }
}

fn ran(order: &Order) -> Vec<usize> {
    std::mem::take(&mut *order.lock().unwrap())
}

#[test]
fn what_was_spawned_last_runs_first_then_the_others_in_order() {
    let (mut rig, mut dice) = (Rig::new(Kind::Stealing(1)), Dice::new(0));
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..5));
    rig.settle(&mut dice);
    assert_eq!(ran(&order), [4, 0, 1, 2, 3]);

    let mut rig =
        Rig::with(Kind::Stealing(1), Toy::new(1, false), |config| config.lifo_slot = false);
    let handle = rig.handle.clone();
    rig.inside(0, || spawn_numbered(&handle, &order, 0..5));
    rig.settle(&mut dice);
    assert_eq!(ran(&order), [0, 1, 2, 3, 4], "without a LIFO slot");
}

/// Two tasks that wake each other and go to sleep, for so many rounds.
fn ping_pong(handle: &Handle, order: &Order, rounds: usize) {
    let wakers: Arc<Mutex<[Option<Waker>; 2]>> = Arc::default();
    for side in 0..2 {
        let (wakers, order, mut polls) = (wakers.clone(), order.clone(), 0);
        drop(handle.spawn(poll_fn(move |context| {
            order.lock().unwrap().push(side);
            polls += 1;
            let other = {
                let mut wakers = wakers.lock().unwrap();
                wakers[side] = Some(context.waker().clone());
                wakers[1 - side].take()
            };
            if let Some(other) = other {
                other.wake();
            }
            if polls == rounds { Poll::Ready(()) } else { Poll::Pending }
        })));
    }
}

#[test]
fn two_that_wake_each_other_do_not_keep_the_worker_to_themselves() {
    const OTHER: usize = 7;
    let (mut rig, mut dice) = (Rig::new(Kind::Stealing(1)), Dice::new(0));
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || {
        ping_pong(&handle, &order, 20);
        let order = order.clone();
        drop(handle.spawn(async move {
            for _ in 0..6 {
                order.lock().unwrap().push(OTHER);
                yield_now().await;
            }
        }));
    });
    rig.settle(&mut dice);
    let order = ran(&order);
    let places: Vec<_> = (0..order.len()).filter(|&place| order[place] == OTHER).collect();
    assert_eq!(places.len(), 6);
    for pair in places.windows(2) {
        // Three from the LIFO slot, and at most the two of them from the ring.
        assert!(pair[1] - pair[0] <= 6, "starved: {order:?}");
    }
}

#[test]
fn the_inbox_is_looked_at_under_a_flood() {
    // With few tasks the worker never runs out of its own ring, with many it visits its overflow.
    for (kind, tasks) in [(Kind::Local, 400), (Kind::Stealing(1), 10), (Kind::Stealing(1), 400)] {
        let (mut rig, mut dice) = (Rig::new(kind), Dice::new(0));
        let stop = flood(&mut rig, 0, tasks);
        let outside = rig.handle.spawn(async move { stop.store(true, SeqCst) });
        let ticks = (1..100).find(|_| {
            let _ = rig.tick(0);
            outside.is_finished()
        });
        // Those tasks wait before it, 61 run in a tick; the stealing one visits its overflow half a
        // ring at a time, the flood goes behind.
        assert!(ticks.expect("starved") <= 1 + 2 * tasks / 61, "{kind:?}: {ticks:?}");
        rig.settle(&mut dice);
    }
}

/// Keeps a worker busy with tasks that wake themselves, until the flag is raised.
fn flood(rig: &mut Rig, worker: usize, tasks: usize) -> Arc<AtomicBool> {
    let (handle, stop) = (rig.handle.clone(), Arc::new(AtomicBool::new(false)));
    rig.inside(worker, || {
        for _ in 0..tasks {
            let stop = stop.clone();
            drop(handle.spawn(async move {
                while !stop.load(SeqCst) {
                    yield_now().await;
                }
            }));
        }
    });
    assert_eq!(rig.tick(worker), Tick::Ran);
    stop
}

/// Its owner is in a poll that does not end, and the other worker has enough to do.
#[test]
fn the_inbox_of_a_stuck_worker_is_looked_at_under_a_flood() {
    for busy in 0..2 {
        let mut rig = Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {});
        let stop = flood(&mut rig, busy, 10);
        // To whichever of the two inboxes.
        let outside = rig.handle.spawn(async move { stop.store(true, SeqCst) });
        assert!((0..10).any(|_| {
            let _ = rig.tick(busy);
            outside.is_finished()
        }));
        rig.settle(&mut Dice::new(0));
    }
}

#[test]
fn a_thief_takes_half() {
    let mut rig = Rig::with(Kind::Stealing(2), Toy::new(1, false), |config| {
        config.event_interval = 1;
    });
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..9));
    assert_eq!(rig.stealing().queued(0), Some(8), "and one in the LIFO slot");
    assert_eq!(rig.tick(1), Tick::Ran);
    assert_eq!(ran(&order), [0], "the oldest");
    assert_eq!((rig.stealing().queued(0), rig.stealing().queued(1)), (Some(4), Some(3)));
    let thief = rig.stealing().metrics(1).unwrap();
    assert_eq!((thief.steals, thief.steal_operations), (4, 1));
    assert_eq!(rig.tick(0), Tick::Ran);
    assert_eq!(ran(&order), [8], "the LIFO slot");
    rig.settle(&mut Dice::new(0));
    assert_eq!(ran(&order).len(), 7);
}

#[test]
fn a_worker_may_leave_the_tasks_of_others_alone_while_it_has_its_own() {
    let mut rig = Rig::new(Kind::Stealing(2));
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..3));
    rig.inside(1, || spawn_numbered(&handle, &order, 10..13));
    assert_eq!(rig.tick_own(1), Tick::Ran);
    assert_eq!(ran(&order), [12, 10, 11]);
    // It has none any more, so it searches as in any tick.
    while rig.tick_own(1) == Tick::Ran {}
    assert_eq!(ran(&order), [0, 1], "all but what is in the LIFO slot");
    rig.settle(&mut Dice::new(0));
    assert_eq!(ran(&order), [2]);
}

#[test]
fn a_worker_that_is_stuck_does_not_keep_its_tasks() {
    // The second worker takes whatever the first has, which is never stepped: 700 from its ring and
    // its overflow, all but the one in the LIFO slot, and 900 from its inbox.
    let mut rig = Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {});
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..701));
    spawn_numbered(&handle, &order, 1_000..1_900);
    while rig.tick(1) == Tick::Ran {}
    let mut ran = ran(&order);
    ran.sort_unstable();
    assert!(ran.into_iter().eq((0..700).chain(1_000..1_900)));
    rig.settle(&mut Dice::new(0));
    rig.stop(&mut Dice::new(0));
}

#[test]
fn what_does_not_fit_the_ring_stays_in_order() {
    let (mut rig, mut dice) = (
        Rig::with(Kind::Stealing(1), Toy::new(1, false), |config| config.lifo_slot = false),
        Dice::new(0),
    );
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..1_000));
    assert!(rig.stealing().metrics(0).unwrap().overflows >= 1_000 - 256);
    rig.settle(&mut dice);
    assert!(ran(&order).into_iter().eq(0..1_000));
}

/// What is queued while something is in the overflow goes there, too: two tasks that never wait must not
/// keep it in use for ever.
#[test]
fn a_worker_leaves_its_overflow_when_the_rest_fits_the_ring() {
    let mut rig = Rig::with(Kind::Stealing(1), Toy::new(1, false), |_| {});
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..1_000));
    for _ in 0..2 {
        drop(handle.spawn(async {
            loop {
                yield_now().await;
            }
        }));
    }
    let overflows = |rig: &Rig| rig.stealing().metrics(0).unwrap().overflows;
    while ran(&order).last() != Some(&998) {
        assert_eq!(rig.tick(0), Tick::Ran);
    }
    let left = overflows(&rig);
    assert!(left > 0);
    (0..10).for_each(|_| assert_eq!(rig.tick(0), Tick::Ran));
    assert_eq!(overflows(&rig), left);
    rig.stop(&mut Dice::new(0));
}

/// Around the size of the ring, and of what is turned around at a visit.
const COUNTS: &[usize] = if cfg!(miri) { &[1, 257] } else { &[1, 2, 255, 256, 257, 600, 2_000] };

#[test]
fn the_inbox_keeps_its_order() {
    for kind in [Kind::Local, Kind::Stealing(1)] {
        for &count in COUNTS {
            let (mut rig, mut dice) = (Rig::with(kind, Toy::new(1, false), |_| {}), Dice::new(0));
            let order = Order::default();
            spawn_numbered(&rig.handle, &order, 0..count);
            rig.settle(&mut dice);
            assert!(ran(&order).into_iter().eq(0..count), "{kind:?}, {count}");
        }
    }
}

#[test]
fn work_from_outside_wakes_one_sleeper_and_a_backlog_the_next() {
    let (mut rig, mut dice) =
        (Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {}), Dice::new(0));
    rig.settle(&mut dice);
    assert_eq!(rig.stealing().sleepers(), 2);
    let order = Order::default();
    spawn_numbered(&rig.handle, &order, 0..3);
    assert_eq!(rig.stealing().sleepers(), 1, "one searches, which is enough");
    // The first worker finds several, so it wakes the second before it runs the first of them.
    let woken = (0..2).find(|&worker| rig.step(worker).is_some()).expect("nobody was unparked");
    assert_eq!(ran(&order), [0, 1, 2]);
    assert!(rig.step(1 - woken).is_some(), "the searcher found work and left no successor");
    rig.settle(&mut dice);
    assert_eq!(rig.stealing().sleepers(), 2);
}

#[test]
fn the_second_task_that_a_worker_schedules_wakes_a_sleeper() {
    let (mut rig, mut dice) =
        (Rig::with(Kind::Stealing(2), Toy::new(1, false), |_| {}), Dice::new(0));
    rig.settle(&mut dice);
    let (handle, order) = (rig.handle.clone(), Order::default());
    rig.inside(0, || spawn_numbered(&handle, &order, 0..1));
    assert_eq!(rig.stealing().sleepers(), 2, "it runs the first one itself, when it ticks");
    rig.inside(0, || spawn_numbered(&handle, &order, 1..2));
    assert_eq!(rig.stealing().sleepers(), 0, "it is awake, and so is who may help");
    assert!(rig.step(1).is_some(), "nobody was unparked");
    rig.settle(&mut dice);
    assert_eq!(ran(&order).len(), 2);
}
