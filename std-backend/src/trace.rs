//! Tasks as spans of the `tracing` crate, named as `console-subscriber` expects them.
//!
//! | what | name and target | fields |
//! |---|---|---|
//! | a task, from the spawn to the drop of its future | span `runtime.spawn`, `tokio::task` | `kind`, `task.name`, `task.id`, `size.bytes`, `loc.file`, `loc.line`, `loc.col` |
//! | a poll, or the drop of the future | that span, entered | |
//! | a use of a task's waker | event, `tokio::task::waker` | `op`, `task.id`: the number of the *span* |
//!
//! The span is wrapped around the future, and the waker that the future sees around the task's own.
//! Where no subscriber wants the span, the future runs as it is.

use std::{
    future::Future,
    mem::ManuallyDrop,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

use jenny_core::{scheduler::Current, task::Spawned};
use tracing::{Instrument, instrument};

use crate::platform::AnyRuntime;

/// What a task runs on.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Any worker.
    Task,
    /// One thread.
    Local,
    /// A thread of the blocking pool.
    Blocking,
}

/// Wraps a span around the future of a task that is about to be spawned, and chooses the task's id.
pub(crate) fn instrument<F>(
    future: F,
    kind: Kind,
    spawned: Spawned<'_>,
) -> (Instrumented<F>, Spawned<'_>) {
    let id = Current::<AnyRuntime>::new_task_id(&AnyRuntime::new());
    // The target is a part of the span's static description.
    macro_rules! span {
        ($target:literal, $kind:literal) => {
            tracing::trace_span!(
                target: $target,
                // A task is no part of the one that spawned it: it may outlive it.
                parent: None,
                "runtime.spawn",
                kind = %$kind,
                task.name = %spawned.name().unwrap_or_default(),
                task.id = id.as_u64(),
                size.bytes = size_of::<F>(),
                loc.file = spawned.at().file(),
                loc.line = spawned.at().line(),
                loc.col = spawned.at().column(),
            )
        };
    }
    let span = match kind {
        Kind::Task => span!("tokio::task", "task"),
        Kind::Local => span!("tokio::task", "local"),
        Kind::Blocking => span!("tokio::task::blocking", "blocking"),
    };
    (Instrumented { future: future.instrument(span), waker: None }, spawned.with_id(id))
}

pin_project_lite::pin_project! {
    /// A future inside a span.
    pub(crate) struct Instrumented<F> {
        #[pin]
        future: instrument::Instrumented<F>,
        // Made at the first poll, and again if the waker changes.
        waker: Option<Arc<TracedWaker>>,
    }
}

impl<F> Instrumented<F> {
    /// Takes the future out, and ends the span.
    pub(crate) fn into_inner(self) -> F {
        self.future.into_inner()
    }
}

impl<F: Future> Future for Instrumented<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(id) = this.future.span().id() else { return this.future.poll(context) };
        if !this.waker.as_ref().is_some_and(|waker| waker.inner.will_wake(context.waker())) {
            let inner = context.waker().clone();
            *this.waker = Some(Arc::new(TracedWaker { inner, span: id.into_u64() }));
        }
        let waker = this.waker.as_ref().expect("made above").borrow();
        this.future.poll(&mut Context::from_waker(&waker))
    }
}

/// The waker of a task, and the span that its uses are reported for.
struct TracedWaker {
    inner: Waker,
    span: u64,
}

impl TracedWaker {
    /// A waker that counts no reference, and is not dropped.
    fn borrow(self: &Arc<Self>) -> ManuallyDrop<Waker> {
        let raw = RawWaker::new(Arc::as_ptr(self).cast(), &VTABLE);
        // SAFETY: the functions of VTABLE keep the contract of `RawWaker`: they are thread-safe, and
        // each waker but this one owns a reference. This one lives no longer than the borrowed `Arc`
        // and is never dropped.
        ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
    }

    fn report(&self, op: &'static str) {
        tracing::trace!(target: "tokio::task::waker", op = op, task.id = self.span);
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// # Safety
/// The pointer is the data of a live waker of VTABLE.
unsafe fn of<'a>(data: *const ()) -> &'a TracedWaker {
    // SAFETY: it came from an `Arc` that the waker owns or borrows.
    unsafe { &*data.cast::<TracedWaker>() }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called by a live waker, whose `Arc` the new one shares.
    unsafe {
        of(data).report("waker.clone");
        Arc::increment_strong_count(data.cast::<TracedWaker>());
    }
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called by a waker that gives up its reference here.
    let waker = unsafe { Arc::from_raw(data.cast::<TracedWaker>()) };
    waker.report("waker.wake");
    waker.inner.wake_by_ref();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called by a live waker.
    let waker = unsafe { of(data) };
    waker.report("waker.wake_by_ref");
    waker.inner.wake_by_ref();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: called by a waker that gives up its reference here.
    let waker = unsafe { Arc::from_raw(data.cast::<TracedWaker>()) };
    waker.report("waker.drop");
}
