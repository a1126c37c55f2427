//! The blocking pool: every job is run, cancelled or handed back, exactly once, whatever the
//! shutdown, the time-outs and the other threads do meanwhile.

use std::{
    sync::{
        Arc as StdArc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jenny::loom_internals::pool::{Config, Job, Mandatory, Pool, SpawnError};
use loom::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::harness::{Bounds, check};

/// Threads that end as soon as there is nothing to do: loom's timed waits time out at once.
const NEVER_IDLE: Duration = Duration::ZERO;
/// Threads that wait until they are needed.
const ALWAYS_IDLE: Duration = Duration::MAX;

/// What has become of the jobs of one execution. These are not the model's own variables, so they
/// are std's: the less loom sees, the further it comes.
#[derive(Default)]
struct Ledger {
    run: AtomicUsize,
    cancelled: AtomicUsize,
    handed_back: AtomicUsize,
    dropped: AtomicUsize,
}

impl Ledger {
    /// Asserts that so many jobs have ended, each in one way.
    fn closes_with(&self, jobs: usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        assert_eq!(read(&self.dropped), jobs, "each job is dropped once");
        let ended = read(&self.run) + read(&self.cancelled) + read(&self.handed_back);
        assert_eq!(ended, jobs, "each job ends in one way");
    }

    fn run(&self) -> usize {
        self.run.load(Ordering::SeqCst)
    }
}

struct Entry {
    ledger: StdArc<Ledger>,
    then: Option<Box<dyn FnOnce() + Send>>,
}

impl Job for Entry {
    fn run(mut self) {
        self.ledger.run.fetch_add(1, Ordering::SeqCst);
        if let Some(then) = self.then.take() {
            then();
        }
    }

    fn cancel(self) {
        self.ledger.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A pool and its ledger.
struct House {
    pool: Arc<Pool<Entry>>,
    ledger: StdArc<Ledger>,
}

impl House {
    fn new(max_threads: usize, keep_alive: Duration) -> Self {
        let config = Config {
            max_threads,
            max_coming: 1,
            max_queue: usize::MAX,
            keep_alive,
            thread_name: StdArc::new(String::new),
            stack_size: None,
            on_start: None,
            on_stop: None,
            may_start: None,
            on_quiet: None,
            wrap: StdArc::new(|body| body()),
        };
        Self { pool: Arc::new(Pool::new(config)), ledger: StdArc::default() }
    }

    fn spawn(&self, mandatory: Mandatory) {
        self.spawn_then(mandatory, None);
    }

    fn spawn_then(&self, mandatory: Mandatory, then: Option<Box<dyn FnOnce() + Send>>) {
        let job = Entry { ledger: StdArc::clone(&self.ledger), then };
        match self.pool.spawn(job, mandatory) {
            Ok(()) => {}
            Err(SpawnError::ShuttingDown(_)) => {
                self.ledger.handed_back.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

impl Clone for House {
    fn clone(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), ledger: StdArc::clone(&self.ledger) }
    }
}

/// Lets a thread wait until so many jobs have run, without help from the pool.
#[derive(Clone)]
struct Countdown(Arc<(Mutex<usize>, Condvar)>);

impl Countdown {
    fn from(count: usize) -> Self {
        Self(Arc::new((Mutex::new(count), Condvar::new())))
    }

    fn step(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let this = self.clone();
        Some(Box::new(move || {
            *this.0.0.lock().unwrap() -= 1;
            this.0.1.notify_one();
        }))
    }

    fn wait(&self) {
        let mut left = self.0.0.lock().unwrap();
        while *left > 0 {
            left = self.0.1.wait(left).unwrap();
        }
        // Others may be waiting too.
        self.0.1.notify_one();
    }
}

#[test]
fn spawn_against_shutdown() {
    for (name, keep_alive) in [("always idle", ALWAYS_IDLE), ("never idle", NEVER_IDLE)] {
        for mandatory in [Mandatory::No, Mandatory::Yes] {
            let name = format!("pool: spawn against shutdown, {name}, mandatory {mandatory:?}");
            check(&name, Bounds::ALL, move || {
                let house = House::new(1, keep_alive);
                let spawner = thread::spawn({
                    let house = house.clone();
                    move || house.spawn(mandatory)
                });
                house.pool.shutdown(None);
                let run = house.ledger.run();
                spawner.join().unwrap();
                house.ledger.closes_with(1);
                assert_eq!(house.ledger.run(), run, "no job runs after a shutdown");
            });
        }
    }
}

#[test]
fn two_spawners_at_the_cap() {
    for (name, keep_alive) in [("always idle", ALWAYS_IDLE), ("never idle", NEVER_IDLE)] {
        check(
            &format!("pool: two spawners at the cap, {name}"),
            Bounds::preemptions(2),
            move || {
                let house = House::new(1, keep_alive);
                let done = Countdown::from(2);
                let spawner = thread::spawn({
                    let (house, done) = (house.clone(), done.clone());
                    move || house.spawn_then(Mandatory::No, done.step())
                });
                house.spawn_then(Mandatory::No, done.step());
                // Nothing but the two spawns may be needed for both to run.
                done.wait();
                spawner.join().unwrap();
                house.pool.shutdown(None);
                house.ledger.closes_with(2);
                assert_eq!(house.ledger.run(), 2);
            },
        );
    }
}

#[test]
fn two_jobs_wake_two_idle_threads() {
    check("pool: two jobs wake two idle threads", Bounds::preemptions(2), || {
        let house = House::new(2, ALWAYS_IDLE);
        let [first, second] = [1, 2].map(Countdown::from);
        house.spawn_then(Mandatory::No, first.step());
        first.wait();
        // One thread is idle, or about to be. The jobs wait for each other, so it takes both.
        for _ in 0..2 {
            let (step, all) = (second.step().unwrap(), second.clone());
            let meet = move || {
                step();
                all.wait();
            };
            house.spawn_then(Mandatory::No, Some(Box::new(meet)));
        }
        second.wait();
        house.pool.shutdown(None);
        house.ledger.closes_with(3);
    });
}

#[test]
fn shutdown_with_queued_jobs() {
    check("pool: shutdown with queued jobs", Bounds::ALL, || {
        let house = House::new(1, ALWAYS_IDLE);
        house.spawn(Mandatory::No);
        house.spawn(Mandatory::Yes);
        house.spawn(Mandatory::No);
        house.pool.shutdown(None);
        house.ledger.closes_with(3);
        assert!(house.ledger.run() >= 1, "a mandatory job runs");
    });
}

#[test]
fn a_time_out_meets_a_job() {
    check("pool: a time-out meets a job", Bounds::preemptions(2), || {
        let house = House::new(2, NEVER_IDLE);
        let done = Countdown::from(3);
        for _ in 0..3 {
            house.spawn_then(Mandatory::No, done.step());
        }
        done.wait();
        house.pool.shutdown(None);
        house.ledger.closes_with(3);
        assert_eq!(house.ledger.run(), 3);
    });
}

#[test]
fn shutdown_from_inside() {
    check(
        "pool: shutdown from two of its threads and from outside",
        Bounds::preemptions(2),
        || {
            let house = House::new(2, ALWAYS_IDLE);
            for _ in 0..2 {
                let pool = Arc::clone(&house.pool);
                house.spawn_then(Mandatory::Yes, Some(Box::new(move || pool.shutdown(None))));
            }
            house.pool.shutdown(None);
            house.ledger.closes_with(2);
        },
    );
}
