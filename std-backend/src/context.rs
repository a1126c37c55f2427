//! Which runtime the current thread belongs to.
//!
//! Two things are kept per thread, both here and not in a frame on the stack, because their guards
//! can be moved, leaked and dropped in any order: the *current* runtime, which `spawn` and sockets
//! use, and whether the thread is *running* one, where it must not block on another. [`local`] has
//! what there is beside them for tasks that stay on their thread.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    marker::PhantomData,
    ptr::{self, NonNull},
    thread::{self, ThreadId},
};

#[cfg(feature = "rt-multi-thread")]
use jenny_core::scheduler::stealing;
use jenny_core::{
    scheduler::local::Handle as LocalHandle,
    task::{JoinHandle, Spawned},
};

use crate::{
    blocking::{Blocking, TrySpawnError, pool::Mandatory},
    park::Unparker,
    platform::Std,
    primitives::{Company, unmodelled::Arc},
    stats::Stats,
};

mod hold;
mod id;
#[cfg(feature = "time")]
mod listed;
pub(crate) mod local;
mod sets;
#[cfg(feature = "time")]
mod timers;

pub use self::id::Id;
pub(crate) use self::sets::{KnownSet, LocalSets, Whereabouts};
#[cfg(feature = "embassy-time-driver")]
pub(crate) use self::timers::wakes;
use self::{
    hold::{Hold, leave},
    local::{LocalGuard, LocalScheduler},
};
#[cfg(feature = "time")]
pub(crate) use self::{
    listed::Listed,
    timers::{Home, LateHome, RuntimeTimers, Wheel, WorkerLoop},
};

/// What a runtime's parkers sleep in.
#[cfg(feature = "net")]
pub(crate) type RuntimeDriver = crate::io::IoDriver;
/// What a runtime's parkers sleep in: nothing.
#[cfg(not(feature = "net"))]
pub(crate) type RuntimeDriver = crate::park::NoDriver;

/// The platform of all runtimes.
pub(crate) type RuntimePlatform = Std<Unparker<RuntimeDriver>>;

/// All that a thread may use of a runtime.
pub(crate) struct Ambient {
    pub(crate) id: Id,
    pub(crate) name: Option<String>,
    pub(crate) scheduler: Scheduler,
    /// The only thread that runs its tasks, if it is a `LocalRuntime`.
    pub(crate) owner: Option<ThreadId>,
    pub(crate) stats: Stats,
    pub(crate) sets: Arc<LocalSets>,
    pub(crate) blocking: Blocking,
    #[cfg(feature = "net")]
    pub(crate) io: Option<crate::io::Handle>,
    #[cfg(feature = "time")]
    pub(crate) time: RuntimeTimers,
    #[cfg(feature = "time")]
    pub(crate) _listed: Listed,
}

/// The scheduler of a runtime.
#[derive(Clone)]
pub(crate) enum Scheduler {
    CurrentThread(LocalHandle<RuntimePlatform>),
    #[cfg(feature = "rt-multi-thread")]
    MultiThread(stealing::Handle<RuntimePlatform>),
}

/// A future above this size travels in a box: moving it through the generic code costs more.
const BOX_FROM: usize = if cfg!(debug_assertions) { 2 * 1024 } else { 16 * 1024 };

pub(crate) const fn travels_boxed<F>() -> bool {
    size_of::<F>() > BOX_FROM
}

impl Ambient {
    #[track_caller]
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_as(future, Spawned::here())
    }

    #[inline]
    pub(crate) fn spawn_as<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        #[cfg(feature = "tracing")]
        let (future, spawned) = crate::trace::instrument(future, crate::trace::Kind::Task, spawned);
        // It has its id already, so no worker asks for one.
        #[cfg(feature = "tracing")]
        self.scheduler.company().comes();
        if travels_boxed::<F>() {
            return self.scheduler.spawn(Box::pin(future), spawned);
        }
        self.scheduler.spawn(future, spawned)
    }

    /// The scheduler, if local tasks can be spawned on it from this thread.
    pub(crate) fn local_scheduler(&self) -> Option<LocalScheduler> {
        match &self.scheduler {
            Scheduler::CurrentThread(handle) if self.owner? == thread::current().id() => {
                Some(LocalScheduler::Runtime(handle.clone()))
            }
            _ => None,
        }
    }

    #[track_caller]
    pub(crate) fn spawn_blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        match self.spawn_blocking_as(work, Spawned::here()) {
            Ok(join) => join,
            Err(error) => panic!(
                "the blocking pool has no thread and the system gives none ({error}): \
                 lower `max_blocking_threads` or raise the limit of threads"
            ),
        }
    }

    #[track_caller]
    pub(crate) fn try_spawn_blocking<F, R>(
        &self,
        work: F,
    ) -> Result<JoinHandle<R>, TrySpawnError<F>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.blocking.try_spawn(work, Spawned::here())
    }

    /// # Errors
    /// The pool has no thread and the system gives none.
    pub(crate) fn spawn_blocking_as<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
        spawned: Spawned<'_>,
    ) -> io::Result<JoinHandle<R>> {
        self.blocking.spawn(work, Mandatory::No, spawned)
    }
}

impl Scheduler {
    /// Which of its workers this thread has entered.
    #[cfg(feature = "time")]
    fn entered_worker(&self) -> Option<usize> {
        match self {
            Self::CurrentThread(handle) => handle.is_entered().then_some(0),
            #[cfg(feature = "rt-multi-thread")]
            Self::MultiThread(handle) => handle.entered_worker(),
        }
    }

    /// Whoever is to be told when there is more than one thing to look after.
    #[allow(dead_code, reason = "who uses it depends on the features")]
    fn company(&self) -> &Company {
        match self {
            Self::CurrentThread(handle) => handle.platform().company(),
            #[cfg(feature = "rt-multi-thread")]
            Self::MultiThread(handle) => handle.platform().company(),
        }
    }

    #[inline]
    fn spawn<F>(&self, future: F, spawned: Spawned<'_>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Self::CurrentThread(handle) => handle.spawn_as(future, spawned),
            #[cfg(feature = "rt-multi-thread")]
            Self::MultiThread(handle) => handle.spawn_as(future, spawned),
        }
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "rt-multi-thread")]
pub(crate) mod worker;

thread_local! {
    static CURRENT: Current = const { Current(RefCell::new(None)) };
    /// What is in `CURRENT`, or null. Without a destructor, so cheap to ask.
    static CURRENT_POINTER: Cell<*const Ambient> = const { Cell::new(ptr::null()) };
    /// How many guards of this thread are alive.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static RUNNING: Cell<Running> = const { Cell::new(Running::Nothing) };
}

struct Current(RefCell<Option<Arc<Ambient>>>);

impl Current {
    fn replace(&self, ambient: Option<Arc<Ambient>>) -> Option<Arc<Ambient>> {
        CURRENT_POINTER.set(ambient.as_ref().map_or(ptr::null(), Arc::as_ptr));
        self.0.replace(ambient)
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT_POINTER.set(ptr::null());
    }
}

/// Why there is no current runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoContext {
    NotEntered,
    ThreadEnds,
}

impl fmt::Display for NoContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEntered => {
                "there is no jenny runtime here: call this from a task, inside `Runtime::block_on`, \
                 or with a guard of `Runtime::enter` alive"
            }
            Self::ThreadEnds => {
                "this thread is ending and has no jenny runtime any more: keep a `Handle` instead"
            }
        })
    }
}

impl std::error::Error for NoContext {}

/// Gives the current runtime to the closure.
pub(crate) fn try_with<R>(f: impl FnOnce(&Arc<Ambient>) -> R) -> Result<R, NoContext> {
    CURRENT
        .try_with(|current| current.0.borrow().as_ref().map(f).ok_or(NoContext::NotEntered))
        .unwrap_or(Err(NoContext::ThreadEnds))
}

/// The current runtime, which is alive until a guard of this thread lets go of it.
#[inline]
fn current_pointer() -> Result<NonNull<Ambient>, NoContext> {
    NonNull::new(CURRENT_POINTER.get().cast_mut()).ok_or_else(why_none)
}

#[cold]
fn why_none() -> NoContext {
    try_with(|_| ()).err().unwrap_or(NoContext::NotEntered)
}

/// The current runtime.
#[track_caller]
pub(crate) fn current() -> Arc<Ambient> {
    match try_with(Arc::clone) {
        Ok(ambient) => ambient,
        Err(error) => panic!("{error}"),
    }
}

/// Gives the current runtime to a closure that may do anything, leave the runtime included.
///
/// # Panics
/// If there is none.
#[inline]
#[track_caller]
pub(crate) fn with_current<R>(f: impl FnOnce(&Ambient) -> R) -> R {
    let _hold = Hold::new();
    match current_pointer() {
        // SAFETY: what was current when the hold was made is alive as long as the hold: it is still
        // current, in a guard that made another one current, or left and kept.
        Ok(ambient) => f(unsafe { ambient.as_ref() }),
        Err(error) => panic!("{error}"),
    }
}

/// The I/O driver of the current runtime.
#[cfg(feature = "net")]
#[track_caller]
pub(crate) fn io_handle() -> crate::io::Handle {
    let handle = |ambient: &Arc<Ambient>| {
        ambient.scheduler.company().comes();
        ambient.io.clone()
    };
    match try_with(handle) {
        Ok(Some(handle)) => handle,
        Ok(None) => panic!(
            "the current jenny runtime has no I/O driver: call `enable_io` or `enable_all` on its \
             runtime builder"
        ),
        Err(error) => panic!("{error}"),
    }
}

/// Keeps a runtime current. To be dropped in the reverse order of its siblings, on its own thread.
#[must_use = "the runtime is current until this is dropped"]
pub(crate) struct CurrentGuard {
    outer: Option<Arc<Ambient>>,
    depth: usize,
    _local: Option<LocalGuard>,
    // Of what a guard gives, nothing is reached through a reference, so it is `Sync`.
    _not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

/// How many guards of this thread keep a runtime current.
#[cfg(feature = "rt-multi-thread")]
pub(crate) fn depth() -> usize {
    DEPTH.get()
}

/// Makes a runtime the current one of this thread.
pub(crate) fn set_current(ambient: &Arc<Ambient>) -> CurrentGuard {
    // At the end of a thread, where a destructor may drop a runtime, there may be no place any more.
    let outer = CURRENT.try_with(|current| current.replace(Some(Arc::clone(ambient))));
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    // SAFETY: this is the thread of the `LocalRuntime`, which cannot leave it and shuts down on it.
    let local = ambient.local_scheduler().map(|scheduler| unsafe { local::enter(scheduler) });
    CurrentGuard { outer: outer.ok().flatten(), depth, _local: local, _not_send: PhantomData }
}

impl Drop for CurrentGuard {
    fn drop(&mut self) {
        // At the end of a thread the cells may be gone, and so is whoever could look at them.
        let _ = DEPTH.try_with(|depth| {
            if depth.get() != self.depth {
                if let Some(outer) = self.outer.take() {
                    leave(outer);
                }
                if std::thread::panicking() {
                    return;
                }
                panic!("the guards of `enter` were dropped out of order: drop the youngest first");
            }
            depth.set(self.depth - 1);
            let _ = CURRENT.try_with(|current| {
                // Outside the borrow: it may be the last handle.
                if let Some(inner) = current.replace(self.outer.take()) {
                    leave(inner);
                }
            });
        });
    }
}

/// What a thread does for a runtime at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Running {
    /// Nothing: it may block.
    Nothing,
    /// It waits for the future of a `block_on`, and others run the tasks.
    Root,
    /// It is a worker of a multi-thread runtime.
    #[cfg_attr(not(feature = "rt-multi-thread"), allow(dead_code, reason = "there is none"))]
    Worker,
    /// It runs tasks that no other thread can run.
    CurrentThread,
}

/// Keeps the thread marked as running a runtime, or as free to block.
#[must_use]
pub(crate) struct RunningGuard {
    outer: Running,
    // Of what a guard gives, nothing is reached through a reference, so it is `Sync`.
    _not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

/// What this thread does for a runtime.
pub(crate) fn running() -> Running {
    RUNNING.try_with(Cell::get).unwrap_or(Running::Nothing)
}

/// Whether this thread runs a runtime, so that blocking it would stop tasks.
pub(crate) fn is_running() -> bool {
    running() != Running::Nothing
}

/// Marks this thread as running a runtime.
///
/// # Panics
/// If it is already.
#[track_caller]
pub(crate) fn start_running(what: Running) -> RunningGuard {
    assert!(
        !is_running(),
        "cannot block on a runtime from inside a runtime: this thread is running tasks, which would \
         stop. Await the future instead, or move the call to `spawn_blocking`"
    );
    set_running(what)
}

/// Lets this thread block although it runs a runtime: its worker was handed off.
#[cfg_attr(not(feature = "rt-multi-thread"), allow(dead_code, reason = "there is no worker"))]
pub(crate) fn suspend_running() -> RunningGuard {
    set_running(Running::Nothing)
}

/// Says that the tasks which this thread runs are bound to it: a `LocalSet` is polled. Outside of a
/// runtime that changes nothing, the thread may block.
pub(crate) fn run_bound_tasks() -> RunningGuard {
    set_running(if is_running() { Running::CurrentThread } else { Running::Nothing })
}

fn set_running(what: Running) -> RunningGuard {
    RunningGuard { outer: RUNNING.replace(what), _not_send: PhantomData }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        RUNNING.set(self.outer);
    }
}
