//! The local scheduler inside `block_on`.
//!
//! There is one core: the worker and its parker. Whoever calls `block_on` takes it, runs tasks and
//! turns the driver until its own future is ready, and puts it back. Others that call `block_on`
//! meanwhile wait for their futures, and one of them inherits the core.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use jenny_core::{
    platform::Unpark,
    scheduler::{Tick, local},
};

use super::{hooks::Hooks, stop::stop, timing::LoopTimers};
use crate::{
    context::{self, RuntimeDriver, RuntimePlatform},
    park::{Parker, Rush, SharedDriver, Unparker, block_on_waker},
    stats::Stats,
};

/// How often the future of `block_on` may go next before driver and timers have a turn.
const ROOT_POLLS_PER_TURN: u32 = 31;

/// The core of a current-thread runtime, and those who wait for it.
pub(super) struct CurrentThread {
    place: Mutex<Place>,
    scheduler: local::Handle<RuntimePlatform>,
    driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
    hooks: Hooks,
    /// Set by the first task that panics, if that ends the runtime.
    panicked: Option<Arc<AtomicBool>>,
    timers: LoopTimers,
}

struct Place {
    core: Option<Box<Core>>,
    /// Threads in `block_on` without the core. All are woken when it is put back, and those that do
    /// not get it come again.
    waiting: Vec<Waker>,
}

struct Core {
    worker: local::Worker<RuntimePlatform>,
    parker: Parker<RuntimeDriver>,
    root: Arc<Root>,
}

/// The waker of the `block_on` future that has the core.
struct Root {
    /// Woken by another thread.
    woken: AtomicBool,
    /// Woken by the thread that has the core, which alone touches this.
    woken_here: AtomicBool,
    handle: local::Handle<RuntimePlatform>,
    unparker: Unparker<RuntimeDriver>,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The first wake ends the tick: the future goes next, like a task that was woken. One that has
        // woken itself, before the tick, lets the others go first.
        let is_here = if self.woken_here.load(Ordering::Relaxed) {
            self.handle.is_entered()
        } else {
            self.handle.end_tick()
        };
        if is_here {
            // The core's own thread looks at the flag before it parks.
            self.woken_here.store(true, Ordering::Relaxed);
            return;
        }
        // Ordering: Release; pairs with the Acquire of `take_wakes`. A swap, since a store would
        // end the release sequence of a wake before it, and the poll could miss what that one
        // wrote.
        self.woken.swap(true, Ordering::Release);
        self.unparker.unpark();
    }
}

/// For the thread that has the core.
impl Root {
    fn is_woken(&self) -> bool {
        self.woken_here.load(Ordering::Relaxed) || self.woken.load(Ordering::Relaxed)
    }

    /// Whether the future has been woken since the last call.
    fn take_wakes(&self) -> bool {
        let here = self.woken_here.load(Ordering::Relaxed);
        self.woken_here.store(false, Ordering::Relaxed);
        // Ordering: Acquire; pairs with the Release of each wake.
        let elsewhere =
            self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::Acquire);
        here || elsewhere
    }
}

impl CurrentThread {
    pub(super) fn new(
        worker: local::Worker<RuntimePlatform>,
        parker: Parker<RuntimeDriver>,
        driver: crate::primitives::Arc<SharedDriver<RuntimeDriver>>,
        hooks: Hooks,
        panicked: Option<Arc<AtomicBool>>,
        timers: LoopTimers,
    ) -> Self {
        let scheduler = worker.handle();
        let root = Arc::new(Root {
            woken: AtomicBool::new(false),
            woken_here: AtomicBool::new(false),
            handle: scheduler.clone(),
            unparker: parker.unparker(),
        });
        let core = Some(Box::new(Core { worker, parker, root }));
        let place = Mutex::new(Place { core, waiting: Vec::new() });
        Self { place, scheduler, driver, hooks, panicked, timers }
    }

    #[track_caller]
    pub(super) fn block_on<F: Future>(&self, future: F, stats: &Stats) -> F::Output {
        let mut future = pin!(future);
        loop {
            if let Some(mut core) = self.take() {
                let output = core.run(future, stats);
                // Whoever waits for the core has to hear of the panic, too.
                drop(core);
                return match output {
                    Some(output) => output,
                    None => panic!(
                        "a task has panicked, and `unhandled_panic` says that this ends the runtime"
                    ),
                };
            }
            // Another thread has the core. Wait for the future, or for the core.
            let (mut parker, waker) = block_on_waker();
            let mut context = Context::from_waker(&waker);
            let polled = stats.poll_root(future.as_mut(), &mut context);
            if let Poll::Ready(output) = polled {
                return output;
            }
            if self.wait_for_core(&waker) {
                parker.park();
            }
        }
    }

    #[inline]
    fn has_panicked(&self) -> bool {
        // Ordering: Relaxed; it is set by the thread that has the core.
        self.panicked.as_ref().is_some_and(|panicked| panicked.load(Ordering::Relaxed))
    }

    /// False if the core is there.
    fn wait_for_core(&self, waker: &Waker) -> bool {
        let mut place = self.lock();
        if place.core.is_some() {
            return false;
        }
        place.waiting.retain(|waiting| !waiting.will_wake(waker));
        place.waiting.push(waker.clone());
        true
    }

    fn take(&self) -> Option<Taken<'_>> {
        let core = self.lock().core.take()?;
        Some(Taken { core: Some(core), home: self })
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels all tasks, on this thread. The runtime is going away, so nobody else has the core.
    pub(super) fn shutdown(&self) {
        self.scheduler.close();
        let Some(mut taken) = self.take() else { return };
        let Core { worker, parker, .. } = taken.core();
        worker.enter(|worker| stop(worker, parker));
        // Nobody shall find it again.
        drop(taken.core.take());
        self.driver.shutdown();
        self.timers.close();
    }
}

/// The core, on loan. It goes home also when the future panics.
struct Taken<'a> {
    core: Option<Box<Core>>,
    home: &'a CurrentThread,
}

impl Taken<'_> {
    fn core(&mut self) -> &mut Core {
        self.core.as_mut().expect("taken only by the shutdown")
    }

    /// Runs tasks until the future is ready; `None` if the panic of a task has ended the runtime.
    fn run<F: Future>(&mut self, mut future: Pin<&mut F>, stats: &Stats) -> Option<F::Output> {
        let home = self.home;
        let CurrentThread { hooks, timers, .. } = home;
        let Core { worker, parker, root } = self.core();
        let waker = Waker::from(Arc::clone(root));
        let mut context = Context::from_waker(&waker);
        root.woken_here.store(true, Ordering::Relaxed);
        let (mut turns, rush) = (0_u32, Rush::alone());
        worker.enter(|worker| {
            let _own = timers.own();
            let mut recorder = stats.record(0, worker.polls());
            loop {
                if home.has_panicked() {
                    home.scheduler.close();
                    stop(worker, parker);
                    return None;
                }
                if root.take_wakes()
                    && let Poll::Ready(output) = stats.poll_root(future.as_mut(), &mut context)
                {
                    return Some(output);
                }
                let due = || root.is_woken() || home.has_panicked();
                let tick = worker.tick_beside(due);
                // In a rush the driver has its turn before there is a sleep.
                let goes_on = tick == Tick::Idle && rush.is_on();
                match if goes_on { Tick::Ran } else { tick } {
                    // Driver and timers have their turn now and then, not after each task.
                    Tick::Ran | Tick::Idle if due() => {
                        turns = turns.wrapping_add(1);
                        let a_set_says_so = context::local::take_driver_is_due();
                        if a_set_says_so || turns.is_multiple_of(ROOT_POLLS_PER_TURN) {
                            parker.turn_now();
                            timers.fire_due();
                        }
                    }
                    Tick::Ran => {
                        recorder.ran(worker.polls());
                        rush.turned(parker.turn_now());
                        timers.fire_due();
                    }
                    Tick::Idle => {
                        hooks.thread_park();
                        // The hook may have spawned, or woken the future, on this very thread.
                        let is_idle = || !due() && !worker.has_work();
                        if is_idle() {
                            recorder.park(worker.polls());
                            let had_events = timers.park_or_advance(parker, is_idle);
                            rush.waited(had_events, recorder.unpark());
                        }
                        hooks.thread_unpark();
                        timers.fire_due();
                    }
                    Tick::Stopped => unreachable!("the runtime is borrowed, so it is not dropped"),
                    Tick::HandedOff => unreachable!("a local worker is never handed off"),
                }
            }
        })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut place = self.home.lock();
            place.core = self.core.take();
            std::mem::take(&mut place.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}
