//! Tasks without an allocator: places of a fixed size in a static.

use core::{
    alloc::Layout,
    cell::UnsafeCell,
    fmt,
    future::Future,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::NonNull,
};

use super::{Board, Counters, Executor, Spawner};
use crate::{
    sync::{array_of, const_unless_checked},
    task::{self, JoinHandle, Memory, Spawned, Vacancy},
};

/// `N` places of `SIZE` bytes for tasks, in a static.
///
/// Any future fits that is not too large with the 32 bytes that each task has beside it (48 with the
/// feature `alloc`, 88 on 64-bit machines), whatever its type; one that does not is a compile error.
/// [`task_size`] knows the size for an `async fn`. Nothing is allocated, neither here nor later.
///
/// A place is free again when the task has ended and its `JoinHandle` and `AbortHandle`s are gone. A
/// waker that outlives its task may wake the next one in the place, for nothing: as every future, that
/// one looks again at what it waits for.
///
/// ```
/// # use jenny_core::single::{TaskPool, task_size};
/// async fn blink(period: u32) {
///     let _ = period;
/// }
///
/// /// As many as blink.
/// static BLINKS: TaskPool<{ task_size(&blink) }, 3> = TaskPool::new();
/// /// Whatever is small.
/// static SMALL: TaskPool<256, 8> = TaskPool::new();
/// assert_eq!(BLINKS.free() + SMALL.free(), 11);
/// ```
pub struct TaskPool<const SIZE: usize, const N: usize>([Slot<SIZE>; N]);

/// A place for tasks.
#[repr(C, align(8))]
struct Slot<const SIZE: usize>(UnsafeCell<Place<SIZE>>);

/// What is at the start of a place is there whatever else is.
#[repr(C)]
union Place<const SIZE: usize> {
    vacancy: ManuallyDrop<Vacancy>,
    _cell: MaybeUninit<[u8; SIZE]>,
}

// SAFETY: the vacancy is, and whoever reserves it has the rest until it is open again.
unsafe impl<const SIZE: usize> Sync for Slot<SIZE> {}

impl<const SIZE: usize> Slot<SIZE> {
    const_unless_checked! {
        fn new() -> Self {
            Self(UnsafeCell::new(Place { vacancy: ManuallyDrop::new(Vacancy::new()) }))
        }
    }

    #[inline]
    fn reserve(&'static self) -> bool {
        // SAFETY: it is a static's, and the pointer that to a cell which is all of it.
        unsafe { Vacancy::reserve(NonNull::from(self).cast()) }
    }

    fn vacancy(&self) -> &Vacancy {
        // SAFETY: the slot was made with a vacancy, which whoever writes a cell leaves there. It is
        // only ever shared.
        unsafe { &*self.0.get().cast() }
    }
}

impl<const SIZE: usize, const N: usize> TaskPool<SIZE, N> {
    const_unless_checked! {
        /// All places free.
        pub fn new() -> Self {
            Self(array_of!(Slot::new(); N))
        }
    }

    /// Takes a place, so that the spawn cannot fail. From anywhere, interrupts included.
    ///
    /// # Errors
    /// [`PoolFull`] if all are in use.
    pub fn reserve(&'static self) -> Result<Reserved<SIZE>, PoolFull> {
        self.0.iter().find(|slot| slot.reserve()).map(Reserved).ok_or(PoolFull)
    }

    /// Spawns a task. From anywhere, interrupts included.
    ///
    /// # Errors
    /// [`SpawnError`], with the future, if all places are in use.
    #[track_caller]
    pub fn spawn<B, C, F>(
        &'static self,
        executor: &'static Executor<B, C>,
        future: F,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        B: Board,
        C: Counters,
        F: Future<Output: Send> + Send + 'static,
    {
        match self.reserve() {
            Ok(place) => Ok(place.spawn(executor, future)),
            Err(PoolFull) => Err(SpawnError::new(future)),
        }
    }

    /// Spawns a task whose future need not be `Send`.
    ///
    /// # Errors
    /// [`SpawnError`], with the future, if all places are in use.
    #[track_caller]
    pub fn spawn_local<B, C, F>(
        &'static self,
        spawner: Spawner<B, C>,
        future: F,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        B: Board,
        C: Counters,
        F: Future + 'static,
    {
        match self.reserve() {
            Ok(place) => Ok(place.spawn_local(spawner, future)),
            Err(PoolFull) => Err(SpawnError::new(future)),
        }
    }

    /// As [`spawn`](Self::spawn), for a task that nobody joins or aborts: it takes less code and time.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn spawn_detached<B, C, F>(
        &'static self,
        executor: &'static Executor<B, C>,
        future: F,
    ) -> Result<(), SpawnError<F>>
    where
        B: Board,
        C: Counters,
        F: Future<Output: Send> + Send + 'static,
    {
        match self.reserve() {
            Ok(place) => {
                place.spawn_detached(executor, future);
                Ok(())
            }
            Err(PoolFull) => Err(SpawnError::new(future)),
        }
    }

    /// As [`spawn_local`](Self::spawn_local), for a task that nobody joins or aborts.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn spawn_local_detached<B, C, F>(
        &'static self,
        spawner: Spawner<B, C>,
        future: F,
    ) -> Result<(), SpawnError<F>>
    where
        B: Board,
        C: Counters,
        F: Future + 'static,
    {
        match self.reserve() {
            Ok(place) => {
                place.spawn_local_detached(spawner, future);
                Ok(())
            }
            Err(PoolFull) => Err(SpawnError::new(future)),
        }
    }

    /// How many places are free, at some moment of the call.
    pub fn free(&self) -> usize {
        self.0.iter().filter(|slot| slot.vacancy().is_open()).count()
    }
}

impl<const SIZE: usize, const N: usize> Default for TaskPool<SIZE, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize, const N: usize> fmt::Debug for TaskPool<SIZE, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskPool").field("free", &self.free()).finish_non_exhaustive()
    }
}

/// A place of a [`TaskPool`], reserved for a task. Dropping it gives the place back.
#[must_use = "dropped, it gives the place back"]
pub struct Reserved<const SIZE: usize>(&'static Slot<SIZE>);

impl<const SIZE: usize> Reserved<SIZE> {
    /// Spawns a task. From anywhere, interrupts included. After the shutdown its handle resolves to
    /// cancelled.
    #[track_caller]
    pub fn spawn<B, C, F>(
        self,
        executor: &'static Executor<B, C>,
        future: F,
    ) -> JoinHandle<F::Output>
    where
        B: Board,
        C: Counters,
        F: Future<Output: Send> + Send + 'static,
    {
        let place = self.into_place::<F>();
        // SAFETY: the place is ours to give away, and large enough; `InSlot` takes it back.
        unsafe { executor.spawn_in::<F, InSlot<SIZE>>(place, future, Spawned::here()) }
    }

    /// Spawns a task whose future need not be `Send`. After the shutdown its handle resolves to
    /// cancelled.
    #[track_caller]
    pub fn spawn_local<B, C, F>(self, spawner: Spawner<B, C>, future: F) -> JoinHandle<F::Output>
    where
        B: Board,
        C: Counters,
        F: Future + 'static,
    {
        let place = self.into_place::<F>();
        // SAFETY: as above.
        unsafe { spawner.spawn_in::<F, InSlot<SIZE>>(place, future, Spawned::here()) }
    }

    /// As [`spawn`](Self::spawn), for a task that nobody joins or aborts.
    #[track_caller]
    pub fn spawn_detached<B, C, F>(self, executor: &'static Executor<B, C>, future: F)
    where
        B: Board,
        C: Counters,
        F: Future<Output: Send> + Send + 'static,
    {
        let place = self.into_place::<F>();
        // SAFETY: as above.
        unsafe { executor.spawn_detached_in::<F, InSlot<SIZE>>(place, future, Spawned::here()) }
    }

    /// As [`spawn_local`](Self::spawn_local), for a task that nobody joins or aborts.
    #[track_caller]
    pub fn spawn_local_detached<B, C, F>(self, spawner: Spawner<B, C>, future: F)
    where
        B: Board,
        C: Counters,
        F: Future + 'static,
    {
        let place = self.into_place::<F>();
        // SAFETY: as above.
        unsafe { spawner.spawn_detached_in::<F, InSlot<SIZE>>(place, future, Spawned::here()) }
    }

    /// Gives up the reservation for the place, if it is one for such a task.
    fn into_place<F: Future>(self) -> NonNull<u8> {
        const {
            let needed = task::layout::<F, ()>();
            assert!(needed.size() <= SIZE, "the task is too large for the places of this pool");
            assert!(needed.align() <= align_of::<Slot<0>>(), "the future's alignment is above 8");
        }
        NonNull::from(ManuallyDrop::new(self).0).cast()
    }
}

impl<const SIZE: usize> Drop for Reserved<SIZE> {
    fn drop(&mut self) {
        self.0.vacancy().reopen();
    }
}

impl<const SIZE: usize> fmt::Debug for Reserved<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("size", &SIZE).finish_non_exhaustive()
    }
}

/// A slot's way back.
pub(super) struct InSlot<const SIZE: usize>;

impl<S, const SIZE: usize> Memory<S> for InSlot<SIZE> {
    const STAYS: bool = true;

    unsafe fn give_back(_: NonNull<S>, place: NonNull<u8>, _: Layout) {
        // SAFETY: the place is that of a slot, in a static.
        unsafe { place.cast::<Slot<SIZE>>().as_ref() }.vacancy().reopen();
    }
}

/// All places of a pool are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFull;

impl fmt::Display for PoolFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all places of the task pool are in use")
    }
}

impl core::error::Error for PoolFull {}

/// There was no memory for a task. It holds the future.
pub struct SpawnError<F>(F);

impl<F> SpawnError<F> {
    pub(super) fn new(future: F) -> Self {
        Self(future)
    }

    /// The future that was not spawned.
    pub fn into_inner(self) -> F {
        self.0
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").finish_non_exhaustive()
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no memory for the task: the heap or its pool is full")
    }
}

impl<F> core::error::Error for SpawnError<F> {}

/// A function that makes the futures of tasks: of up to four arguments.
pub trait TaskFn<Arguments> {
    /// What it makes.
    type Future: Future;
}

macro_rules! task_fn {
    ($($argument:ident)*) => {
        impl<T, F, $($argument),*> TaskFn<($($argument,)*)> for T
        where
            T: Fn($($argument),*) -> F,
            F: Future,
        {
            type Future = F;
        }
    };
}

task_fn!();
task_fn!(A);
task_fn!(A B);
task_fn!(A B C);
task_fn!(A B C D);

/// The size of a task, for [`TaskPool`]: of a call of an `async fn`, say.
pub const fn task_size<Arguments, T: TaskFn<Arguments>>(_: &T) -> usize {
    task::layout::<T::Future, ()>().size()
}
