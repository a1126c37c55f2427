//! An interrupt in every gap between two critical sections of the driver, one gap at a time.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

use embassy_time_driver::{now, schedule_wake};

use super::{COMPARE, DRIVER, advance_to, board, critical};

/// A task.
struct Sleeper {
    index: usize,
    /// When it is to be woken next.
    due: AtomicU64,
    wakes: AtomicUsize,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        assert!(!critical::is_inside());
        let (index, due, now) = (self.index, self.due.swap(u64::MAX, SeqCst), now());
        // Rather too early, for what the interrupt wanted, than too late.
        assert!(now <= due || !EXACT.get(), "sleeper {index} is woken at {now}, after {due}");
        self.wakes.fetch_add(1, SeqCst);
    }
}

thread_local! {
    /// Nothing but the alarm moves the clock.
    static EXACT: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone)]
struct Sleepers(Arc<[Arc<Sleeper>; 4]>);

impl Sleepers {
    fn new() -> Self {
        let sleeper = |index| {
            let (due, wakes) = (AtomicU64::new(u64::MAX), AtomicUsize::new(0));
            Arc::new(Sleeper { index, due, wakes })
        };
        Self(Arc::new([0, 1, 2, 3].map(sleeper)))
    }

    fn schedule(&self, index: usize, after: u64) {
        let (at, sleeper) = (now() + after, &self.0[index]);
        sleeper.due.fetch_min(at, SeqCst);
        schedule_wake(at, &Waker::from(Arc::clone(sleeper)));
        // It may have been woken for an earlier time, before this one was known to the driver.
        if at > now() {
            sleeper.due.fetch_min(at, SeqCst);
        }
    }

    /// What the program does, in whose gaps the interrupt comes.
    fn program(&self) {
        self.schedule(0, 10);
        self.schedule(1, 5);
        self.schedule(0, 3);
        self.schedule(2, 0);
        advance_to(now() + 4);
        self.schedule(1, 20);
        advance_to(now() + 4);
        // Becomes the first, and nothing but its alarm follows.
        self.schedule(0, 7);
    }
}

const INTERRUPTS: [fn(&Sleepers); 5] = [
    |_| advance_to(now() + 1),
    |_| advance_to(now() + 100),
    // Another waker, that becomes the first.
    |sleepers| sleepers.schedule(3, 1),
    // The one that is just being registered, perhaps.
    |sleepers| sleepers.schedule(0, 2),
    |sleepers| {
        sleepers.schedule(1, 50);
        advance_to(now() + 6);
    },
];

#[test]
fn an_interrupt_in_any_gap_loses_nobody_and_no_alarm() {
    let _board = board();
    for interrupt in INTERRUPTS {
        let mut gap = 0;
        loop {
            let sleepers = Sleepers::new();
            let inner = sleepers.clone();
            critical::interrupt_in_gap(gap, move || interrupt(&inner));
            sleepers.program();
            // The interrupt comes when the program is through, at the latest.
            let was_last = critical::take_interrupt().is_some_and(|interrupt| {
                interrupt();
                true
            });
            EXACT.set(true);
            while !DRIVER.is_empty() {
                let alarm = COMPARE.load(SeqCst);
                assert!(alarm < u64::MAX, "gap {gap}: somebody waits and no alarm is set");
                advance_to(alarm);
            }
            EXACT.set(false);
            for sleeper in &sleepers.0[..3] {
                let (index, wakes) = (sleeper.index, sleeper.wakes.load(SeqCst));
                assert!(wakes > 0, "gap {gap}: sleeper {index} was forgotten");
                assert_eq!(Arc::strong_count(sleeper), 1, "gap {gap}: a waker was leaked");
            }
            if was_last {
                break;
            }
            gap += 1;
        }
        assert!(gap > 10, "the driver has more gaps than {gap}");
    }
}
