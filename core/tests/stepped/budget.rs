//! How much a task may take in one poll.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use jenny_core::{
    scheduler::{Current, Tick, budget, local},
    task::JoinHandle,
};

use crate::{
    probe::{poll_join, result},
    rig::{Dice, Kind, Rig},
    toy::{Toy, Unparked},
};

const BUDGET: usize = 128;
const TASKS: usize = 300;

/// Joins one task after the other and notes how many it got in each poll.
async fn join_all(mut tasks: Vec<JoinHandle<usize>>) -> Vec<usize> {
    let mut polls = Vec::new();
    let mut next = 0;
    poll_fn(move |context| {
        let first = next;
        while next < tasks.len() {
            match Pin::new(&mut tasks[next]).poll(context) {
                Poll::Ready(number) => assert_eq!(number.unwrap(), next),
                Poll::Pending => break,
            }
            next += 1;
        }
        polls.push(next - first);
        if next < tasks.len() { Poll::Pending } else { Poll::Ready(std::mem::take(&mut polls)) }
    })
    .await
}

fn finished(rig: &mut Rig) -> Vec<JoinHandle<usize>> {
    let tasks: Vec<_> = (0..TASKS).map(|number| rig.handle.spawn(async move { number })).collect();
    rig.settle(&mut Dice::new(0));
    assert!(tasks.iter().all(JoinHandle::is_finished));
    tasks
}

#[test]
fn a_task_that_joins_too_many_at_once_has_to_yield_and_is_woken() {
    for kind in Kind::ALL {
        let mut rig = Rig::new(kind);
        let tasks = finished(&mut rig);
        let task = rig.handle.spawn(join_all(tasks));
        rig.settle(&mut Dice::new(0));
        assert_eq!(result(task).unwrap(), [BUDGET, BUDGET, TASKS - 2 * BUDGET]);
    }
}

#[test]
fn unconstrained_does_not_yield_and_leaves_the_budget_alone() {
    for kind in Kind::ALL {
        let mut rig = Rig::new(kind);
        let tasks = finished(&mut rig);
        let task = rig.handle.spawn(async move {
            assert!(budget::proceed::<Toy>());
            let polls = {
                let mut all = pin!(join_all(tasks));
                poll_fn(|context| budget::poll_unconstrained::<Toy, _>(all.as_mut(), context)).await
            };
            let left = (0..).take_while(|_| budget::proceed::<Toy>()).count();
            assert!(!budget::has_remaining::<Toy>());
            budget::refund::<Toy>();
            assert!(budget::has_remaining::<Toy>());
            (polls, left)
        });
        rig.settle(&mut Dice::new(0));
        assert_eq!(result(task).unwrap(), (vec![TASKS], BUDGET - 1));
    }
}

#[test]
fn outside_of_tasks_nothing_is_limited_and_a_root_future_is() {
    let mut rig = Rig::new(Kind::Stealing(1));
    let mut tasks = finished(&mut rig);
    for (number, task) in tasks.iter_mut().enumerate() {
        let Poll::Ready(joined) = poll_join(task, Waker::noop()) else { panic!("limited") };
        assert_eq!(joined.unwrap(), number);
    }
    let tasks = finished(&mut rig);
    let mut all = pin!(join_all(tasks));
    let context = &mut Context::from_waker(Waker::noop());
    let mut refused = Vec::new();
    loop {
        let (polled, was_refused) = Current::<Toy>::poll_root(all.as_mut(), context);
        refused.push(was_refused);
        if polled.is_ready() {
            break;
        }
    }
    assert_eq!(refused, [true, true, false]);
    assert!(budget::has_remaining::<Toy>());
}

#[test]
fn a_panic_in_an_unconstrained_future_leaves_the_budget_alone() {
    let (mut rig, left) = (Rig::new(Kind::Local), Arc::new(Mutex::new(0)));
    let task = rig.handle.spawn({
        let left = left.clone();
        poll_fn(move |context| {
            assert!(budget::proceed::<Toy>());
            let panicked = std::panic::catch_unwind(|| {
                let mut future = pin!(async { crate::probe::planned_panic() });
                let context = &mut Context::from_waker(Waker::noop());
                budget::poll_unconstrained::<Toy, _>(future.as_mut(), context)
            });
            assert!(panicked.is_err());
            *left.lock().unwrap() = (0..).take_while(|_| budget::proceed::<Toy>()).count();
            let _ = context;
            Poll::Ready(())
        })
    });
    rig.settle(&mut Dice::new(0));
    result(task).unwrap();
    assert_eq!(*left.lock().unwrap(), BUDGET - 1);
}

/// A worker that is driven by a task of another scheduler.
#[test]
fn a_host_keeps_its_id_and_its_budget() {
    let mut rig = Rig::new(Kind::Local);
    let (handle, worker) =
        local::new(Toy::new(2, false), Unparked::default(), local::Config::default());
    let host = rig.handle.spawn(async move {
        let own = Current::<Toy>::task_id();
        assert!(own.is_some() && budget::proceed::<Toy>());
        let guest = worker.enter(|worker| {
            let guest = worker.as_host(|| {
                assert_eq!(Current::<Toy>::task_id(), own);
                assert!(handle.is_entered() && budget::proceed::<Toy>());
                handle.spawn(async { (0..).take_while(|_| budget::proceed::<Toy>()).count() })
            });
            assert_eq!(Current::<Toy>::task_id(), None);
            assert_eq!(worker.tick(), Tick::Idle);
            guest
        });
        assert_eq!(Current::<Toy>::task_id(), own);
        assert_eq!(result(guest).unwrap(), BUDGET, "the guest has its own");
        handle.close();
        worker.enter(|worker| assert_eq!(worker.tick(), Tick::Stopped));
        (0..).take_while(|_| budget::proceed::<Toy>()).count()
    });
    rig.settle(&mut Dice::new(0));
    // Two units of its own, and one for the join of the guest.
    assert_eq!(result(host).unwrap(), BUDGET - 3);
}
