//! Futures, outputs and wakers that are counted, and that panic when they are told to.

use std::{
    future::{Future, poll_fn},
    panic,
    pin::Pin,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

use jenny_core::{
    scheduler::Current,
    task::{JoinError, JoinHandle},
};

use crate::toy::Toy;

const PLANNED: &str = "planned";

/// Panics, without a message on the screen.
pub(crate) fn planned_panic() -> ! {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&PLANNED) {
                default(info);
            }
        }));
    });
    panic::panic_any(PLANNED)
}

/// How many values were made, and how many were dropped.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally(Arc<(AtomicUsize, AtomicUsize)>);

impl Tally {
    /// A value that is counted.
    pub(crate) fn guard(&self) -> Guard {
        self.0.0.fetch_add(1, Relaxed);
        Guard(self.clone())
    }

    pub(crate) fn made(&self) -> usize {
        self.0.0.load(Relaxed)
    }

    pub(crate) fn dropped(&self) -> usize {
        self.0.1.load(Relaxed)
    }

    #[track_caller]
    pub(crate) fn assert_even(&self) {
        assert_eq!(self.made(), self.dropped(), "values made and dropped");
    }
}

#[derive(Debug)]
pub(crate) struct Guard(Tally);

impl Guard {
    /// Another value on the same tally.
    pub(crate) fn another(&self) -> Guard {
        self.0.guard()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.1.fetch_add(1, Relaxed);
    }
}

/// A value that does something when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// Pending once, after it has asked for another poll.
pub(crate) fn yield_now() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        Current::<Toy>::yield_now(context.waker());
        Poll::Pending
    })
}

/// Polls a handle from outside of every task.
pub(crate) fn poll_join<T>(join: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(join).poll(&mut Context::from_waker(waker))
}

/// The result of a task that has to be complete.
#[track_caller]
pub(crate) fn result<T>(mut join: JoinHandle<T>) -> Result<T, JoinError> {
    match poll_join(&mut join, Waker::noop()) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("not complete: {join:?}"),
    }
}

/// What the user's code in a waker may do.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_clone: Option<Box<dyn Fn() + Send + Sync>>,
    pub(crate) on_wake: Option<Box<dyn Fn() + Send + Sync>>,
    pub(crate) on_drop: Option<Box<dyn Fn() + Send + Sync>>,
}

fn call(hook: &Option<Box<dyn Fn() + Send + Sync>>) {
    if let Some(hook) = hook {
        hook();
    }
}

/// A waker made of hooks. `Wake` would not do: it has none for a clone.
pub(crate) fn hooked(hooks: Hooks) -> Waker {
    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            let hooks = data.cast::<Hooks>();
            // SAFETY: the data of a live waker is an `Arc` that it owns a count of.
            unsafe {
                call(&(*hooks).on_clone);
                Arc::increment_strong_count(hooks);
            }
            RawWaker::new(data, &VTABLE)
        },
        |data| {
            // SAFETY: as above; the count is given up here.
            call(&unsafe { Arc::from_raw(data.cast::<Hooks>()) }.on_wake);
        },
        // SAFETY: as above.
        |data| call(unsafe { &(*data.cast::<Hooks>()).on_wake }),
        |data| {
            // SAFETY: as above; the count is given up here.
            call(&unsafe { Arc::from_raw(data.cast::<Hooks>()) }.on_drop);
        },
    );
    let data = Arc::into_raw(Arc::new(hooks)).cast();
    // SAFETY: the functions keep the contract of `RawWaker`: `Hooks` is `Send` and `Sync`, and each
    // waker owns a count.
    unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
}

/// A waker that counts its wakes.
pub(crate) fn counting(wakes: &Arc<AtomicUsize>) -> Waker {
    let wakes = wakes.clone();
    hooked(Hooks {
        on_wake: Some(Box::new(move || {
            wakes.fetch_add(1, Relaxed);
        })),
        ..Hooks::default()
    })
}
