//! Tasks without an allocator: places of a fixed size in a static.

use core::{
    alloc::Layout,
    fmt,
    future::Future,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::NonNull,
};

use super::{Board, Counters, Executor, Spawner};
use crate::{
    sync::{AtomicBool, Ordering, UnsafeCell, array_of, const_unless_checked},
    task::{self, JoinHandle, Memory, Spawned},
};

/// `N` places of `SIZE` bytes for tasks, in a static.
///
/// Any future fits that is not too large with the 48 bytes that each task has beside it (88 on 64-bit
/// machines), whatever its type; one that does not is a compile error. [`task_size`] knows the size
/// for an `async fn`. Nothing is allocated, neither here nor later.
///
/// A place is free again when the task has ended and its `JoinHandle` and all its wakers are gone.
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

/// The place comes first, so that its address is the slot's.
#[repr(C, align(8))]
struct Slot<const SIZE: usize> {
    place: UnsafeCell<MaybeUninit<[u8; SIZE]>>,
    used: AtomicBool,
}

// SAFETY: whoever sets `used` has the place until it is cleared.
unsafe impl<const SIZE: usize> Sync for Slot<SIZE> {}

impl<const SIZE: usize> Slot<SIZE> {
    const_unless_checked! {
        fn new() -> Self {
            Self { place: UnsafeCell::new(MaybeUninit::uninit()), used: AtomicBool::new(false) }
        }
    }

    fn release(&self) {
        // Ordering: Release, for the Acquire of `reserve`: the next user comes after this one.
        self.used.store(false, Ordering::Release);
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
        // Ordering: Acquire, for the Release of `Slot::release`.
        self.0
            .iter()
            .find(|slot| !slot.used.swap(true, Ordering::Acquire))
            .map(Reserved)
            .ok_or(PoolFull)
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

    /// How many places are free, at some moment of the call.
    pub fn free(&self) -> usize {
        // Ordering: Relaxed; the number is out of date at once.
        self.0.iter().filter(|slot| !slot.used.load(Ordering::Relaxed)).count()
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

    /// Gives up the reservation for the place, if it is one for such a task.
    fn into_place<F: Future>(self) -> NonNull<u8> {
        const {
            let needed = task::layout::<F, ()>();
            assert!(needed.size() <= SIZE, "the task is too large for the places of this pool");
            assert!(needed.align() <= align_of::<Slot<0>>(), "the future's alignment is above 8");
        }
        // Of the slot and not of its first field, so that the way back reaches the flag.
        NonNull::from(ManuallyDrop::new(self).0).cast()
    }
}

impl<const SIZE: usize> Drop for Reserved<SIZE> {
    fn drop(&mut self) {
        self.0.release();
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
    unsafe fn give_back(_: NonNull<S>, place: NonNull<u8>, _: Layout) {
        // SAFETY: the place is the start of a slot, in a static.
        unsafe { place.cast::<Slot<SIZE>>().as_ref() }.release();
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
