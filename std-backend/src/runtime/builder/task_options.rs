//! What happens around tasks: hooks, panics, random choices.

use std::sync::Arc;

use jenny_core::task::TaskMeta;

use super::{Builder, Flavor};
use crate::runtime::{RngSeed, UnhandledPanic};

impl Builder {
    /// Called when a task has been spawned, before anybody polls it, on the thread that spawns it.
    ///
    /// Each of the four task hooks is called for the tasks of the runtime, not for closures of
    /// [`spawn_blocking`](crate::task::spawn_blocking). A hook may spawn tasks itself, and is called
    /// for those, too. A panic in it stays in it. Setting a hook again replaces it.
    ///
    /// # Examples
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    ///
    /// let spawned = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&spawned);
    /// let runtime = jenny::runtime::Builder::new_current_thread()
    ///     .on_task_spawn(move |task| {
    ///         println!("task {} was spawned at {}", task.id(), task.spawned_at());
    ///         count.fetch_add(1, Ordering::Relaxed);
    ///     })
    ///     .build()?;
    /// runtime.spawn(async {});
    /// assert_eq!(spawned.load(Ordering::Relaxed), 1);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn on_task_spawn<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.task_hooks.spawned = Some(Arc::new(hook));
        self
    }

    /// Called when a task has ended, however it did: its future has been dropped, and whoever awaits
    /// it does not know yet. See [`on_task_spawn`](Self::on_task_spawn).
    pub fn on_task_terminate<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.task_hooks.terminated = Some(Arc::new(hook));
        self
    }

    /// Called before each poll of a task, as a part of it: [`task::id`](crate::task::id) is the
    /// task's. See [`on_task_spawn`](Self::on_task_spawn).
    pub fn on_before_task_poll<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.task_hooks.before_poll = Some(Arc::new(hook));
        self
    }

    /// Called after each poll of a task, as a part of it, also if it panicked. After the last one the
    /// future has been dropped. See [`on_task_spawn`](Self::on_task_spawn).
    pub fn on_after_task_poll<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.task_hooks.after_poll = Some(Arc::new(hook));
        self
    }

    /// What the panic of a task does to the runtime; nothing by default.
    ///
    /// # Panics
    /// If it is to end a multi-thread runtime, which has no thread to tell.
    ///
    /// # Examples
    /// A test that fails when a task does, whether or not somebody awaits it:
    /// ```should_panic
    /// use jenny::runtime::{Builder, UnhandledPanic};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .unhandled_panic(UnhandledPanic::ShutdownRuntime)
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async {
    ///     jenny::spawn(async { panic!("nobody looks") });
    ///     std::future::pending::<()>().await
    /// });
    /// ```
    #[track_caller]
    pub fn unhandled_panic(&mut self, policy: UnhandledPanic) -> &mut Self {
        let shut_down = match policy {
            UnhandledPanic::Ignore => false,
            UnhandledPanic::ShutdownRuntime => true,
        };
        assert!(
            !shut_down || self.flavor == Flavor::CurrentThread,
            "only a runtime on one thread can be shut down by a panic: \
             use `Builder::new_current_thread`, or await the tasks"
        );
        self.shutdown_on_panic = shut_down;
        self
    }

    /// Fixes the random choices of the runtime: which worker another one steals from first. By
    /// default the system seeds them.
    ///
    /// `select!` is Tokio's and makes its choices without the runtime.
    pub fn rng_seed(&mut self, seed: RngSeed) -> &mut Self {
        self.rng_seed = Some(seed);
        self
    }
}

#[cfg(test)]
mod tests {
    use jenny_core::platform::Platform;

    use super::*;

    /// What the workers of two runtimes begin with.
    fn seeds(one: &Builder, other: &Builder) -> [Vec<u64>; 2] {
        [one, other].map(|builder| {
            let platform = builder.platform();
            (0..4).map(|_| platform.seed()).collect()
        })
    }

    #[test]
    fn the_seed_fixes_the_choices_of_all_workers() {
        let builder = |seed: Option<&[u8]>| {
            let mut builder = Builder::new_current_thread();
            if let Some(seed) = seed {
                builder.rng_seed(RngSeed::from_bytes(seed));
            }
            builder
        };
        let (warp, weft, none) = (builder(Some(b"warp")), builder(Some(b"weft")), builder(None));
        let [first, second] = seeds(&warp, &builder(Some(b"warp")));
        assert_eq!(first, second);
        let [first, second] = seeds(&warp, &weft);
        assert_ne!(first, second);
        let [first, second] = seeds(&none, &builder(None));
        assert_ne!(first, second);
    }
}
