//! Looking after a worker that is stuck in a poll.
//!
//! Its queues are within the reach of thieves, but not its LIFO slot: there a task may wait for the
//! worker alone. Whoever calls [`Entered::look_after`] now and then sees that a worker is awake and
//! has not begun a poll since the time before; then it takes that task. The backend does the same
//! for the timers and the driver.

use super::worker::Entered;
use crate::platform::Platform;

/// What [`Entered::look_after`] has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Others {
    /// Workers that are awake, without the caller.
    pub awake: usize,
    /// Those that have been in one poll, or in one call of the driver, since the last look.
    pub stuck: usize,
    /// Whether a task would wait in vain if its worker were stuck: look again soon.
    pub exposed: bool,
    /// Whether there is something to run now.
    pub work: bool,
}

impl<P: Platform> Entered<'_, P> {
    /// Takes the tasks that wait for workers which have not begun a poll since the last call, and
    /// queues them here. The time between two calls is the backend's: some milliseconds.
    ///
    /// `neglected` gets the index of each worker that is awake, may take over what else of it waits
    /// (its timers), and says whether something of it would wait if it were stuck.
    ///
    /// May be called between [`Tick::Idle`](crate::scheduler::Tick::Idle) and the next tick.
    pub fn look_after(&self, neglected: impl Fn(usize) -> bool) -> Others {
        let mut others = Others::default();
        let Some(core) = self.core() else { return others };
        let slots = core.shared.slots.iter().enumerate();
        for (index, slot) in slots.filter(|&(index, _)| index != core.index) {
            let glance = &core.glances[index];
            if core.shared.idle.is_asleep(index) {
                glance.set(None);
                continue;
            }
            others.awake += 1;
            others.exposed |= neglected(index);
            let polls = slot.own.counters.polls.get();
            if glance.replace(Some(polls)) != Some(polls) {
                others.exposed |= !slot.own.lifo.is_empty();
                continue;
            }
            others.stuck += 1;
            if let Some(task) = slot.own.lifo.take() {
                core.slot().own.counters.rescues.add(1);
                core.push(task);
            }
        }
        others.work = core.shared.has_work();
        others
    }

    /// Ends the sleep that began with [`Tick::Idle`](crate::scheduler::Tick::Idle), as a tick would.
    pub fn wake_up(&self) {
        if let Some(core) = self.core() {
            core.wake_up();
        }
    }
}
