//! The one switch of this crate between real threads, a model checker's, and counted ones.
//!
//! Every atomic, lock, condition variable and thread primitive of the protocols in here comes from
//! this file, and no protocol looks at `cfg(jenny_loom)` or `cfg(jenny_count)`. Normally the locks
//! are [`parking_lot`]'s; under `--cfg jenny_loom` they are loom's, behind the same signatures; under
//! `--cfg jenny_count` they are the real ones, and each use is noted in the core's ledger.

// Which of these are used depends on the features.
#![allow(unused_imports, dead_code)]

#[cfg(jenny_loom)]
pub(crate) use self::checked::*;
#[cfg(not(jenny_loom))]
pub(crate) use self::real::*;

pub(crate) use std::sync::atomic::Ordering;

#[cfg(any(feature = "time", feature = "rt-multi-thread"))]
pub(crate) mod asymmetric;
#[cfg(any(feature = "time", feature = "rt-multi-thread"))]
mod biased_lock;
mod brief_lock;
mod company;
#[cfg(jenny_count)]
mod counted;
#[cfg(any(feature = "time", feature = "net", feature = "rt-multi-thread"))]
mod thread_number;
#[cfg(any(feature = "time", feature = "rt-multi-thread"))]
#[allow(unreachable_pub, reason = "re-exported for the loom models only")]
pub use self::biased_lock::BiasedLock;
#[allow(unreachable_pub, reason = "re-exported for the loom models only")]
pub use self::brief_lock::BriefLock;
#[cfg(all(test, any(feature = "time", feature = "rt-multi-thread"), not(jenny_loom)))]
pub(crate) use self::brief_lock::trials;
pub(crate) use self::brief_lock::wait_until;
pub(crate) use self::company::Company;
#[cfg(any(feature = "time", feature = "net", feature = "rt-multi-thread"))]
pub(crate) use self::thread_number::thread_number;

/// What no model needs: what is in a static, or around the protocols.
pub(crate) mod unmodelled {
    #[cfg(jenny_count)]
    pub(crate) use super::counted::{Arc, AtomicU64, Weak};
    #[cfg(not(jenny_count))]
    pub(crate) use std::sync::{Arc, Weak, atomic::AtomicU64};
}

#[cfg(not(jenny_loom))]
mod real {
    #[cfg(jenny_count)]
    pub(crate) use super::counted::{
        Arc, AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, fence,
    };
    #[cfg(not(jenny_count))]
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    #[cfg(not(jenny_count))]
    pub(crate) use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence},
    };
    pub(crate) use std::{hint::spin_loop, thread, thread_local};

    /// Sleeps.
    pub(crate) fn nap(duration: std::time::Duration) {
        thread::sleep(duration);
    }

    /// [`std::cell::UnsafeCell`] with the closure-scoped access that a model checker can watch.
    #[derive(Debug, Default)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Gives a pointer for writing; nobody else may access for as long as the closure runs.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, closure: impl FnOnce(*mut T) -> R) -> R {
            closure(self.0.get())
        }
    }
}

#[cfg(jenny_loom)]
mod checked {
    use std::{
        ops::{Deref, DerefMut},
        time::Duration,
    };

    pub(crate) use loom::{
        cell::UnsafeCell,
        hint::spin_loop,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, fence},
        },
        thread_local,
    };

    /// Lets others run: loom has no clock.
    pub(crate) fn nap(_: Duration) {
        loom::thread::yield_now();
    }

    /// loom's threads, with a token of our own to park on: an unpark of loom's lets a thread run on
    /// that is blocked elsewhere, in a join or on a mutex.
    pub(crate) mod thread {
        use loom::{
            sync::{Arc, Condvar, Mutex},
            thread::ThreadId,
        };

        pub(crate) use loom::thread::{Builder, JoinHandle, spawn, yield_now};

        /// A thread that can be unparked.
        #[derive(Clone, Debug)]
        pub(crate) struct Thread {
            id: ThreadId,
            token: Arc<(Mutex<bool>, Condvar)>,
        }

        loom::thread_local! {
            static CURRENT: Thread = Thread {
                id: loom::thread::current().id(),
                token: Arc::default(),
            };
        }

        pub(crate) fn current() -> Thread {
            CURRENT.with(Clone::clone)
        }

        pub(crate) fn park() {
            let this = current();
            let (available, made_available) = &*this.token;
            let mut available = available.lock().unwrap();
            while !*available {
                available = made_available.wait(available).unwrap();
            }
            *available = false;
        }

        impl Thread {
            pub(crate) fn id(&self) -> ThreadId {
                self.id
            }

            pub(crate) fn unpark(&self) {
                let (available, made_available) = &*self.token;
                *available.lock().unwrap() = true;
                made_available.notify_one();
            }
        }
    }

    /// loom's mutex without poisoning: a panic ends the model anyway.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        #[track_caller]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard { lock: &self.0, held: Some(self.0.lock().unwrap()) }
        }

        #[track_caller]
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok().map(|held| MutexGuard { lock: &self.0, held: Some(held) })
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap()
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap()
        }
    }

    /// A held [`Mutex`]. Empty only inside [`Condvar::wait`], which loom wants to own the guard.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T> {
        lock: &'a loom::sync::Mutex<T>,
        held: Option<loom::sync::MutexGuard<'a, T>>,
    }

    const HELD: &str = "the guard is empty only while its condition variable waits";

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.held.as_ref().expect(HELD)
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.held.as_mut().expect(HELD)
        }
    }

    /// loom's condition variable with parking_lot's signatures.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        #[track_caller]
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.held.take().expect(HELD);
            guard.held = Some(self.0.wait(held).unwrap());
        }

        /// Times out at once: loom has no clock, and a model that waits for a time-out would hang.
        /// Whoever wants to come first has the gap in which the lock is open.
        #[track_caller]
        pub(crate) fn wait_for<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            _timeout: Duration,
        ) -> WaitTimeoutResult {
            guard.held = None;
            loom::thread::yield_now();
            guard.held = Some(guard.lock.lock().unwrap());
            WaitTimeoutResult
        }

        #[track_caller]
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        #[track_caller]
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// Says that the wait ended by its time-out, as all of loom's timed waits do here.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct WaitTimeoutResult;

    impl WaitTimeoutResult {
        pub(crate) fn timed_out(self) -> bool {
            true
        }
    }
}

/// Whether this is a build that counts.
pub(crate) const COUNTED: bool = cfg!(jenny_count);

/// What a counting build is told: that the calling thread may call a value its own for a while.
#[cfg(jenny_count)]
pub(crate) use jenny_core::count::{Own as Mark, own};

/// What a counting build is told: nothing.
#[cfg(not(jenny_count))]
pub(crate) struct Mark;

#[cfg(not(jenny_count))]
#[inline(always)]
#[must_use]
pub(crate) fn own<T: ?Sized>(_value: &T) -> Mark {
    Mark
}

/// Runs foreign code, and stops a panic there: the panic hook has reported it, and it is not this
/// thread's business.
#[cfg(not(jenny_loom))]
pub(crate) fn contain(foreign: impl FnOnce()) {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    if let Err(payload) = catch_unwind(AssertUnwindSafe(foreign))
        && let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        // The payload panics when it is dropped; what comes of that is not dropped any more.
        std::mem::forget(second);
    }
}

/// What a thread runs: `body`, and `end` when the destructors of its thread-local variables are done.
///
/// Destructors are run in the reverse order in which their variables came into use, on every system
/// that we know of; nobody promises that. Where it is otherwise, some come after `end`.
#[cfg(not(jenny_loom))]
pub(crate) fn run_thread(body: impl FnOnce(), end: impl FnOnce() + 'static) {
    struct AtEnd(std::cell::Cell<Option<Box<dyn FnOnce()>>>);

    impl Drop for AtEnd {
        fn drop(&mut self) {
            if let Some(end) = self.0.take() {
                // A panic in a destructor would end the process.
                contain(end);
            }
        }
    }

    std::thread_local! {
        static AT_END: AtEnd = const { AtEnd(std::cell::Cell::new(None)) };
    }
    AT_END.with(|at_end| at_end.0.set(Some(Box::new(end))));
    body();
}

/// Under the model checker, threads have no such variables of the user's.
#[cfg(jenny_loom)]
pub(crate) fn run_thread(body: impl FnOnce(), end: impl FnOnce() + 'static) {
    body();
    end();
}

/// Under the model checker a panic is how a model fails, so it passes.
#[cfg(jenny_loom)]
pub(crate) fn contain(foreign: impl FnOnce()) {
    foreign();
}
