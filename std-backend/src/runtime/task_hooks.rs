//! Code of the user's that is called about tasks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jenny_core::{
    scheduler::Current,
    task::{Observer, TaskMeta},
};

use crate::{platform::AnyRuntime, stats::PollTimer};

/// Called with a task, on the thread where it happens.
pub(super) type TaskHook = Option<Arc<dyn Fn(&TaskMeta<'_>) + Send + Sync>>;

/// What the user wants to hear of each task. The core contains the panics.
#[derive(Clone, Default)]
pub(super) struct TaskHooks {
    pub(super) spawned: TaskHook,
    pub(super) before_poll: TaskHook,
    pub(super) after_poll: TaskHook,
    pub(super) terminated: TaskHook,
    /// Set when a task panics, if that is to end the runtime.
    pub(super) panicked: Option<Arc<AtomicBool>>,
    /// Takes the time of the polls, without the hooks.
    pub(super) timer: Option<PollTimer>,
}

impl TaskHooks {
    /// The observer of a scheduler; none if nobody wants to hear anything, because then the tasks do
    /// not pay for it.
    pub(super) fn observer(self) -> Option<Box<dyn Observer>> {
        let Self { spawned, before_poll, after_poll, terminated, panicked, timer } = &self;
        let hooks = [spawned, before_poll, after_poll, terminated];
        let wanted =
            panicked.is_some() || timer.is_some() || hooks.into_iter().any(Option::is_some);
        wanted.then(|| Box::new(self) as Box<dyn Observer>)
    }
}

fn call(hook: &TaskHook, task: &TaskMeta<'_>) {
    if let Some(hook) = hook {
        hook(task);
    }
}

/// Starts the clock when it is dropped, also by a hook that panics: the end of the poll stops it in
/// any case, and would otherwise stop that of the poll around it.
struct StartsClock<'a> {
    timer: &'a PollTimer,
    task: &'a TaskMeta<'a>,
}

impl Drop for StartsClock<'_> {
    fn drop(&mut self) {
        self.timer.before_poll(self.task);
    }
}

impl Observer for TaskHooks {
    fn spawned(&self, task: &TaskMeta<'_>) {
        call(&self.spawned, task);
    }

    fn before_poll(&self, task: &TaskMeta<'_>) {
        let _clock = self.timer.as_ref().map(|timer| StartsClock { timer, task });
        call(&self.before_poll, task);
    }

    fn after_poll(&self, task: &TaskMeta<'_>) {
        if let Some(timer) = &self.timer {
            timer.after_poll(task);
        }
        call(&self.after_poll, task);
    }

    fn panicked(&self, _: &TaskMeta<'_>) {
        if let Some(panicked) = &self.panicked {
            // Ordering: Relaxed; the worker's own thread looks at it next.
            panicked.store(true, Ordering::Relaxed);
            Current::<AnyRuntime>::end_tick();
        }
    }

    fn terminated(&self, task: &TaskMeta<'_>) {
        call(&self.terminated, task);
    }
}
