//! The locks of queues and wheels: one thread at a time, whichever way it goes, and none that waits for
//! ever.

use std::sync::Arc as StdArc;

use jenny::loom_internals::locks::{BiasedLock, BriefLock};
use jenny_core::lock::RawLock;
use loom::{cell::UnsafeCell, thread};

use crate::harness::{Bounds, check};

/// What the lock is around: loom reports an access that is not ordered with the others.
struct Guarded<L> {
    lock: L,
    uses: UnsafeCell<usize>,
}

impl<L: RawLock> Guarded<L> {
    fn new() -> StdArc<Self> {
        StdArc::new(Self { lock: L::new(), uses: UnsafeCell::new(0) })
    }

    fn use_times(&self, times: usize) {
        for _ in 0..times {
            // SAFETY: the lock keeps others out, or else loom reports it.
            self.lock.with(|| self.uses.with_mut(|uses| unsafe { *uses += 1 }));
        }
    }

    fn uses(&self) -> usize {
        // SAFETY: as in `use_times`.
        self.lock.with(|| self.uses.with(|uses| unsafe { *uses }))
    }
}

/// The second use in a row makes a favourite, the third goes the short way, and a stranger comes.
#[test]
fn a_stranger_against_the_favourite() {
    check("biased lock: a stranger against the favourite", Bounds::preemptions(3), || {
        let guarded = Guarded::<BiasedLock>::new();
        guarded.use_times(2);
        let stranger = {
            let guarded = StdArc::clone(&guarded);
            thread::spawn(move || guarded.use_times(1))
        };
        guarded.use_times(2);
        stranger.join().unwrap();
        assert_eq!(guarded.uses(), 5);
    });
}

/// Both become the favourite, one after the other, and end each other's preference.
#[test]
fn two_that_become_the_favourite() {
    check("biased lock: two that become the favourite", Bounds::preemptions(2), || {
        let guarded = Guarded::<BiasedLock>::new();
        let other = {
            let guarded = StdArc::clone(&guarded);
            thread::spawn(move || guarded.use_times(3))
        };
        guarded.use_times(4);
        other.join().unwrap();
        assert_eq!(guarded.uses(), 7);
    });
}

/// Two strangers at once: one of them ends the preference.
#[test]
fn two_strangers_against_the_favourite() {
    check("biased lock: two strangers against the favourite", Bounds::preemptions(2), || {
        let guarded = Guarded::<BiasedLock>::new();
        guarded.use_times(2);
        let strangers = [(); 2].map(|()| {
            let guarded = StdArc::clone(&guarded);
            thread::spawn(move || guarded.use_times(1))
        });
        guarded.use_times(1);
        for stranger in strangers {
            stranger.join().unwrap();
        }
        assert_eq!(guarded.uses(), 5);
    });
}

/// One becomes the favourite again, and what it has answered the first time means nothing the second time.
#[test]
fn a_stranger_comes_again() {
    check("biased lock: a stranger comes again", Bounds::preemptions(3), || {
        let guarded = Guarded::<BiasedLock>::new();
        guarded.use_times(2);
        let stranger = {
            let guarded = StdArc::clone(&guarded);
            thread::spawn(move || guarded.use_times(2))
        };
        guarded.use_times(3);
        stranger.join().unwrap();
        assert_eq!(guarded.uses(), 7);
    });
}

/// Both come late in some order, and what one has done is seen by the other.
#[test]
fn two_threads_take_turns() {
    check("brief lock: two threads take turns", Bounds::preemptions(3), || {
        let guarded = Guarded::<BriefLock>::new();
        let other = {
            let guarded = StdArc::clone(&guarded);
            thread::spawn(move || guarded.use_times(2))
        };
        guarded.use_times(2);
        other.join().unwrap();
        assert_eq!(guarded.uses(), 4);
    });
}

/// Two wait at once when it is opened: one of them has it.
#[test]
fn two_wait_for_a_third() {
    check("brief lock: two wait for a third", Bounds::preemptions(1), || {
        let guarded = Guarded::<BriefLock>::new();
        let others = [(); 2].map(|()| {
            let guarded = StdArc::clone(&guarded);
            thread::spawn(move || guarded.use_times(1))
        });
        guarded.use_times(1);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(guarded.uses(), 3);
    });
}
