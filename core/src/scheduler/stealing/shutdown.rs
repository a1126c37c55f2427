//! The tick once the scheduler is closing: steps 2 to 5 of `scheduler/README.md`.

use core::ptr;

use super::{core::Core, worker::Entered};
use crate::{platform::Platform, scheduler::Tick, sync::Ordering};

impl<P: Platform> Entered<'_, P> {
    /// Cancels what this worker can reach; `Stopped` once none of its tasks is alive.
    #[cold]
    pub(super) fn tick_closing(&self, core: &Core<P>) -> Tick {
        if core.stopped.get() {
            return Tick::Stopped;
        }
        loop {
            if core.searching.replace(false) {
                // Whoever relied on this search is served by the look into all inboxes below.
                core.shared.idle.leave_search();
            }
            if !core.owned.is_closed() {
                core.owned.close(|done| core.finish(done));
            }
            self.cancel_queued(core);
            if core.owned.is_empty() {
                return self.stop(core);
            }
            if core.sleep() {
                return Tick::Idle;
            }
        }
    }

    /// Step 3: cancels what the inboxes hold now and all that is in the own queues, and collects the
    /// returns.
    ///
    /// Each inbox is drained once: threads that go on spawning may not keep the worker from stopping.
    /// What they bring later is cancelled by the last worker, or refused.
    fn cancel_queued(&self, core: &Core<P>) {
        for slot in &core.shared.slots {
            for task in slot.inbox.drain().into_batch() {
                core.slot().own.counters.inbox_takes.add(1);
                self.cancel(core, task);
            }
        }
        loop {
            // Drops of futures may schedule more.
            while let Some(task) = core.next_without_inbox() {
                self.cancel(core, task);
            }
            let rest = core.slot().overflow.drain_all();
            if rest.is_empty() {
                break;
            }
            for task in rest {
                self.cancel(core, task);
            }
        }
        core.owned.collect(&core.slot().owned);
    }

    /// Steps 4 and 5.
    fn stop(&self, core: &Core<P>) -> Tick {
        core.stopped.set(true);
        // This thread is a stranger from here on: what it wakes goes to an inbox.
        self.frame.set_local(ptr::null());
        let shared = &core.shared;
        shared.dumps.leave(core.index, &core.dump);
        // Ordering: AcqRel; the last worker sees all that the others have done.
        if shared.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            for slot in &shared.slots {
                for task in slot.inbox.close().into_batch() {
                    core.slot().own.counters.inbox_takes.add(1);
                    // No task that is bound to a worker is alive: this gives nothing back.
                    core.finish(task.cancel());
                }
            }
        }
        Tick::Stopped
    }
}
