//! Values that go with a future, whichever thread polls it.
//!
//! A key is a thread-local slot that is empty most of the time. A scope keeps its value itself, and
//! exchanges it with what is in the slot for as long as the future inside is polled or dropped. So
//! scopes nest, and two tasks on one thread do not see each other's values.

use std::{
    any::type_name,
    cell::RefCell,
    error::Error,
    fmt,
    marker::PhantomPinned,
    mem,
    pin::Pin,
    task::{Context, Poll},
    thread,
};

/// Declares task-local keys.
///
/// Each declaration becomes a `static` of the type [`LocalKey`].
///
/// # Examples
/// ```
/// jenny::task_local! {
///     /// Whose request is being served.
///     pub static USER: String;
///     static DEPTH: u32;
/// }
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// async fn greet() -> String {
///     USER.with(|user| format!("hello {user}"))
/// }
/// assert_eq!(USER.scope("ada".into(), greet()).await, "hello ada");
/// assert_eq!(DEPTH.sync_scope(1, || DEPTH.get()), 1);
/// # }
/// ```
#[macro_export]
macro_rules! task_local {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static SLOT: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::new(&SLOT)
        };
        $($crate::task_local! { $($rest)* })?
    };
    () => {};
}

/// A key to a value that a [scope](Self::scope) gives to the future inside. Declared by
/// [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    slot: &'static thread::LocalKey<RefCell<Option<T>>>,
}

/// The task-local value was asked for outside of every scope that sets it, or while its thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the task-local value is not set here: call this inside `LocalKey::scope` or \
             `LocalKey::sync_scope`. A task that is spawned in a scope is not inside it",
        )
    }
}

impl Error for AccessError {}

/// Why a scope cannot be entered.
enum Blocked {
    Borrowed,
    ThreadEnds,
}

impl Blocked {
    #[track_caller]
    fn panic(self) -> ! {
        match self {
            Self::Borrowed => panic!(
                "cannot enter a scope of a task-local key inside its own `with`: copy the value out \
                 of the closure first"
            ),
            Self::ThreadEnds => panic!(
                "cannot enter a scope of a task-local key while the thread ends and its slot is gone"
            ),
        }
    }
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(slot: &'static thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { slot }
    }

    /// Runs a future in which the key has this value.
    ///
    /// The value is there while the future is polled, and while it is dropped. A task that the
    /// future spawns is outside.
    ///
    /// # Panics
    /// Polling panics inside [`with`](Self::with) of the same key.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(future),
            _pinned: PhantomPinned,
        }
    }

    /// Runs a closure in which the key has this value.
    ///
    /// # Panics
    /// Inside [`with`](Self::with) of the same key.
    #[track_caller]
    pub fn sync_scope<F: FnOnce() -> R, R>(&'static self, value: T, f: F) -> R {
        match self.enter(&mut Some(value), f) {
            Ok(result) => result,
            Err(blocked) => blocked.panic(),
        }
    }

    /// Gives the value to a closure.
    ///
    /// # Panics
    /// Outside of every scope of the key.
    #[track_caller]
    pub fn with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Gives the value to a closure.
    ///
    /// # Errors
    /// Outside of every scope of the key.
    pub fn try_with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> Result<R, AccessError> {
        self.slot
            .try_with(|slot| slot.borrow().as_ref().map(f).ok_or(AccessError))
            .unwrap_or(Err(AccessError))
    }

    /// A copy of the value.
    ///
    /// # Panics
    /// Outside of every scope of the key.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// A copy of the value.
    ///
    /// # Errors
    /// Outside of every scope of the key.
    pub fn try_get(&'static self) -> Result<T, AccessError>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    /// Exchanges the value with what is in the slot while the closure runs, also if it panics.
    fn enter<R>(
        &'static self,
        value: &mut Option<T>,
        inside: impl FnOnce() -> R,
    ) -> Result<R, Blocked> {
        struct Restore<'a, T: 'static>(&'static LocalKey<T>, &'a mut Option<T>);

        impl<T> Drop for Restore<'_, T> {
            fn drop(&mut self) {
                // A thread-local that is destroyed meanwhile has dropped what it held.
                let _ = self.0.exchange(self.1);
            }
        }

        self.exchange(value)?;
        let _restore = Restore(self, value);
        Ok(inside())
    }

    fn exchange(&'static self, value: &mut Option<T>) -> Result<(), Blocked> {
        let exchanged = self.slot.try_with(|slot| match slot.try_borrow_mut() {
            Ok(mut slot) => {
                mem::swap(&mut *slot, value);
                Ok(())
            }
            Err(_) => Err(Blocked::Borrowed),
        });
        exchanged.unwrap_or(Err(Blocked::ThreadEnds))
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey<{}>", type_name::<T>())
    }
}

pin_project_lite::pin_project! {
    /// A future with a task-local value. Made by [`LocalKey::scope`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // What the slot is given while the future runs, and holds what was in there meanwhile.
        value: Option<T>,
        // Taken when it is ready, so that it is dropped in the scope.
        #[pin]
        future: Option<F>,
        #[pin]
        _pinned: PhantomPinned,
    }

    impl<T, F> PinnedDrop for TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                // Where the scope cannot be entered, the future is dropped outside of it.
                let _ = this.key.enter(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value back; `None` the second time. From then on the future runs without it.
    ///
    /// # Examples
    /// ```
    /// use std::{cell::Cell, pin::pin};
    ///
    /// jenny::task_local! { static STEPS: Cell<u32>; }
    ///
    /// # #[jenny::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut counted = pin!(STEPS.scope(Cell::new(0), async {
    ///     STEPS.with(|steps| steps.set(steps.get() + 1));
    /// }));
    /// counted.as_mut().await;
    /// assert_eq!(counted.take_value(), Some(Cell::new(1)));
    /// # }
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let polled = this.key.enter(this.value, || {
            let future = this.future.as_mut().as_pin_mut()?;
            let polled = future.poll(context);
            if polled.is_ready() {
                this.future.set(None);
            }
            Some(polled)
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("a `TaskLocalFuture` was polled after it had been ready"),
            Err(blocked) => blocked.panic(),
        }
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture").field("value", &self.value).finish_non_exhaustive()
    }
}
