//! Both forms on real threads, each claim asserted: never two `Runnable`s, never two polls at a
//! time, no wake lost, the future dropped once, the cell freed once and not touched afterwards.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::form::{End, Form, ShutDown, Start};

/// A queue of one task, because one task has at most one `Runnable`.
struct Inbox(AtomicUsize);

const EMPTY: usize = 0;
const FULL: usize = 1;
const CLOSED: usize = 2;

impl Inbox {
    /// False: it is closed, and the caller keeps the `Runnable`.
    fn push(&self) -> bool {
        match self.0.compare_exchange(EMPTY, FULL, SeqCst, SeqCst) {
            Ok(_) => true,
            Err(CLOSED) => false,
            Err(_) => panic!("a second Runnable of one task"),
        }
    }

    fn pop(&self) -> bool {
        self.0.compare_exchange(FULL, EMPTY, SeqCst, SeqCst).is_ok()
    }

    fn close(&self) -> bool {
        self.0.swap(CLOSED, SeqCst) == FULL
    }
}

struct Task<F> {
    state: F,
    inbox: Inbox,
    polling: AtomicBool,
    sent: AtomicU64,
    seen: AtomicU64,
    dropped_futures: AtomicUsize,
    freed: AtomicUsize,
}

impl<F: Form> Task<F> {
    fn spawn() -> Arc<Self> {
        Arc::new(Self {
            state: F::spawned(),
            inbox: Inbox(AtomicUsize::new(FULL)),
            polling: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            dropped_futures: AtomicUsize::new(0),
            freed: AtomicUsize::new(0),
        })
    }

    /// The `Arc` keeps the memory, so a premature free shows up as a count instead of as chaos.
    fn free(&self) {
        assert_eq!(self.freed.fetch_add(1, SeqCst), 0, "freed twice");
    }

    fn alive(&self) -> &F {
        assert_eq!(self.freed.load(SeqCst), 0, "used after the last reference went");
        &self.state
    }

    /// One turn of the poller; every fourth poll wakes itself.
    fn turn(&self) {
        if !self.inbox.pop() {
            return spin_loop();
        }
        let Start::Poll(ticket) = self.alive().start_poll() else { panic!("nobody cancels") };
        assert!(!self.polling.swap(true, SeqCst), "two polls at a time");
        let seen = self.sent.load(SeqCst);
        self.seen.store(seen, SeqCst);
        if seen.is_multiple_of(4) && seen > 0 && self.sent.fetch_add(1, SeqCst) == seen {
            assert!(!self.state.wake_by_ref(), "the Runnable is here");
        }
        assert!(self.polling.swap(false, SeqCst));
        if self.state.end_poll(ticket) == End::Again {
            assert!(self.inbox.push());
        }
    }
}

/// Two threads wake one task while this one polls it. Returns nanoseconds per wake.
pub(crate) fn contended<F: Form>(wakes: u64) -> f64 {
    let task = Task::<F>::spawn();
    let start = Instant::now();
    let wakers: Vec<_> = (0..2)
        .map(|_| {
            let task = task.clone();
            task.alive().clone_waker();
            thread::spawn(move || {
                for wake in 0..wakes {
                    task.sent.fetch_add(1, SeqCst);
                    let clone = wake % 2 == 0;
                    if clone {
                        task.alive().clone_waker();
                    }
                    if task.alive().wake_by_ref() {
                        assert!(task.inbox.push());
                    }
                    if clone {
                        assert!(!task.alive().drop_reference());
                    }
                }
                assert!(!task.alive().drop_reference(), "the owned list still has one");
            })
        })
        .collect();
    while wakers.iter().any(|waker| !waker.is_finished()) {
        task.turn();
    }
    wakers.into_iter().for_each(|waker| waker.join().expect("a waker's assertion"));
    while task.inbox.0.load(SeqCst) == FULL {
        task.turn();
    }
    let elapsed = start.elapsed();
    assert_eq!(task.seen.load(SeqCst), task.sent.load(SeqCst), "a wake was lost");
    elapsed.as_nanos() as f64 / (2 * wakes) as f64
}

/// What the shutdown race showed, in rounds.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    pub(crate) rounds: u64,
    /// The owner had to wait for a `Runnable` that a foreign waker had made but not yet pushed.
    pub(crate) waited: u64,
    pub(crate) longest_wait: Duration,
    /// A push met a closed inbox: the waker has a `Runnable` of a task that is already complete.
    pub(crate) late: u64,
    /// The owner took a `Runnable` from the inbox whose task it had already cancelled.
    pub(crate) stale: u64,
}

/// The owner cancels an idle task while another thread wakes it.
pub(crate) fn shutdown<F: Form>(rounds: u64) -> Windows {
    let mut windows = Windows { rounds, ..Windows::default() };
    let tasks: Vec<_> = (0..rounds).map(|_| Task::<F>::spawn()).collect();
    // Both sides announce the round that they have reached and wait for the other.
    let (owner, foreign) = (&AtomicU64::new(0), &AtomicU64::new(0));
    let meet = |mine: &AtomicU64, other: &AtomicU64, round: u64| {
        mine.store(round, SeqCst);
        let mut spins = 0;
        while other.load(SeqCst) < round {
            spins += 1;
            if spins % 1024 == 0 { thread::yield_now() } else { spin_loop() }
        }
    };

    thread::scope(|scope| {
        let waker = scope.spawn(|| {
            let mut late = 0;
            for (round, task) in (1..).zip(&tasks) {
                meet(foreign, owner, round);
                (0..round * 7 % 61).for_each(|_| spin_loop());
                if task.alive().wake_by_ref() {
                    // The window: the Runnable exists and is in no queue.
                    (0..round * 5 % 31).for_each(|_| spin_loop());
                    if !task.inbox.push() {
                        late += 1;
                        match task.alive().start_poll() {
                            Start::Stale { last } if last => task.free(),
                            Start::Stale { .. } => {}
                            _ => panic!("a live task outlasted its inbox"),
                        }
                    }
                }
                // Schedule has returned; only now may the reference go.
                if task.alive().drop_reference() {
                    task.free();
                }
            }
            late
        });

        for (round, task) in (1..).zip(&tasks) {
            task.turn();
            task.alive().clone_waker();
            meet(owner, foreign, round);
            (0..round * 3 % 67).for_each(|_| spin_loop());
            cancel(task, &mut windows);
        }
        windows.late = waker.join().expect("the waker's assertions");
    });

    for task in &tasks {
        assert_eq!(task.dropped_futures.load(SeqCst), 1);
        assert_eq!(task.freed.load(SeqCst), 1, "leaked");
        assert_eq!(task.inbox.0.load(SeqCst), CLOSED);
    }
    windows
}

/// The owner's shutdown of one task: cancel, close the inbox, drain it, let the handle go.
fn cancel<F: Form>(task: &Task<F>, windows: &mut Windows) {
    match task.alive().shut_down() {
        ShutDown::Mine => {}
        ShutDown::Theirs => {
            windows.waited += 1;
            let start = Instant::now();
            while !task.inbox.pop() {
                thread::yield_now();
            }
            windows.longest_wait = windows.longest_wait.max(start.elapsed());
            assert!(matches!(task.alive().start_poll(), Start::Cancel));
        }
        ShutDown::Complete => panic!("only the owner completes it"),
    }
    assert!(!task.polling.swap(true, SeqCst));
    task.dropped_futures.fetch_add(1, SeqCst);
    assert!(!task.alive().complete(), "nobody joins");
    assert!(!task.alive().drop_reference(), "the JoinHandle has one");
    if task.inbox.close() {
        windows.stale += 1;
        match task.alive().start_poll() {
            Start::Stale { last } => assert!(!last, "the JoinHandle has one"),
            _ => panic!("a live task in a closed inbox"),
        }
    }
    if task.alive().drop_reference() {
        task.free();
    }
}
