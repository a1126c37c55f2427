//! User code that comes back: from a poll, from the drop of a future, an output or a payload, and
//! from a waker's clone, wake and drop.

use std::{
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use jenny_core::{
    scheduler::Current,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    alloc::no_leaks,
    probe::{Guard, Hooks, OnDrop, Tally, hooked, planned_panic, poll_join, result, yield_now},
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
            let by_value = waker.clone();
            by_value.wake();
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

/// What a join waker does to the handle that has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Poll,
    Drop,
    Abort,
    /// Steps the workers until the task is complete.
    Complete,
}

/// A handle, where its own wakers find it.
#[derive(Default)]
struct Place {
    handle: Mutex<Option<JoinHandle<Guard>>>,
    rig: Mutex<Option<Rig>>,
    outputs: Tally,
}

impl Place {
    fn settle(&self) {
        let rig = self.rig.lock().unwrap().take();
        if let Some(mut rig) = rig {
            rig.settle(&mut Dice::new(0));
            *self.rig.lock().unwrap() = Some(rig);
        }
    }

    /// Polls the handle, which is put back only if it has not given its output.
    fn poll(&self, waker: &Waker) {
        let handle = self.handle.lock().unwrap().take();
        let Some(mut handle) = handle else { return };
        match poll_join(&mut handle, waker) {
            Poll::Ready(result) => drop(result.map(|_| self.outputs.guard())),
            Poll::Pending => *self.handle.lock().unwrap() = Some(handle),
        }
    }

    fn meddle(&self, deed: Deed) {
        match deed {
            Deed::Poll => self.poll(Waker::noop()),
            Deed::Complete => self.settle(),
            Deed::Drop => {
                let handle = self.handle.lock().unwrap().take();
                drop(handle);
            }
            Deed::Abort => {
                let abort = self.handle.lock().unwrap().as_ref().map(JoinHandle::abort_handle);
                if let Some(abort) = abort {
                    abort.abort();
                }
            }
        }
    }

    /// A waker that meddles when it is cloned (0), woken (1) or dropped (2).
    fn waker(self: &Arc<Self>, moment: usize, deed: Deed) -> Waker {
        let hook = |at| {
            let place = self.clone();
            let hook: Box<dyn Fn() + Send + Sync> = Box::new(move || place.meddle(deed));
            (moment == at).then_some(hook)
        };
        hooked(Hooks { on_clone: hook(0), on_wake: hook(1), on_drop: hook(2) })
    }
}

#[test]
fn a_join_waker_that_meddles_with_its_own_handle() {
    for kind in Kind::ALL {
        for deed in [Deed::Poll, Deed::Drop, Deed::Abort, Deed::Complete] {
            for moment in 0..3 {
                no_leaks(|| {
                    let (place, values) = (Arc::new(Place::default()), Tally::default());
                    let rig = Rig::new(kind);
                    let guard = values.guard();
                    let task = rig.handle.spawn(async {
                        yield_now().await;
                        guard
                    });
                    let end = task.abort_handle();
                    *place.handle.lock().unwrap() = Some(task);
                    *place.rig.lock().unwrap() = Some(rig);
                    // A clone; nothing; a clone and a drop; and the same once more.
                    let wakers = [0, 1].map(|_| place.waker(moment, deed));
                    for waker in [&wakers[0], &wakers[0], &wakers[1], &wakers[0]] {
                        place.poll(waker);
                    }
                    drop(wakers);
                    place.settle();
                    assert!(end.is_finished());
                    place.poll(Waker::noop());
                    assert!(place.handle.lock().unwrap().is_none(), "{deed:?}, {moment}");
                    match deed {
                        Deed::Complete => assert_eq!(place.outputs.made(), 1),
                        _ => assert!(place.outputs.made() <= 1),
                    }
                    drop(place.rig.lock().unwrap().take());
                    values.assert_even();
                });
            }
        }
    }
}

/// Misuse, and said so: a handle that gave its output, to a waker or to anybody, has none left.
#[test]
fn a_handle_is_polled_after_its_output() {
    let mut rig = Rig::new(Kind::Local);
    let mut handle = rig.handle.spawn(async {});
    rig.settle(&mut Dice::new(0));
    assert!(poll_join(&mut handle, Waker::noop()).is_ready());
    let again = catch_unwind(AssertUnwindSafe(|| poll_join(&mut handle, Waker::noop())));
    let message = *again.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "a JoinHandle was polled after it had given its output");
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
                        held.insert(join).abort();
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
