//! Whether it pays for a worker to take tasks from others.
//!
//! A task that was made on one processor and runs on another brings its memory along, and takes the
//! owner's queue out of the owner's cache: a few hundred nanoseconds. A task that runs for less than
//! that is done sooner where it is, and two workers that share such tasks get less done than one. How
//! long a task will take nobody knows; but a thief knows how long those took that it had.
//!
//! So a thief looks at the clock when it steals, and when it has nothing left to do. If that was too
//! little for each stolen task, the theft was **poor**; tasks that brought more work, by spawning or
//! by waking others, were worth it. After a poor theft the next one is a taste. After another, and as
//! long as they are poor, the worker **rests** before it steals again: it sleeps although others have
//! work, for a quarter of a millisecond at first and for two at most (a backend that sleeps in whole
//! milliseconds makes one of a quarter). Work from outside wakes it all
//! the same, and an owner that got nothing done meanwhile is stuck: to help is worth it, then. But an owner
//! may also get nothing done because the thief has its processor, on which the system has woken it. So
//! the thief offers that first.

use core::{cell::Cell, time::Duration};

use crate::{queue::ring, sync::shrunk};

/// A theft is poor if each of its tasks has kept the thief busy for less than so many nanoseconds. On
/// the machines that were measured, stolen tasks that do nothing took 200 to 350.
const PAYS_FROM: u64 = 500;

/// How many tasks a thief takes at most after a poor theft.
const TASTE: usize = 8;

/// Poor thefts in a row before the first rest. The end of a piece of work is poor, too.
const POOR: u32 = shrunk(2, 1);

/// The first rest.
const REST: Duration = Duration::from_micros(250);

/// How often a rest is doubled.
const DOUBLED: u32 = 3;

/// At most so many offers, as a power of two, are left out after those in vain.
const MOST_VAIN: u8 = 8;

/// What a thief knows of its thefts.
#[derive(Default)]
pub(super) struct Appetite {
    theft: Cell<Option<Theft>>,
    /// How many thefts in a row were poor.
    poor: Cell<u32>,
    rests: Cell<bool>,
    /// How many offers in a row changed nothing, and how many are left out until the next.
    vain: Cell<u8>,
    left_out: Cell<u16>,
}

/// A theft whose tasks may still run.
#[derive(Clone, Copy)]
pub(super) struct Theft {
    /// When it began.
    pub(super) since: u64,
    pub(super) tasks: usize,
    pub(super) victim: usize,
    /// How much the victim had done.
    pub(super) progress: usize,
}

impl Appetite {
    /// How many tasks to take at most.
    pub(super) fn most(&self) -> usize {
        if self.poor.get() == 0 { ring::CAPACITY } else { TASTE }
    }

    /// The worker has stolen something.
    pub(super) fn stole(&self, theft: Theft) {
        self.theft.set(Some(theft));
    }

    /// The worker has nothing left to do. `now` is asked for, and how much the victim has done by now,
    /// if there was a theft since the last time; and again after an `offer` of this processor.
    #[inline]
    pub(super) fn judge(
        &self,
        now: impl FnOnce() -> Option<u64>,
        progress: impl Fn(usize) -> usize,
        offer: impl FnOnce(),
    ) {
        let Some(theft) = self.theft.take() else { return };
        let Some(now) = now() else { return };
        let has_progressed = || progress(theft.victim) != theft.progress;
        let progresses = || {
            has_progressed()
                || (self.may_offer() && {
                    offer();
                    self.learn(has_progressed())
                })
        };
        let is_poor =
            now.wrapping_sub(theft.since) < PAYS_FROM * theft.tasks as u64 && progresses();
        let poor = if is_poor { self.poor.get().saturating_add(1) } else { 0 };
        self.poor.set(poor);
        self.rests.set(poor >= POOR);
    }

    /// Beside other processes an offer may cost a slice of the processor's time, and those who wait for a
    /// worker that is stuck wait for that, too.
    fn may_offer(&self) -> bool {
        let left_out = self.left_out.get();
        self.left_out.set(left_out.saturating_sub(1));
        left_out == 0
    }

    /// Whether an offer has changed anything.
    fn learn(&self, paid: bool) -> bool {
        let vain = if paid { 0 } else { MOST_VAIN.min(self.vain.get() + 1) };
        self.vain.set(vain);
        self.left_out.set((1 << vain) - 1);
        paid
    }

    /// Whether the worker is to sleep before it steals again, although others have work.
    pub(super) fn rests(&self) -> bool {
        self.rests.get()
    }

    /// For how long; `None` if it does not.
    pub(super) fn rest(&self) -> Option<Duration> {
        let poor = self.poor.get();
        self.rests.get().then(|| REST * (1 << poor.saturating_sub(POOR).min(DOUBLED)))
    }

    /// The rest is over.
    pub(super) fn rested(&self) {
        self.rests.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theft(tasks: usize) -> Theft {
        Theft { since: 1000, tasks, victim: 0, progress: 7 }
    }

    #[test]
    fn only_thefts_in_a_row_that_brought_little_make_a_thief_rest() {
        let appetite = Appetite::default();
        let steals = |tasks: usize, took: u64| {
            appetite.stole(theft(tasks));
            appetite.judge(|| Some(1000 + took), |_| 8, || unreachable!());
            (appetite.most(), appetite.rest())
        };
        let half = ring::CAPACITY;
        assert_eq!(steals(10, 10 * PAYS_FROM), (half, None));
        assert_eq!(steals(10, 10 * PAYS_FROM - 1), (TASTE, None));
        assert_eq!(steals(1, PAYS_FROM), (half, None));
        assert_eq!(steals(1, 1), (TASTE, None));
        let rests: [_; 8] = core::array::from_fn(|_| steals(8, 100).1.map(|rest| rest.as_micros()));
        assert_eq!(rests, [250, 500, 1000, 2000, 2000, 2000, 2000, 2000].map(Some));
        assert_eq!(steals(8, 8 * PAYS_FROM), (half, None));
    }

    #[test]
    fn help_for_a_worker_that_gets_nothing_done_is_never_poor() {
        let appetite = Appetite::default();
        for _ in 0..5 {
            appetite.stole(theft(10));
            appetite.judge(|| Some(1001), |_| 7, || {});
            assert_eq!((appetite.most(), appetite.rest()), (ring::CAPACITY, None));
        }
    }

    #[test]
    fn who_has_kept_the_victim_from_its_processor_has_not_helped_it() {
        let appetite = Appetite::default();
        let progress = Cell::new(7);
        for _ in 0..2 {
            appetite.stole(theft(10));
            progress.set(7);
            appetite.judge(|| Some(1001), |_| progress.get(), || progress.set(8));
        }
        assert!(appetite.rests());
    }

    #[test]
    fn offers_in_vain_become_rare() {
        let appetite = Appetite::default();
        let (progress, offers) = (Cell::new(7), Cell::new(0));
        let offers_in = |thefts: u32, pays: bool| {
            offers.set(0);
            for _ in 0..thefts {
                progress.set(7);
                appetite.stole(theft(10));
                let offer = || {
                    offers.set(offers.get() + 1);
                    progress.set(if pays { 8 } else { 7 });
                };
                appetite.judge(|| Some(1001), |_| progress.get(), offer);
            }
            offers.get()
        };
        assert_eq!(offers_in(10, true), 10);
        assert!(offers_in(1000, false) < 12);
        assert!(offers_in(1000, true) > 700, "one that pays ends that");
    }

    #[test]
    fn without_a_clock_nobody_rests_and_a_rest_is_for_once() {
        let appetite = Appetite::default();
        for _ in 0..5 {
            appetite.stole(theft(10));
            appetite.judge(|| None, |_| 8, || {});
            assert!(!appetite.rests());
        }
        for _ in 0..2 {
            appetite.stole(theft(10));
            appetite.judge(|| Some(1001), |_| 8, || {});
        }
        appetite.judge(|| Some(2000), |_| 9, || {});
        assert!(appetite.rests(), "there was no other theft");
        appetite.rested();
        assert!(!appetite.rests());
    }
}
