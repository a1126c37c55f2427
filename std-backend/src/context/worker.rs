//! The worker of the current thread, for tasks that block.
//!
//! What a worker is made of is the runtime's business, above this floor; here is only what
//! `block_in_place` asks of it.

use std::{cell::RefCell, rc::Rc};

use super::Id;

/// A worker on its thread.
pub(crate) trait OnThread {
    /// The [id](super::Ambient::id) of its runtime.
    fn runtime(&self) -> Id;

    /// Runs the closure, which blocks, while the worker goes on on another thread, if it can.
    fn go_on_elsewhere(&self, block: &mut dyn FnMut());
}

thread_local! {
    static WORKER: RefCell<Option<Rc<dyn OnThread>>> = const { RefCell::new(None) };
}

/// The worker that this thread is, or was until a task of its took it away.
pub(crate) fn worker() -> Option<Rc<dyn OnThread>> {
    WORKER.try_with(|worker| worker.borrow().clone()).ok().flatten()
}

/// Whether this thread can have a worker within its reach: not when it is ending.
pub(crate) fn is_possible() -> bool {
    WORKER.try_with(|_| ()).is_ok()
}

/// Keeps a worker within its thread's reach.
#[must_use]
pub(crate) struct WorkerGuard(Option<Rc<dyn OnThread>>);

/// Makes a worker this thread's, until the guard is dropped.
pub(crate) fn set_worker(worker: Rc<dyn OnThread>) -> WorkerGuard {
    WorkerGuard(WORKER.replace(Some(worker)))
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        drop(WORKER.replace(self.0.take()));
    }
}
