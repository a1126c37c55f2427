//! The task system, with a queue in the place of a scheduler.

mod abort;
mod join;
mod references;
mod wake;

use std::{
    array,
    cell::Cell,
    future::Future,
    pin::Pin,
    ptr::NonNull,
    sync::{
        Arc as StdArc, Mutex as StdMutex,
        atomic::{AtomicUsize as Count, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use jenny_core::{
    queue::Inbox,
    scheduler::Current,
    task::{self, JoinError, JoinHandle, Outcome, OwnedRef, Runnable, Schedule, Spawned},
};
use loom::{
    alloc::Track,
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    harness::{Bounds, check},
    platform::Modelled,
};

loom::thread_local! {
    static IS_LOCAL: Cell<bool> = Cell::new(false);
}

/// A scheduler that only queues: whoever likes runs what is queued, on whatever thread. The cells
/// are counted by loom's `Arc`, which reports a leak.
pub(crate) struct Queue {
    tasks: Inbox<Runnable>,
    platform: Modelled,
    /// Read by who schedules and written by who frees, so that loom sees whether the one comes before
    /// the other. A queue has one task at a time.
    uses: UnsafeCell<()>,
    /// A task that is joined gives up the list's reference as it completes.
    disowns: bool,
}

// SAFETY: the cell holds no value; loom is to see every access.
unsafe impl Sync for Queue {}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Self::that_disowns(false)
    }

    fn that_disowns(disowns: bool) -> Arc<Self> {
        Arc::new(Self {
            tasks: Inbox::new(),
            platform: Modelled::new(0),
            uses: UnsafeCell::new(()),
            disowns,
        })
    }
}

/// Makes a task of this queue's. Nobody has queued it yet.
#[track_caller]
pub(crate) fn spawn<F>(queue: &Arc<Queue>, future: F) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let counted = NonNull::new(Arc::into_raw(Arc::clone(queue)).cast_mut()).unwrap();
    let id = Current::new_task_id(&queue.platform);
    // SAFETY: the count was taken; future and output are `Send` and `'static`.
    unsafe { task::new(future, counted, id, Spawned::here()) }
}

impl Queue {
    /// Takes what is queued.
    pub(crate) fn take(&self) -> impl Iterator<Item = Runnable> {
        self.tasks.drain().into_batch()
    }

    /// Runs what is queued.
    fn run(&self) {
        self.take().for_each(run);
    }
}

/// Makes the calling thread every queue's own.
fn become_local() {
    IS_LOCAL.with(|is_local| is_local.set(true));
}

// SAFETY: a queued Runnable is kept until it is taken; all futures are `Send`; the cells are
// counted by the `Arc`.
unsafe impl Schedule for Queue {
    type Platform = Modelled;

    unsafe fn schedule(this: NonNull<Self>, task: Runnable) {
        // SAFETY: the caller keeps the queue alive until this returns.
        let this = unsafe { this.as_ref() };
        let pushed = this.tasks.push(task);
        this.uses.with(|_| ());
        assert!(pushed.is_ok(), "the queue is never closed");
    }

    unsafe fn disown(this: NonNull<Self>, _: &Runnable) -> bool {
        // SAFETY: the caller keeps the queue alive until this returns.
        unsafe { this.as_ref() }.disowns
    }

    unsafe fn retire(_: NonNull<Self>, done: OwnedRef) {
        drop(done);
    }

    fn is_local(_: NonNull<Self>) -> bool {
        IS_LOCAL.with(Cell::get)
    }

    unsafe fn release(this: NonNull<Self>, place: task::Place) {
        drop(place);
        // SAFETY: the count was the cell's, and came from `into_raw`.
        let this = unsafe { Arc::from_raw(this.as_ptr().cast_const()) };
        this.uses.with_mut(|_| ());
    }

    fn charge() -> bool {
        true
    }
}

/// Runs a task until it waits or is done.
pub(crate) fn run_until_idle(mut task: Runnable) -> Option<OwnedRef> {
    loop {
        match task.run() {
            Outcome::Idle | Outcome::Left => return None,
            Outcome::Again(again) => task = again,
            Outcome::Done(done) => return Some(done),
        }
    }
}

fn run(task: Runnable) {
    drop(run_until_idle(task));
}

/// An output whose leak loom reports.
pub(crate) type Output = Track<()>;

/// What another thread tells a task before it wakes it. Relaxed: the wake has to order it.
#[derive(Clone)]
pub(crate) struct Announcement(StdArc<AtomicBool>);

impl Announcement {
    pub(crate) fn make(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_made(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Where a future leaves its waker. No part of any model, so it is std's.
#[derive(Clone, Default)]
pub(crate) struct Place(StdArc<StdMutex<Option<Waker>>>);

impl Place {
    pub(crate) fn take(&self) -> Waker {
        self.0.lock().unwrap().take().expect("the first poll leaves the waker")
    }
}

/// A future that waits for announcements. Its first poll leaves the waker, and never another.
pub(crate) struct Waits<const N: usize> {
    announcements: [Announcement; N],
    waker: Option<Place>,
    _leak_check: Track<()>,
}

impl<const N: usize> Waits<N> {
    pub(crate) fn new() -> (Self, [Announcement; N], Place) {
        let announcements = array::from_fn(|_| Announcement(StdArc::default()));
        let place = Place::default();
        let future = Self {
            announcements: announcements.clone(),
            waker: Some(place.clone()),
            _leak_check: Track::new(()),
        };
        (future, announcements, place)
    }
}

impl<const N: usize> Future for Waits<N> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        if let Some(place) = self.waker.take() {
            *place.0.lock().unwrap() = Some(context.waker().clone());
            return Poll::Pending;
        }
        // All are read, whatever the first says.
        if self.announcements.each_ref().map(Announcement::is_made) == [true; N] {
            Poll::Ready(Track::new(()))
        } else {
            Poll::Pending
        }
    }
}

/// A task that waits for announcements, after its first poll.
pub(crate) struct Asleep<const N: usize> {
    pub(crate) announcements: [Announcement; N],
    pub(crate) waker: Waker,
    pub(crate) join: JoinHandle<Output>,
}

pub(crate) fn spawn_asleep<const N: usize>(queue: &Arc<Queue>) -> Asleep<N> {
    let (future, announcements, place) = Waits::new();
    let (task, join) = spawn(queue, future);
    assert!(matches!(task.run(), Outcome::Idle));
    Asleep { announcements, waker: place.take(), join }
}

/// A future that is ready at its first poll.
pub(crate) fn ready() -> impl Future<Output = Output> + Send + 'static {
    let leak_check = Track::new(());
    async move {
        drop(leak_check);
        Track::new(())
    }
}

fn spawn_ready(queue: &Arc<Queue>) -> (Runnable, JoinHandle<Output>) {
    spawn(queue, ready())
}

/// Loom does not try the other order of a load and a write if the writer has loaded, too. Called
/// by both threads, this makes it try which of them comes first.
struct Start(AtomicUsize);

impl Start {
    fn new() -> StdArc<Self> {
        StdArc::new(Self(AtomicUsize::new(0)))
    }

    fn race(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Whoever awaits a `JoinHandle`: counts how often it is woken.
struct Joiner {
    wakes: Count,
    _leak_check: Track<()>,
}

impl Joiner {
    fn new() -> (StdArc<Self>, Waker) {
        let joiner = StdArc::new(Self { wakes: Count::new(0), _leak_check: Track::new(()) });
        let waker = Waker::from(StdArc::clone(&joiner));
        (joiner, waker)
    }

    fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }
}

impl Wake for Joiner {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
    }
}

/// Polls a handle once.
fn poll<T>(join: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(join).poll(&mut Context::from_waker(waker))
}

/// Checks a model of a task that belongs to a list until it has ended, and of one that leaves the list as
/// it ends.
fn check_both(
    name: &str,
    bounds: Bounds,
    model: impl Fn(Arc<Queue>) + Copy + Send + Sync + 'static,
) {
    for (list, disowns) in [("", false), (", which leaves its list", true)] {
        check(&format!("{name}{list}"), bounds, move || model(Queue::that_disowns(disowns)));
    }
}

/// What a handle gives when its task is complete.
pub(crate) fn result<T>(mut join: JoinHandle<T>) -> Result<T, JoinError> {
    match poll(&mut join, Waker::noop()) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the task is not complete"),
    }
}
