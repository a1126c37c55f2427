//! Every panic × every fate of the handle × every moment of an abort, on every runtime and in a
//! local set on each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{self, Receiver, Sender},
    },
    task::{Context, Poll},
    thread,
};

use jenny::{
    sync::oneshot,
    task::{JoinError, LocalSet},
};

use crate::support::{Flavour, on_every_runtime, wait_until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panic {
    Nowhere,
    InPoll,
    InDropOfFuture,
    InDropOfOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Kept,
    DroppedBefore,
    /// During a poll; of a task that is never polled, during the drop of its future.
    DroppedDuring,
    DroppedAfter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abort {
    Never,
    /// Before the first poll.
    Before,
    /// During a poll that returns `Pending`.
    During,
    /// During a poll that returns `Ready` or panics: too late.
    DuringTheLast,
    After,
    /// Twice, during a poll that returns `Pending`, and once more afterwards.
    Twice,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    panic: Panic,
    join: Join,
    abort: Abort,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Output,
    Cancelled,
    Panicked(Panic),
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        let panics = [Panic::Nowhere, Panic::InPoll, Panic::InDropOfFuture, Panic::InDropOfOutput];
        let joins = [Join::Kept, Join::DroppedBefore, Join::DroppedDuring, Join::DroppedAfter];
        let aborts = [
            Abort::Never,
            Abort::Before,
            Abort::During,
            Abort::DuringTheLast,
            Abort::After,
            Abort::Twice,
        ];
        panics.into_iter().flat_map(move |panic| {
            joins.into_iter().flat_map(move |join| {
                aborts.into_iter().map(move |abort| Self { panic, join, abort })
            })
        })
    }

    fn is_cancelled(self) -> bool {
        matches!(self.abort, Abort::Before | Abort::During | Abort::Twice)
    }

    fn end(self) -> End {
        match (self.panic, self.is_cancelled()) {
            (Panic::InDropOfFuture, _) => End::Panicked(self.panic),
            (_, true) => End::Cancelled,
            (Panic::InPoll, false) => End::Panicked(self.panic),
            _ => End::Output,
        }
    }

    fn polls(self) -> usize {
        usize::from(self.abort != Abort::Before)
    }

    /// Also the output of a task whose future then panics in its drop has to go.
    fn outputs(self) -> usize {
        usize::from(self.panic != Panic::InPoll && !self.is_cancelled())
    }

    fn is_aborted_in_poll(self) -> bool {
        matches!(self.abort, Abort::During | Abort::DuringTheLast | Abort::Twice)
    }

    /// Whether the other thread does something while the task is being polled or dropped.
    fn is_met(self) -> bool {
        self.is_aborted_in_poll() || self.join == Join::DroppedDuring
    }
}

#[derive(Default)]
struct Counts {
    polls: AtomicUsize,
    futures: AtomicUsize,
    outputs: AtomicUsize,
}

struct Subject {
    case: Case,
    counts: Arc<Counts>,
    entered: Sender<()>,
    go_on: Receiver<()>,
}

impl Subject {
    /// Lets the other thread do its part, once.
    fn meet(&self) {
        if self.case.is_met() {
            self.entered.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
    }
}

struct Output {
    case: Case,
    counts: Arc<Counts>,
}

/// A panic that prints nothing.
fn panic_with(panic: Panic) -> ! {
    resume_unwind(Box::new(panic))
}

impl Future for Subject {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Output> {
        self.counts.polls.fetch_add(1, SeqCst);
        self.meet();
        if self.case.is_cancelled() {
            return Poll::Pending;
        }
        if self.case.panic == Panic::InPoll {
            panic_with(Panic::InPoll);
        }
        Poll::Ready(Output { case: self.case, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if self.case.polls() == 0 {
            self.meet();
        }
        self.counts.futures.fetch_add(1, SeqCst);
        if self.case.panic == Panic::InDropOfFuture {
            panic_with(Panic::InDropOfFuture);
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.counts.outputs.fetch_add(1, SeqCst);
        if self.case.panic == Panic::InDropOfOutput {
            panic_with(Panic::InDropOfOutput);
        }
    }
}

fn end_of(case: Case, result: Result<Output, JoinError>) -> End {
    match result {
        Ok(output) => {
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(output)));
            assert_eq!(dropped.is_err(), case.panic == Panic::InDropOfOutput, "{case:?}");
            End::Output
        }
        Err(error) if error.is_cancelled() => End::Cancelled,
        Err(error) => End::Panicked(*error.into_panic().downcast().unwrap()),
    }
}

/// What the task is spawned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Runtime,
    LocalSet,
}

on_every_runtime! {
    fn each_ends_as_it_should(flavour: Flavour) {
        Case::all().for_each(|case| play(flavour, Place::Runtime, case));
    }

    fn each_ends_as_it_should_in_a_local_set(flavour: Flavour) {
        Case::all().for_each(|case| play(flavour, Place::LocalSet, case));
    }
}

fn play(flavour: Flavour, place: Place, case: Case) {
    let (runtime, set) = (flavour.build(), LocalSet::new());
    let counts = Arc::new(Counts::default());
    let (entered, is_entered) = mpsc::channel();
    let (release, go_on) = mpsc::channel();
    let subject = Subject { case, counts: Arc::clone(&counts), entered, go_on };

    let occupied = flavour.occupy(runtime.handle());
    let join = match place {
        Place::Runtime => runtime.spawn(subject),
        Place::LocalSet => set.spawn_local(subject),
    };
    let abort = join.abort_handle();
    let mut join = Some(join);
    if case.abort == Abort::Before {
        abort.abort();
    }
    if case.join == Join::DroppedBefore {
        join = None;
    }
    drop(occupied);

    let (stop, stopped) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let (handle, counts) = (runtime.handle().clone(), &counts);
        scope.spawn(move || {
            if case.is_met() {
                is_entered.recv().unwrap();
                if case.is_aborted_in_poll() {
                    abort.abort();
                }
                if case.abort == Abort::Twice {
                    abort.abort();
                }
                if case.join == Join::DroppedDuring {
                    join = None;
                }
                assert!(!abort.is_finished(), "{case:?}");
                release.send(()).unwrap();
            }
            wait_until(|| abort.is_finished());
            if matches!(case.abort, Abort::After | Abort::Twice) {
                abort.abort();
            }
            if case.join == Join::DroppedAfter {
                join = None;
            }
            if let Some(join) = join {
                let result = handle.block_on(join);
                assert_eq!(end_of(case, result), case.end(), "{case:?}");
            }
            // Without a handle the output goes after the task is finished.
            wait_until(|| counts.outputs.load(SeqCst) == case.outputs());
            stop.send(()).unwrap();
        });
        // Neither a local set nor a runtime of one thread runs anything without this.
        runtime.block_on(set.run_until(stopped)).expect("a check has failed");
    });
    drop(set);
    drop(runtime);
    assert_eq!(counts.polls.load(SeqCst), case.polls(), "polls of {case:?}");
    assert_eq!(counts.futures.load(SeqCst), 1, "drops of the future of {case:?}");
    assert_eq!(counts.outputs.load(SeqCst), case.outputs(), "drops of the output of {case:?}");
    // Whatever a handle still reaches is only the allocation.
    assert_eq!(Arc::strong_count(&counts), 1, "{case:?}");
}
