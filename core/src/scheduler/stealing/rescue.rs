//! Looking after a worker that is stuck in a poll.
//!
//! Its queues are within the reach of thieves, but not its LIFO slot: there a task may wait for the
//! worker alone. Whoever calls [`Handle::look_after`] now and then sees that a worker is awake and
//! has not begun a poll since the time before; then that task goes to an inbox, and thieves are woken
//! if it has more. The backend does the same for the timers and the driver.

use alloc::boxed::Box;

use super::Handle;
use crate::{
    platform::Platform,
    scheduler::{idle::News, metrics::Arrival},
    sync::Ordering,
};

/// A worker that has begun fewer polls than this since the last look may be in a long one.
const FEW_POLLS: usize = 16;

/// What was seen of each worker at the last look: how many polls it had begun, or that it slept.
#[derive(Debug)]
pub struct Glances(Box<[Option<usize>]>);

/// What a look has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// Workers that are awake.
    pub awake: usize,
    /// Those that have been in one poll, or in one call of the driver, since the last look.
    pub stuck: usize,
    /// Those that may be stuck, since they have begun only a few polls since then, or were asleep.
    pub slow: usize,
    /// Whether something of a worker that is awake would wait in vain if that were stuck.
    pub exposed: bool,
}

impl<P: Platform> Handle<P> {
    /// For whoever is going to [`look_after`](Self::look_after) the workers.
    pub fn glances(&self) -> Glances {
        Glances(self.0.slots.iter().map(|_| None).collect())
    }

    /// Takes the tasks that wait for workers which have not begun a poll since the last look, and
    /// queues them where others find them. The time between two looks is the backend's: some
    /// milliseconds. From any thread.
    ///
    /// `neglected` gets the index of each worker that is awake, and whether it is stuck, may take over
    /// what else of it waits (its timers), and says whether something of it would wait if it were.
    pub fn look_after(
        &self,
        glances: &mut Glances,
        mut neglected: impl FnMut(usize, bool) -> bool,
    ) -> Look {
        let shared = &self.0;
        let mut look = Look::default();
        for (index, (slot, glance)) in shared.slots.iter().zip(&mut glances.0).enumerate() {
            if shared.idle.is_asleep(index) {
                *glance = None;
                continue;
            }
            look.awake += 1;
            let polls = slot.own.counters.polls.get();
            let begun = glance.replace(polls).map(|before| polls.wrapping_sub(before));
            let is_stuck = begun == Some(0);
            look.slow += usize::from(begun.is_none_or(|begun| begun < FEW_POLLS));
            look.exposed |= neglected(index, is_stuck);
            if !is_stuck {
                look.exposed |= !slot.own.lifo.is_empty();
                continue;
            }
            look.stuck += 1;
            if let Some(task) = slot.own.lifo.visit::<P>() {
                // Ordering: Relaxed; the number stands for itself.
                shared.rescues.fetch_add(1, Ordering::Relaxed);
                shared.inject(task, Arrival::Woken);
                continue;
            }
            // Its owner has just been there, or is interrupted in that.
            look.exposed |= !slot.own.lifo.is_empty();
            if !slot.ring.is_empty() || !slot.overflow.is_empty() {
                // A worker pushes without a fence: a thief that went to sleep at that moment and the
                // worker may have missed each other, and the worker does not come to its tasks now.
                shared.notify(index, News::Outside);
            }
        }
        look
    }

    /// How many tasks [`look_after`](Self::look_after) has taken from stuck workers.
    pub fn rescues(&self) -> usize {
        self.0.rescues.load(Ordering::Relaxed)
    }

    /// Unparks a sleeping worker, not for a task but to have it do another round of its loop.
    pub fn recruit(&self) {
        self.0.recruit();
    }
}
