//! Tasks as spans: what `console-subscriber` reads.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, mpsc},
    task::{Poll, Waker},
    thread,
};

use ::tracing::{
    Dispatch, Event, Metadata, Subscriber, dispatcher,
    field::{Field, Visit},
    span,
};
use jenny::{
    runtime::Runtime,
    task::{self, LocalSet, yield_now},
};

use crate::support::{Flavour, on_every_runtime, wait_until};

type Fields = BTreeMap<&'static str, String>;

/// What a subscriber was told.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    New(u64, &'static str, &'static str, Fields),
    Enter(u64),
    Exit(u64),
    Close(u64),
    Event(&'static str, Fields),
}

/// Writes down everything about tasks.
#[derive(Clone, Default)]
struct Scribe {
    told: Arc<Mutex<Vec<Told>>>,
    /// How many handles there are to each span.
    handles: Arc<Mutex<BTreeMap<u64, usize>>>,
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tokio::task")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut handles = self.handles.lock().unwrap();
        let id = handles.len() as u64 + 1;
        handles.insert(id, 1);
        let mut fields = Fields::new();
        attributes.record(&mut Reader(&mut fields));
        assert!(attributes.is_root(), "a task is no part of the one that spawned it");
        let metadata = attributes.metadata();
        self.tell(Told::New(id, metadata.name(), metadata.target(), fields));
        span::Id::from_u64(id)
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        *self.handles.lock().unwrap().get_mut(&id.into_u64()).unwrap() += 1;
        id.clone()
    }

    fn try_close(&self, id: span::Id) -> bool {
        let mut handles = self.handles.lock().unwrap();
        let left = handles.get_mut(&id.into_u64()).unwrap();
        *left -= 1;
        let closed = *left == 0;
        if closed {
            self.tell(Told::Close(id.into_u64()));
        }
        closed
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        self.tell(Told::Event(event.metadata().target(), fields));
    }

    fn enter(&self, id: &span::Id) {
        self.tell(Told::Enter(id.into_u64()));
    }

    fn exit(&self, id: &span::Id) {
        self.tell(Told::Exit(id.into_u64()));
    }
}

impl Scribe {
    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The span of the task with this id: its number, its target and its fields.
    fn span_of(&self, task: task::Id) -> (u64, &'static str, Fields) {
        let task = task.to_string();
        let mut spans = self.told().into_iter().filter_map(|told| match told {
            Told::New(id, "runtime.spawn", target, fields) if fields["task.id"] == task => {
                Some((id, target, fields))
            }
            _ => None,
        });
        let span = spans.next().expect("the task has a span");
        assert!(spans.next().is_none(), "and only one");
        span
    }

    /// What happened to a span after it was made, in short. Wakes may come from anywhere.
    fn story(&self, span: u64) -> Vec<String> {
        let of_span = |told| match told {
            Told::Enter(id) if id == span => Some("enter".into()),
            Told::Exit(id) if id == span => Some("exit".into()),
            Told::Close(id) if id == span => Some("close".into()),
            Told::Event("tokio::task::waker", fields) => {
                (fields["task.id"] == span.to_string()).then(|| fields["op"].clone())
            }
            _ => None,
        };
        self.told().into_iter().filter_map(of_span).collect()
    }
}

/// Does something when it first hears of a job of the blocking pool.
struct Rude(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Subscriber for Rude {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tokio::task::blocking"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        let act = self.0.lock().unwrap().take();
        act.into_iter().for_each(|act| act());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Runs the closure, and what a subscriber does when it hears of the first job that it spawns.
fn interrupted<R>(act: impl FnOnce() + Send + 'static, spawn: impl FnOnce() -> R) -> R {
    let rude = Rude(Mutex::new(Some(Box::new(act))));
    dispatcher::with_default(&Dispatch::new(rude), spawn)
}

/// A runtime on whose threads, and on this one, the scribe listens.
fn listened(flavour: Flavour) -> (Runtime, Scribe, dispatcher::DefaultGuard) {
    let scribe = Scribe::default();
    let dispatch = Dispatch::new(scribe.clone());
    let here = dispatcher::set_default(&dispatch);
    let runtime = flavour
        .builder()
        .on_thread_start(move || {
            // Until the thread ends.
            std::mem::forget(dispatcher::set_default(&dispatch));
        })
        .build()
        .unwrap();
    (runtime, scribe, here)
}

fn expected(fields: &Fields, kind: &str, name: &str, line: u32) {
    let field = |name| fields[name].as_str();
    assert_eq!((field("kind"), field("task.name")), (kind, name));
    assert_eq!((field("loc.file"), field("loc.line")), (file!(), line.to_string().as_str()));
    assert!(field("loc.col").parse::<u32>().unwrap() > 0);
    assert!(field("size.bytes").parse::<usize>().is_ok());
}

fn future_of<const SIZE: usize>() -> impl Future<Output = ()> + Send {
    let bytes = [0_u8; SIZE];
    poll_fn(move |_| {
        assert_eq!(bytes[0], 0);
        Poll::Ready(())
    })
}

/// A poll, the drop of the future, the end of the span.
const POLLED_ONCE: [&str; 5] = ["enter", "exit", "enter", "exit", "close"];

on_every_runtime! {
    fn a_task_is_a_span_that_each_poll_enters_and_the_drop_of_its_future(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let (id, line) = runtime.block_on(async {
            let builder = task::Builder::new().name("weaver");
            let task = builder
                .spawn(async {
                    yield_now().await;
                    yield_now().await;
                })
                .unwrap();
            let line = line!() - 5;
            let id = task.id();
            task.await.unwrap();
            (id, line)
        });
        let (span, target, fields) = scribe.span_of(id);
        assert_eq!(target, "tokio::task");
        expected(&fields, "task", "weaver", line);
        let poll = ["enter", "waker.wake_by_ref", "exit"];
        assert_eq!(scribe.story(span), [&poll[..], &poll, &POLLED_ONCE].concat());
    }

    fn a_task_without_a_name_says_so_by_an_empty_one(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let line = line!() + 1;
        let task = runtime.spawn(async {});
        let id = task.id();
        runtime.block_on(task).unwrap();
        expected(&scribe.span_of(id).2, "task", "", line);
    }

    /// Also that of one which travels in a box.
    fn the_size_is_that_of_the_future_as_it_was_written(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let tasks = [
            (runtime.spawn(future_of::<100>()), "100"),
            (runtime.spawn(future_of::<100_000>()), "100000"),
        ];
        for (task, size) in tasks {
            let id = task.id();
            runtime.block_on(task).unwrap();
            assert_eq!(scribe.span_of(id).2["size.bytes"], size);
        }
    }

    fn the_uses_of_a_waker_are_events(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let (give, given) = mpsc::channel::<Waker>();
        let mut polls = 0;
        let task = runtime.spawn(poll_fn(move |context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            assert!(context.waker().will_wake(&context.waker().clone()), "a clone and a drop");
            give.send(context.waker().clone()).unwrap();
            Poll::Pending
        }));
        let id = task.id();
        let dispatch = Dispatch::new(scribe.clone());
        let waker = thread::spawn({
            let scribe = scribe.clone();
            move || {
                let waker = given.recv().unwrap();
                let span = scribe.span_of(id).0;
                wait_until(|| scribe.story(span).last().is_some_and(|told| told == "exit"));
                dispatcher::with_default(&dispatch, || waker.wake());
            }
        });
        runtime.block_on(task).unwrap();
        waker.join().unwrap();
        let story = scribe.story(scribe.span_of(id).0);
        assert_eq!(
            story,
            [
                "enter", "waker.clone", "waker.drop", "waker.clone", "exit", "waker.wake", "enter",
                "exit", "enter", "exit", "close",
            ]
        );
    }

    fn an_aborted_task_ends_its_span(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let task = runtime.spawn(std::future::pending::<()>());
        let id = task.id();
        task.abort();
        runtime.block_on(task).unwrap_err();
        let story = scribe.story(scribe.span_of(id).0);
        assert!(story.ends_with(&["enter", "exit", "close"].map(String::from)), "{story:?}");
    }

    fn a_blocking_job_is_a_span_that_its_call_enters(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let line = line!() + 1;
        let job = runtime.spawn_blocking(task::id);
        let id = job.id();
        assert_eq!(runtime.block_on(job).unwrap(), id, "the span's id is the task's");
        let (span, target, fields) = scribe.span_of(id);
        assert_eq!(target, "tokio::task::blocking");
        expected(&fields, "blocking", "", line);
        assert_eq!(scribe.story(span), POLLED_ONCE);
    }

    fn a_local_task_says_that_it_is_one(flavour: Flavour) {
        let (runtime, scribe, _here) = listened(flavour);
        let set = LocalSet::new();
        let line = line!() + 1;
        let task = set.spawn_local(async {});
        let id = task.id();
        runtime.block_on(set.run_until(task)).unwrap();
        let (span, _, fields) = scribe.span_of(id);
        expected(&fields, "local", "", line);
        assert_eq!(scribe.story(span), POLLED_ONCE);
    }

    fn a_subscriber_that_panics_takes_no_thread_of_the_pool_with_it(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async { task::spawn_blocking(|| ()).await.unwrap() });
        wait_until(|| runtime.metrics().num_idle_blocking_threads() == 1);
        let spawned = catch_unwind(AssertUnwindSafe(|| {
            interrupted(|| resume_unwind(Box::new("rude")), || runtime.try_spawn_blocking(|| ()))
        }));
        assert!(spawned.is_err());
        assert_eq!(runtime.metrics().num_idle_blocking_threads(), 1);
    }

    fn a_subscriber_may_spawn_while_a_job_is_spawned(flavour: Flavour) {
        let runtime = flavour.build();
        let (handle, (done, is_done)) = (runtime.handle().clone(), mpsc::channel());
        let act = move || drop(handle.spawn_blocking(move || done.send(()).unwrap()));
        let job = interrupted(act, || runtime.try_spawn_blocking(|| 42)).unwrap();
        assert_eq!(runtime.block_on(job).unwrap(), 42);
        is_done.recv().unwrap();
    }
}
