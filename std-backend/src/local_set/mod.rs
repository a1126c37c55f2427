//! A scheduler that is polled as a future: what `task::LocalSet` is made of.
//!
//! [`Set`] owns the worker of a local scheduler. Nobody but a poll of the set runs its tasks, so a
//! worker that sleeps is a set that is not polled, and its [`Unpark`](jenny_core::platform::Unpark)
//! wakes the [hosts]: the tasks or `block_on` futures that polled the set last.
//!
//! # No wake is lost
//! A poll registers its waker first and ticks then. What was published before the tick said
//! [`Tick::Idle`] has been run; whoever publishes later sees a worker that sleeps
//! (`jenny_core`'s scheduler/README.md), unparks it, and so wakes the waker that was registered
//! before. If the tick says [`Tick::Ran`] instead, the host is woken at once.
//!
//! # The end
//! A set is dropped by its own thread, so nobody polls it any more: [`Set::shut_down`] takes the
//! place of the hosts, with a waker that unparks the thread, and ticks until the scheduler has
//! stopped. It sleeps only while a foreign waker has made the right to run a task and has not yet
//! pushed it; that push finds the worker asleep and wakes the thread. Only the owner drops futures.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::{
    cell::Cell,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use jenny_core::{
    platform::Platform,
    scheduler::{
        Current, Tick,
        local::{self, Config, Entered, Handle, Worker},
    },
    task::{Observer, TaskMeta},
};

use crate::{
    park::block_on_waker,
    primitives::{Arc, AtomicBool, Ordering},
};

mod hosts;

use self::hosts::Hosts;
pub use self::hosts::{Audience, UnparkHosts};

/// A local scheduler without a thread of its own.
pub struct Set<P: Platform<Unpark = UnparkHosts>> {
    worker: Worker<P>,
    handle: Handle<P>,
    hosts: Arc<Hosts>,
    /// The set itself is awaited, as a future.
    awaited: Cell<bool>,
    /// The last tick has left work behind.
    cut_short: Cell<bool>,
    /// Whether a task has panicked, if that is to end the set.
    panicked: Option<Arc<AtomicBool>>,
}

impl<P: Platform<Unpark = UnparkHosts>> Set<P> {
    /// Makes an empty set.
    pub fn new(platform: P) -> Self {
        Self::with(platform, None)
    }

    /// Makes an empty set that stops running tasks when one of them panics.
    pub fn ending_on_panic(platform: P) -> Self {
        Self::with(platform, Some(Arc::new(AtomicBool::new(false))))
    }

    fn with(platform: P, panicked: Option<Arc<AtomicBool>>) -> Self {
        let hosts = Arc::new(Hosts::default());
        let mut config = Config::default();
        if let Some(panicked) = &panicked {
            config.observer = Some(Box::new(Panics::<P>(Arc::clone(panicked), PhantomData)));
        }
        let (handle, worker) = local::new(platform, UnparkHosts::new(&hosts), config);
        let (awaited, cut_short) = (Cell::new(false), Cell::new(false));
        Self { worker, handle, hosts, awaited, cut_short, panicked }
    }

    /// Spawns on this set.
    pub fn handle(&self) -> &Handle<P> {
        &self.handle
    }

    /// Runs tasks, no more than one tick's worth. Ready when there is none left.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.hosts.register(context.waker());
        self.worker.enter(|worker| {
            let tick = worker.tick();
            let is_empty = self.is_empty_inside(worker);
            self.set_awaited(!is_empty);
            if is_empty {
                self.hosts.leave(context.waker());
                return Poll::Ready(());
            }
            self.go_on(tick, context);
            Poll::Pending
        })
    }

    fn set_awaited(&self, awaited: bool) {
        if self.awaited.replace(awaited) != awaited {
            if awaited { self.hosts.arrive() } else { self.hosts.depart() }
        }
    }

    /// Polls a future of a host and, if it waits, runs tasks, no more than one tick's worth.
    pub fn poll_beside<'a, F: Future>(
        &'a self,
        host: &mut Host<'a, P>,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        if self.handle.is_entered() {
            // Inside one of the set's own tasks: the others are run by the tick that polls it.
            return future.poll(context);
        }
        host.arrive(self);
        self.hosts.register(context.waker());
        self.worker.enter(|worker: &Entered<'_, P>| {
            let polled = worker.as_host(|| future.poll(context));
            if polled.is_ready() {
                self.hosts.leave(context.waker());
            } else {
                self.go_on(worker.tick(), context);
            }
            polled
        })
    }

    /// Sees to it that a host comes back for the rest.
    fn go_on(&self, tick: Tick, context: &Context<'_>) {
        self.cut_short.set(tick == Tick::Ran);
        if tick == Tick::Ran {
            context.waker().wake_by_ref();
        }
    }

    /// Whether the last poll ended because it had run enough tasks, not because there were no more.
    pub fn was_cut_short(&self) -> bool {
        self.cut_short.get()
    }

    /// Whether no task is alive.
    pub fn is_empty(&self) -> bool {
        self.worker.enter(|worker| self.is_empty_inside(worker))
    }

    fn is_empty_inside(&self, worker: &Entered<'_, P>) -> bool {
        self.worker.tasks() == 0 && !worker.has_work()
    }

    /// Whether a task has panicked, if that is to end the set.
    pub fn has_panicked(&self) -> bool {
        // Ordering: Relaxed; it is set by the thread of the set.
        self.panicked.as_ref().is_some_and(|panicked| panicked.load(Ordering::Relaxed))
    }

    /// Tells whether somebody polls this set.
    pub fn audience(&self) -> Audience {
        Audience::of(&self.hosts)
    }

    /// Cancels all tasks, on this thread. Nobody polls the set again.
    pub fn shut_down(&self) {
        self.hosts.forget();
        self.handle.close();
        let (mut parker, waker) = block_on_waker();
        self.worker.enter(|worker| {
            loop {
                self.hosts.register(&waker);
                match worker.tick() {
                    Tick::Ran | Tick::HandedOff => {}
                    Tick::Idle => parker.park(),
                    Tick::Stopped => break,
                }
            }
        });
        self.hosts.forget();
    }
}

/// One of maybe several futures that poll a set. When it is gone, the others go on without it.
pub struct Host<'a, P: Platform<Unpark = UnparkHosts>>(Option<&'a Set<P>>);

impl<'a, P: Platform<Unpark = UnparkHosts>> Host<'a, P> {
    /// One that has not polled yet.
    pub const fn new() -> Self {
        Self(None)
    }

    #[inline]
    fn arrive(&mut self, set: &'a Set<P>) {
        if self.0.is_none() {
            self.0 = Some(set);
            set.hosts.arrive();
        }
    }
}

impl<P: Platform<Unpark = UnparkHosts>> Drop for Host<'_, P> {
    fn drop(&mut self) {
        if let Some(Set { hosts, .. }) = self.0 {
            hosts.depart();
            hosts.wake();
        }
    }
}

/// Takes note of a panic, after which no task shall run.
struct Panics<P>(Arc<AtomicBool>, PhantomData<fn(P)>);

impl<P: Platform> Observer for Panics<P> {
    fn panicked(&self, _: &TaskMeta<'_>) {
        self.0.store(true, Ordering::Relaxed);
        Current::<P>::end_tick();
    }
}

impl<P: Platform<Unpark = UnparkHosts>> fmt::Debug for Set<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl<P: Platform<Unpark = UnparkHosts>> fmt::Debug for Host<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("polls", &self.0.is_some()).finish()
    }
}
