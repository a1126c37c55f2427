//! What an executor counts, and nothing where it does not.
//!
//! All numbers have one writer, the code that runs the tasks, so counting takes no read-modify-write.

use crate::sync::{CountOnly, Ordering};

/// How an executor counts: [`NoCounters`] or [`Counting`].
pub trait Counters: Send + Sync + 'static {
    /// As an executor starts.
    const NEW: Self;

    /// Whether polls are timed.
    const TIMED: bool;

    /// A task was polled, for so many of the board's cycles.
    fn polled(&self, cycles: u32);

    /// So many tasks came from wakes and spawns.
    fn queued(&self, tasks: usize);

    /// The executor sleeps.
    fn idles(&self);

    /// What was counted.
    fn read(&self) -> Counts;
}

/// What an executor has done so far. Each number but the longest poll wraps around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Polls of tasks.
    pub polls: u32,
    /// Tasks that a wake or a spawn put into the queue. A wake of a task that is in it already, or
    /// that is being polled, is none.
    pub wakes: u32,
    /// Sleeps.
    pub idles: u32,
    /// The longest poll, in [`Board::cycles`](super::Board::cycles).
    pub longest_poll: u32,
}

/// Counts nothing and takes no memory.
#[derive(Debug)]
pub struct NoCounters;

impl Counters for NoCounters {
    const NEW: Self = Self;
    const TIMED: bool = false;

    #[inline(always)]
    fn polled(&self, _: u32) {}

    #[inline(always)]
    fn queued(&self, _: usize) {}

    #[inline(always)]
    fn idles(&self) {}

    fn read(&self) -> Counts {
        Counts::default()
    }
}

/// Counts everything in [`Counts`].
#[derive(Debug)]
pub struct Counting {
    polls: CountOnly,
    wakes: CountOnly,
    idles: CountOnly,
    longest_poll: CountOnly,
}

fn get(counter: &CountOnly) -> u32 {
    // Ordering: Relaxed, here and below; each value stands for itself.
    counter.load(Ordering::Relaxed)
}

fn add(counter: &CountOnly, count: u32) {
    counter.store(get(counter).wrapping_add(count), Ordering::Relaxed);
}

impl Counters for Counting {
    const NEW: Self = Self {
        polls: CountOnly::new(0),
        wakes: CountOnly::new(0),
        idles: CountOnly::new(0),
        longest_poll: CountOnly::new(0),
    };
    const TIMED: bool = true;

    fn polled(&self, cycles: u32) {
        add(&self.polls, 1);
        if cycles > get(&self.longest_poll) {
            self.longest_poll.store(cycles, Ordering::Relaxed);
        }
    }

    fn queued(&self, tasks: usize) {
        add(&self.wakes, tasks as u32);
    }

    fn idles(&self) {
        add(&self.idles, 1);
    }

    fn read(&self) -> Counts {
        Counts {
            polls: get(&self.polls),
            wakes: get(&self.wakes),
            idles: get(&self.idles),
            longest_poll: get(&self.longest_poll),
        }
    }
}
