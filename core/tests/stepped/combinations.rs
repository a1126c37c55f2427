//! Panics × aborts × what becomes of the handle × where the task was spawned.
//!
//! A simple model says how each task ends; every future, output, payload and waker is dropped once,
//! and nothing is leaked.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use jenny_core::{scheduler::Tick, task::JoinHandle};

use crate::{
    alloc::no_leaks,
    probe::{Guard, Hooks, Tally, hooked, planned_panic, poll_join, result},
    rig::{Dice, Kind, Rig},
};

/// Which of the user's code panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Panics {
    Nothing,
    Poll,
    FutureDrop,
    PollAndFutureDrop,
    OutputDrop,
    FutureAndOutputDrop,
    JoinWaker,
}

/// When the task is aborted. It is polled twice: the first poll waits for a wake.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Abort {
    Never,
    BeforeFirstPoll,
    InFirstPoll,
    WhileIdle,
    WokenAgain,
    InLastPoll,
    Afterwards,
    AlwaysTwice,
}

/// What becomes of the `JoinHandle`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Join {
    Kept,
    DroppedFirst,
    DroppedWhileIdle,
    DroppedWaiting,
    DroppedLast,
    /// By the future itself, in its last poll.
    DroppedInside,
}

/// Where the task is spawned, and who runs it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Inside,
    Outside,
    /// Spawned on the first worker, run on the second if there is one.
    Stolen,
}

const PANICS: [Panics; 7] = [
    Panics::Nothing,
    Panics::Poll,
    Panics::FutureDrop,
    Panics::PollAndFutureDrop,
    Panics::OutputDrop,
    Panics::FutureAndOutputDrop,
    Panics::JoinWaker,
];
const ABORTS: [Abort; 8] = [
    Abort::Never,
    Abort::BeforeFirstPoll,
    Abort::InFirstPoll,
    Abort::WhileIdle,
    Abort::WokenAgain,
    Abort::InLastPoll,
    Abort::Afterwards,
    Abort::AlwaysTwice,
];
const JOINS: [Join; 6] = [
    Join::Kept,
    Join::DroppedFirst,
    Join::DroppedWhileIdle,
    Join::DroppedWaiting,
    Join::DroppedLast,
    Join::DroppedInside,
];
const PLACES: [Place; 3] = [Place::Inside, Place::Outside, Place::Stolen];

#[derive(Clone, Copy, Debug)]
struct Case {
    kind: Kind,
    panics: Panics,
    abort: Abort,
    join: Join,
    place: Place,
}

#[derive(Debug, PartialEq)]
enum End {
    Output,
    Cancelled,
    Panicked,
}

impl Case {
    /// How the task has to end.
    fn end(self) -> End {
        let cancelled = !matches!(self.abort, Abort::Never | Abort::InLastPoll | Abort::Afterwards);
        match self.panics {
            Panics::FutureDrop | Panics::PollAndFutureDrop | Panics::FutureAndOutputDrop => {
                End::Panicked
            }
            Panics::Poll if !cancelled => End::Panicked,
            _ if cancelled => End::Cancelled,
            _ => End::Output,
        }
    }

    fn aborts(self, moment: Abort) -> bool {
        self.abort == moment || self.abort == Abort::AlwaysTwice
    }
}

type Slot<T> = Arc<Mutex<Option<T>>>;

struct Output {
    _guard: Guard,
    panics: bool,
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.panics {
            planned_panic();
        }
    }
}

/// The future: it waits once, then it is ready.
struct Probe {
    _guard: Guard,
    case: Case,
    outputs: Tally,
    polls: usize,
    waker: Slot<Waker>,
    join: Slot<JoinHandle<Output>>,
}

impl Probe {
    fn abort(&self, moment: Abort) {
        if self.case.aborts(moment)
            && let Some(join) = &*self.join.lock().unwrap()
        {
            join.abort();
            if self.case.abort == Abort::AlwaysTwice {
                join.abort_handle().abort();
            }
        }
    }
}

impl Future for Probe {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        self.polls += 1;
        if self.polls == 1 {
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            self.abort(Abort::InFirstPoll);
            return Poll::Pending;
        }
        self.abort(Abort::InLastPoll);
        if self.case.join == Join::DroppedInside {
            let join = self.join.lock().unwrap().take();
            drop(join);
        }
        if matches!(self.case.panics, Panics::Poll | Panics::PollAndFutureDrop) {
            planned_panic();
        }
        let panics = matches!(self.case.panics, Panics::OutputDrop | Panics::FutureAndOutputDrop);
        Poll::Ready(Output { _guard: self.outputs.guard(), panics })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if matches!(
            self.case.panics,
            Panics::FutureDrop | Panics::PollAndFutureDrop | Panics::FutureAndOutputDrop
        ) {
            planned_panic();
        }
    }
}

fn waker(case: Case, wakers: &Tally) -> Waker {
    let guard = wakers.guard();
    let panics = case.panics == Panics::JoinWaker;
    hooked(Hooks {
        on_wake: Some(Box::new(move || {
            let _ = &guard;
            if panics {
                planned_panic();
            }
        })),
        ..Hooks::default()
    })
}

fn settle(rig: &mut Rig, case: Case) {
    if case.place == Place::Stolen && rig.workers() == 2 {
        while rig.tick(1) == Tick::Ran {}
    }
    rig.settle(&mut Dice::new(0));
}

fn check(case: Case) {
    let (futures, outputs, wakers) = (Tally::default(), Tally::default(), Tally::default());
    let mut rig = Rig::new(case.kind);
    rig.settle(&mut Dice::new(0));
    let (kept, waiting) = (Slot::default(), Slot::<JoinHandle<Output>>::default());
    let probe = Probe {
        _guard: futures.guard(),
        case,
        outputs: outputs.clone(),
        polls: 0,
        waker: Arc::clone(&kept),
        join: Arc::clone(&waiting),
    };
    let handle = rig.handle.clone();
    let mut join = match case.place {
        Place::Outside => handle.spawn(probe),
        Place::Inside => rig.inside(0, || handle.spawn(probe)),
        Place::Stolen => rig.inside(0, || {
            let join = handle.spawn(probe);
            // Pushes it out of the LIFO slot.
            drop(handle.spawn(async {}));
            join
        }),
    };
    let abort = join.abort_handle();
    let aborts = |moment| {
        if case.aborts(moment) {
            abort.abort();
        }
    };
    aborts(Abort::BeforeFirstPoll);
    if matches!(case.join, Join::Kept | Join::DroppedWaiting | Join::DroppedInside) {
        let waker = waker(case, &wakers);
        assert!(poll_join(&mut join, &waker).is_pending());
        assert!(poll_join(&mut join, &waker.clone()).is_pending());
        let another = self::waker(case, &wakers);
        assert!(poll_join(&mut join, &another).is_pending());
    }
    *waiting.lock().unwrap() = Some(join);
    let drop_join = |moment| {
        if case.join == moment {
            let join = waiting.lock().unwrap().take();
            drop(join);
        }
    };
    drop_join(Join::DroppedFirst);
    settle(&mut rig, case);
    aborts(Abort::WhileIdle);
    drop_join(Join::DroppedWhileIdle);
    drop_join(Join::DroppedWaiting);
    if case.abort == Abort::WhileIdle {
        settle(&mut rig, case);
    }
    if let Some(waker) = kept.lock().unwrap().take() {
        waker.wake();
    }
    aborts(Abort::WokenAgain);
    settle(&mut rig, case);
    aborts(Abort::Afterwards);
    assert!(abort.is_finished());
    futures.assert_even();
    if case.join == Join::DroppedLast {
        drop_join(Join::DroppedLast);
    } else if let Some(join) = waiting.lock().unwrap().take() {
        let end = match result(join) {
            Ok(output) => {
                let panics = output.panics;
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(output)));
                assert_eq!(dropped.is_err(), panics, "it is the caller's to drop");
                End::Output
            }
            Err(error) if error.is_cancelled() => End::Cancelled,
            Err(error) => {
                assert!(error.is_panic() && error.to_string().contains("planned"));
                End::Panicked
            }
        };
        assert_eq!(end, case.end(), "{case:?}");
    }
    outputs.assert_even();
    wakers.assert_even();
    rig.stop(&mut Dice::new(0));
}

/// Miri takes a second for some dozens.
const EVERY: usize = if cfg!(miri) { 29 } else { 1 };

#[test]
fn however_a_task_ends_everything_is_dropped_once() {
    let mut count = 0;
    for kind in Kind::ALL {
        for panics in PANICS {
            for abort in ABORTS {
                for join in JOINS {
                    for place in PLACES {
                        count += 1;
                        if usize::is_multiple_of(count, EVERY) {
                            let case = Case { kind, panics, abort, join, place };
                            no_leaks(|| check(case));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(count, 3 * 7 * 8 * 6 * 3);
}
