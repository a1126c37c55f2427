//! User code that comes back: from a poll, from the drop of a future, an output or a payload, and
//! from a waker's clone, wake and drop.

use std::{
    future::{pending, poll_fn},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use jenny_core::{
    scheduler::Current,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    alloc::no_leaks,
    probe::{Hooks, OnDrop, Tally, hooked, planned_panic, poll_join, result, yield_now},
    rig::{Dice, Handle, Kind, Rig},
    toy::Toy,
};

/// What user code can do to the scheduler that has called it.
struct Meddler {
    handle: Handle,
    values: Tally,
    victim: Arc<Mutex<Option<(Waker, AbortHandle)>>>,
}

impl Meddler {
    /// A task that only waits, to be meddled with.
    fn new(rig: &mut Rig) -> Arc<Self> {
        let meddler = Arc::new(Self {
            handle: rig.handle.clone(),
            values: Tally::default(),
            victim: Arc::default(),
        });
        let (waker, guard) = (Arc::new(Mutex::new(None)), meddler.values.guard());
        let task = rig.handle.spawn({
            let waker = waker.clone();
            poll_fn(move |context| {
                let _ = &guard;
                *waker.lock().unwrap() = Some(context.waker().clone());
                Poll::<()>::Pending
            })
        });
        rig.settle(&mut Dice::new(0));
        let waker = waker.lock().unwrap().take().unwrap();
        *meddler.victim.lock().unwrap() = Some((waker, task.abort_handle()));
        meddler
    }

    fn meddle(&self) {
        let guard = self.values.guard();
        let mut task = self.handle.spawn(async move { drop(guard) });
        let _ = poll_join(&mut task, Waker::noop());
        task.abort();
        drop(task);
        // A whole scheduler inside.
        let mut rig = Rig::new(Kind::Local);
        let guard = self.values.guard();
        let task = rig.handle.spawn(async move { drop(guard) });
        rig.settle(&mut Dice::new(0));
        result(task).unwrap();
        let victim = self.victim.lock().unwrap().take();
        if let Some((waker, abort)) = victim {
            waker.wake_by_ref();
            waker.clone().wake();
            abort.abort();
            waker.wake();
        }
    }
}

/// Lets the scenario meddle, on every scheduler, then shuts down and counts.
#[track_caller]
fn meddling(scenario: impl Fn(&mut Rig, &Arc<Meddler>)) {
    for kind in Kind::ALL {
        no_leaks(|| {
            let mut rig = Rig::new(kind);
            let meddler = Meddler::new(&mut rig);
            scenario(&mut rig, &meddler);
            rig.settle(&mut Dice::new(0));
            assert!(meddler.victim.lock().unwrap().is_none(), "nobody has meddled");
            rig.stop(&mut Dice::new(0));
            meddler.values.assert_even();
        });
    }
}

fn on_drop(meddler: &Arc<Meddler>) -> OnDrop<impl FnOnce() + Send + 'static + use<>> {
    let meddler = meddler.clone();
    OnDrop::new(move || meddler.meddle())
}

#[test]
fn in_a_poll() {
    meddling(|rig, meddler| {
        let meddler = meddler.clone();
        drop(rig.handle.spawn(async move {
            meddler.meddle();
            yield_now().await;
            meddler.meddle();
        }));
    });
}

#[test]
fn in_the_drop_of_a_future() {
    meddling(|rig, meddler| {
        let drops = on_drop(meddler);
        let task = rig.handle.spawn(async move {
            pending::<()>().await;
            drop(drops);
        });
        rig.settle(&mut Dice::new(0));
        task.abort();
    });
}

#[test]
fn in_the_drop_of_a_future_during_the_shutdown() {
    meddling(|rig, meddler| {
        let drops = on_drop(meddler);
        drop(rig.handle.spawn(async move {
            pending::<()>().await;
            drop(drops);
        }));
        rig.stop(&mut Dice::new(0));
    });
}

#[test]
fn in_the_drop_of_an_output() {
    meddling(|rig, meddler| {
        let drops = on_drop(meddler);
        drop(rig.handle.spawn(async move { drops }));
    });
    meddling(|rig, meddler| {
        let drops = on_drop(meddler);
        let task = rig.handle.spawn(async move { drops });
        rig.settle(&mut Dice::new(0));
        drop(task);
    });
}

#[test]
fn in_the_drop_of_a_payload() {
    meddling(|rig, meddler| {
        // The hook that keeps the screen quiet knows payloads by their value.
        let drops = on_drop(meddler);
        let task = rig.handle.spawn(async move {
            std::panic::resume_unwind(Box::new(drops));
        });
        drop(task);
    });
    meddling(|rig, meddler| {
        let drops = OnDrop::new({
            let drops = on_drop(meddler);
            move || {
                drop(drops);
                planned_panic()
            }
        });
        let task = rig.handle.spawn(async move {
            std::panic::resume_unwind(Box::new(drops));
        });
        rig.settle(&mut Dice::new(0));
        drop(task);
    });
}

#[test]
fn a_join_waker_that_joins() {
    // The completer calls the waker; from there the handle is polled and gives the output.
    for kind in Kind::ALL {
        no_leaks(|| {
            let mut rig = Rig::new(kind);
            let handle = rig.handle.spawn(async { vec![1, 2, 3] });
            let (handle, output) = (Arc::new(Mutex::new(Some(handle))), Arc::new(Mutex::new(None)));
            let waker = hooked(Hooks {
                on_wake: Some(Box::new({
                    let (handle, output) = (handle.clone(), Arc::clone(&output));
                    move || {
                        let handle = handle.lock().unwrap().take().unwrap();
                        *output.lock().unwrap() = Some(result(handle).unwrap());
                    }
                })),
                ..Hooks::default()
            });
            {
                let mut handle = handle.lock().unwrap();
                assert!(poll_join(handle.as_mut().unwrap(), &waker).is_pending());
            }
            rig.settle(&mut Dice::new(0));
            assert_eq!(output.lock().unwrap().take(), Some(vec![1, 2, 3]));
        });
    }
}

#[test]
fn a_task_that_holds_its_own_handles() {
    for kind in Kind::ALL {
        for ready in [false, true] {
            no_leaks(|| {
                let (mut rig, values) = (Rig::new(kind), Tally::default());
                let own = Arc::new(Mutex::new(None));
                let task = rig.handle.spawn({
                    let (own, guard, mut held) = (own.clone(), values.guard(), None);
                    poll_fn(move |context| {
                        let mut join: JoinHandle<_> = own.lock().unwrap().take().unwrap();
                        assert!(poll_join(&mut join, context.waker()).is_pending());
                        join.abort();
                        held = Some(join);
                        let _ = &held;
                        if ready { Poll::Ready(guard.another()) } else { Poll::Pending }
                    })
                });
                *own.lock().unwrap() = Some(task);
                rig.settle(&mut Dice::new(0));
                values.assert_even();
            });
        }
    }
}

#[test]
fn the_task_id_is_known_inside_and_restored() {
    for kind in Kind::ALL {
        let mut rig = Rig::new(kind);
        assert_eq!(Current::<Toy>::task_id(), None);
        let dropped = Arc::new(Mutex::new(None));
        let on_drop = OnDrop::new({
            let dropped = dropped.clone();
            move || *dropped.lock().unwrap() = Current::<Toy>::task_id()
        });
        let task = rig.handle.spawn(async move {
            let outer = Current::<Toy>::task_id();
            let mut rig = Rig::new(kind);
            let inner = rig.handle.spawn(async { Current::<Toy>::task_id() });
            let inner_id = inner.id();
            rig.settle(&mut Dice::new(0));
            assert_eq!(result(inner).unwrap(), Some(inner_id));
            assert_eq!(Current::<Toy>::task_id(), outer);
            drop(on_drop);
            outer
        });
        let id = task.id();
        rig.settle(&mut Dice::new(0));
        assert_eq!(result(task).unwrap(), Some(id));
        assert_eq!(*dropped.lock().unwrap(), Some(id));
    }
}
