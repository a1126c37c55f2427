//! Code of the user's that the runtime's threads call.

use std::sync::Arc;

use crate::primitives::contain;

pub(super) type Hook = Option<Arc<dyn Fn() + Send + Sync>>;

/// What the user wants to be called on the runtime's threads. A panic in it stays in it.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) start: Hook,
    pub(super) stop: Hook,
    pub(super) park: Hook,
    pub(super) unpark: Hook,
}

fn call(hook: &Hook) {
    if let Some(hook) = hook {
        contain(|| hook());
    }
}

impl Hooks {
    #[cfg(feature = "rt-multi-thread")]
    pub(super) fn thread_start(&self) {
        call(&self.start);
    }

    #[cfg(feature = "rt-multi-thread")]
    pub(super) fn thread_stop(&self) {
        call(&self.stop);
    }

    pub(super) fn thread_park(&self) {
        call(&self.park);
    }

    pub(super) fn thread_unpark(&self) {
        call(&self.unpark);
    }
}
