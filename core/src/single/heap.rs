//! Tasks on the heap.

use core::future::Future;

use super::graves::Deferred;
use super::{Board, Counters, Executor, SpawnError, Spawner};
use crate::{
    sync::try_allocate,
    task::{self, JoinHandle, Spawned},
};

impl<B: Board, C: Counters> Executor<B, C> {
    /// Spawns a task on the heap. From anywhere; in an interrupt only if the allocator may be called
    /// there. After the shutdown its handle resolves to cancelled.
    #[track_caller]
    pub fn spawn<F>(&'static self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self.try_spawn(future) {
            Ok(join) => join,
            Err(error) => panic!("{error}; `try_spawn` returns this as an error"),
        }
    }

    /// As [`spawn`](Self::spawn), where memory may be short.
    ///
    /// # Errors
    /// [`SpawnError`], with the future, if the allocator has no memory for the task.
    #[track_caller]
    pub fn try_spawn<F>(&'static self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.graves.free(&self.attention);
        let Some(place) = try_allocate(task::layout::<F, Self>()) else {
            return Err(SpawnError::new(future));
        };
        // SAFETY: the place is fresh memory from the heap.
        Ok(unsafe { self.spawn_in::<F, Deferred>(place, future, Spawned::here()) })
    }
}

impl<B: Board, C: Counters> Spawner<B, C> {
    /// Spawns a task on the heap whose future need not be `Send`. After the shutdown its handle
    /// resolves to cancelled.
    #[track_caller]
    pub fn spawn_local<F: Future + 'static>(self, future: F) -> JoinHandle<F::Output> {
        match self.try_spawn_local(future) {
            Ok(join) => join,
            Err(error) => panic!("{error}; `try_spawn_local` returns this as an error"),
        }
    }

    /// As [`spawn_local`](Self::spawn_local), where memory may be short.
    ///
    /// # Errors
    /// [`SpawnError`], with the future, if the allocator has no memory for the task.
    #[track_caller]
    pub fn try_spawn_local<F: Future + 'static>(
        self,
        future: F,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>> {
        let executor = self.executor();
        executor.graves.free(&executor.attention);
        let Some(place) = try_allocate(task::layout::<F, Executor<B, C>>()) else {
            return Err(SpawnError::new(future));
        };
        // SAFETY: the place is fresh memory from the heap.
        Ok(unsafe { self.spawn_in::<F, Deferred>(place, future, Spawned::here()) })
    }
}
