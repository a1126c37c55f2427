//! Every panic × every fate of the handle × every moment of an abort, on every runtime.

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
    task::{JoinError, JoinHandle},
};

use crate::support::{on_every_runtime, wait_until};

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
    DroppedAfter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abort {
    Never,
    /// Before the first poll.
    Before,
    /// During a poll that returns `Pending`.
    During,
    /// Twice during a poll that returns `Ready` or panics: too late.
    DuringTheLast,
    After,
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
        let joins = [Join::Kept, Join::DroppedBefore, Join::DroppedAfter];
        let aborts =
            [Abort::Never, Abort::Before, Abort::During, Abort::DuringTheLast, Abort::After];
        panics.into_iter().flat_map(move |panic| {
            joins.into_iter().flat_map(move |join| {
                aborts.into_iter().map(move |abort| Self { panic, join, abort })
            })
        })
    }

    fn is_cancelled(self) -> bool {
        matches!(self.abort, Abort::Before | Abort::During)
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
        matches!(self.abort, Abort::During | Abort::DuringTheLast)
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
    in_poll: Sender<()>,
    go_on: Receiver<()>,
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
        if self.case.is_aborted_in_poll() {
            self.in_poll.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        if self.case.abort == Abort::During {
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

on_every_runtime! {
    fn each_ends_as_it_should(flavour: Flavour) {
        Case::all().for_each(|case| play(flavour, case));
    }
}

fn play(flavour: crate::support::Flavour, case: Case) {
    let runtime = flavour.build();
    let counts = Arc::new(Counts::default());
    let (in_poll, entered) = mpsc::channel();
    let (released, go_on) = mpsc::channel();
    let subject = Subject { case, counts: Arc::clone(&counts), in_poll, go_on };

    let occupied = flavour.occupy(runtime.handle());
    let join: JoinHandle<Output> = runtime.spawn(subject);
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
            if case.is_aborted_in_poll() {
                entered.recv().unwrap();
                abort.abort();
                if case.abort == Abort::DuringTheLast {
                    abort.abort();
                }
                assert!(!abort.is_finished(), "{case:?}");
                released.send(()).unwrap();
            }
            wait_until(|| abort.is_finished());
            if case.abort == Abort::After {
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
        // A runtime of one thread runs nothing without this.
        runtime.block_on(stopped).expect("a check has failed");
    });
    drop(runtime);
    assert_eq!(counts.polls.load(SeqCst), case.polls(), "polls of {case:?}");
    assert_eq!(counts.futures.load(SeqCst), 1, "drops of the future of {case:?}");
    assert_eq!(counts.outputs.load(SeqCst), case.outputs(), "drops of the output of {case:?}");
    // Whatever a handle still reaches is only the allocation.
    assert_eq!(Arc::strong_count(&counts), 1, "{case:?}");
}
