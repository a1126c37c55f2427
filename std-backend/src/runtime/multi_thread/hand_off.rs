//! A task blocks its thread, and its worker goes on elsewhere.
//!
//! The seat is put where two may take it: a thread of the blocking pool, which is called for it, and
//! this thread when it is done blocking. Whoever comes first has it. If it is the pool's thread, this
//! one finishes the poll as a stranger to the scheduler, and then ends, or goes back to the pool. The
//! seat of a guest has a thread that waits for it, and goes there.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Worker,
    seat::{Desk, Seat},
};
use crate::{
    context::{Id, worker::OnThread},
    primitives::contain,
};

impl OnThread for Desk {
    fn runtime(&self) -> Id {
        self.team.ambient.id
    }

    fn go_on_elsewhere(&self, block: &mut dyn FnMut()) {
        let blocked = self.team.scheduler.detached(|worker| {
            // None if the worker is elsewhere already, or shutting down.
            let lent = worker.and_then(|worker| {
                if self.is_guest() { self.bring(worker) } else { Lent::to_the_pool(self, worker) }
            });
            // After a panic, too, this may be the only thread that the worker gets.
            let blocked = catch_unwind(AssertUnwindSafe(block));
            (lent.and_then(|lent| lent.take_back(self)), blocked)
        });
        if let Err(panic) = blocked {
            resume_unwind(panic);
        }
    }
}

impl Desk {
    /// Brings a guest's seat to the thread that waits for it.
    fn bring(&self, worker: Worker) -> Option<Lent> {
        let berth = worker.index()?;
        self.team.berths[berth].bring(self.clear(worker)?);
        None
    }
}

/// A seat that waits for its next thread.
struct Lent(Arc<Mutex<Option<Seat>>>);

impl Lent {
    fn to_the_pool(desk: &Desk, worker: Worker) -> Option<Self> {
        let lent = Self(Arc::new(Mutex::new(Some(desk.clear(worker)?))));
        let taker = Self(Arc::clone(&lent.0));
        let run = Box::new(move || {
            if let Some(seat) = taker.take() {
                seat.run();
            }
        });
        // Without a thread, or a name for it, the worker waits for the closure to return. Other
        // workers steal from it.
        contain(|| drop(desk.team.ambient.blocking.run_now(run)));
        Some(lent)
    }

    fn take(&self) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn take_back(self, desk: &Desk) -> Option<Worker> {
        self.take().map(|seat| desk.restore(seat))
    }
}
