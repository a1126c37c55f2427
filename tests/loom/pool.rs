//! The blocking pool: every job is run, cancelled or handed back, exactly once, whatever the
//! shutdown, the time-outs and the other threads do meanwhile; and no job waits for ever while a
//! thread could have it.

use std::{
    io,
    sync::{
        Arc as StdArc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jenny::loom_internals::pool::{Config, Job, Mandatory, Pool, SpawnError};
use jenny_core::scheduler::Tick;
use loom::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    harness::{Bounds, check},
    local,
    task::{Waits, result},
};

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

/// What a job does.
type Then = Box<dyn FnOnce() + Send>;

struct Entry {
    ledger: StdArc<Ledger>,
    then: Option<Then>,
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
        Self::with_refusal(max_threads, keep_alive, None)
    }

    /// The system refuses the start of one thread: the first is number 0.
    fn with_refusal(max_threads: usize, keep_alive: Duration, refused: Option<usize>) -> Self {
        let starts = AtomicUsize::new(0);
        let may_start = move || match starts.fetch_add(1, Ordering::SeqCst) {
            start if Some(start) == refused => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        };
        let config = Config {
            max_threads,
            max_coming: 1,
            max_queue: usize::MAX,
            keep_alive,
            thread_name: StdArc::new(String::new),
            stack_size: None,
            on_start: None,
            on_stop: None,
            may_start: Some(StdArc::new(may_start)),
            on_quiet: None,
            hold: StdArc::new(|| Box::new(())),
            wrap: StdArc::new(|body| body()),
        };
        Self { pool: Arc::new(Pool::new(config)), ledger: StdArc::default() }
    }

    fn spawn(&self, mandatory: Mandatory) {
        self.spawn_then(mandatory, None);
    }

    fn spawn_then(&self, mandatory: Mandatory, then: Option<Then>) {
        let job = Entry { ledger: StdArc::clone(&self.ledger), then };
        self.note(self.pool.spawn(job, mandatory));
    }

    fn run_now(&self, then: Option<Then>) {
        let job = Entry { ledger: StdArc::clone(&self.ledger), then };
        self.note(self.pool.run_now(job));
    }

    fn note(&self, accepted: Result<(), SpawnError<Entry>>) {
        match accepted {
            Ok(()) => {}
            Err(SpawnError::ShuttingDown(_) | SpawnError::NoThreads { .. }) => {
                self.ledger.handed_back.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Runs one job to its end, so that a thread is idle or about to be.
    fn warm_up(&self) {
        let done = Countdown::from(1);
        self.spawn_then(Mandatory::No, done.step());
        done.wait();
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

    fn step(&self) -> Option<Then> {
        let this = self.clone();
        Some(Box::new(move || {
            *this.0.0.lock().unwrap() -= 1;
            this.0.1.notify_one();
        }))
    }

    /// Steps, and waits for the others.
    fn meet(&self) -> Option<Then> {
        let (step, all) = (self.step()?, self.clone());
        Some(Box::new(move || {
            step();
            all.wait();
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

const BOTH: [(&str, Duration); 2] = [("always idle", ALWAYS_IDLE), ("never idle", NEVER_IDLE)];

/// Time-outs multiply the executions.
fn two_or_with_time_outs_one(keep_alive: Duration) -> Bounds {
    Bounds::preemptions(if keep_alive == NEVER_IDLE { 1 } else { 2 })
}

#[test]
fn spawn_against_shutdown() {
    for (name, keep_alive) in BOTH {
        for mandatory in [Mandatory::No, Mandatory::Yes] {
            let name = format!("pool: spawn against shutdown, {name}, mandatory {mandatory:?}");
            check(&name, Bounds::preemptions(4), move || {
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

/// The thread is idle, or on its way there, or it has had enough of that.
#[test]
fn a_letter_against_shutdown() {
    for (name, keep_alive) in BOTH {
        let name = format!("pool: a job for an idle thread against shutdown, {name}");
        check(&name, Bounds::preemptions(2), move || {
            let house = House::new(1, keep_alive);
            house.warm_up();
            let spawner = thread::spawn({
                let house = house.clone();
                move || house.spawn(Mandatory::No)
            });
            house.pool.shutdown(None);
            let run = house.ledger.run();
            spawner.join().unwrap();
            house.ledger.closes_with(2);
            assert_eq!(house.ledger.run(), run, "no job runs after a shutdown");
        });
    }
}

#[test]
fn the_cap_against_shutdown() {
    check("pool: two jobs for one thread against shutdown", Bounds::preemptions(3), || {
        let house = House::new(1, ALWAYS_IDLE);
        let spawner = thread::spawn({
            let house = house.clone();
            move || {
                house.spawn(Mandatory::No);
                house.spawn(Mandatory::Yes);
            }
        });
        house.pool.shutdown(None);
        spawner.join().unwrap();
        house.ledger.closes_with(2);
    });
}

#[test]
fn two_spawners_at_the_cap() {
    for (name, keep_alive) in BOTH {
        let name = format!("pool: two spawners at the cap, {name}");
        check(&name, two_or_with_time_outs_one(keep_alive), move || {
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
        });
    }
}

/// One thread is called at a time, so the first that has come has to call the second.
#[test]
fn jobs_that_wait_for_each_other() {
    for (name, keep_alive) in BOTH {
        let name = format!("pool: two jobs that wait for each other, {name}");
        check(&name, two_or_with_time_outs_one(keep_alive), move || {
            let house = House::new(2, keep_alive);
            let both = Countdown::from(2);
            for _ in 0..2 {
                house.spawn_then(Mandatory::No, both.meet());
            }
            both.wait();
            house.pool.shutdown(None);
            house.ledger.closes_with(2);
        });
    }
}

#[test]
fn jobs_that_wait_for_each_other_beside_an_idle_thread() {
    check(
        "pool: two jobs that wait for each other, one idle thread",
        Bounds::preemptions(1),
        || {
            let house = House::new(2, ALWAYS_IDLE);
            house.warm_up();
            let both = Countdown::from(2);
            for _ in 0..2 {
                house.spawn_then(Mandatory::No, both.meet());
            }
            both.wait();
            house.pool.shutdown(None);
            house.ledger.closes_with(3);
        },
    );
}

#[test]
fn shutdown_with_queued_jobs() {
    check("pool: shutdown with queued jobs", Bounds::preemptions(3), || {
        let house = House::new(1, ALWAYS_IDLE);
        house.spawn(Mandatory::No);
        house.spawn(Mandatory::Yes);
        house.spawn(Mandatory::No);
        house.pool.shutdown(None);
        house.ledger.closes_with(3);
        assert!(house.ledger.run() >= 2, "the first has a thread, and a mandatory job runs");
    });
}

/// There is room for a thread for each of them, although one comes at a time.
#[test]
fn shutdown_before_the_threads_have_come() {
    for (name, keep_alive) in BOTH {
        for jobs in [1, 2] {
            let name = format!("pool: shutdown before the threads of {jobs} jobs, {name}");
            check(&name, two_or_with_time_outs_one(keep_alive), move || {
                let house = House::new(jobs, keep_alive);
                (0..jobs).for_each(|_| house.spawn(Mandatory::No));
                house.pool.shutdown(None);
                house.ledger.closes_with(jobs);
                assert_eq!(house.ledger.run(), jobs);
            });
        }
    }
}

#[test]
fn shutdown_without_jobs() {
    for (name, keep_alive) in BOTH {
        let name = format!("pool: shutdown without jobs, {name}");
        check(&name, Bounds::preemptions(4), move || {
            let house = House::new(1, keep_alive);
            house.warm_up();
            house.pool.shutdown(None);
            house.ledger.closes_with(1);
            assert_eq!(house.ledger.run(), 1);
        });
    }
}

/// At the cap, so that a job has to be seen by the thread that is ending, or be given another.
#[test]
fn a_time_out_meets_a_job() {
    for (max_threads, preemptions) in [(1, 2), (2, 1)] {
        let name = format!("pool: a time-out meets a job, {max_threads} threads at most");
        check(&name, Bounds::preemptions(preemptions), move || {
            let house = House::new(max_threads, NEVER_IDLE);
            house.warm_up();
            let done = Countdown::from(2);
            for _ in 0..2 {
                house.spawn_then(Mandatory::No, done.step());
            }
            done.wait();
            house.pool.shutdown(None);
            house.ledger.closes_with(3);
            assert_eq!(house.ledger.run(), 3);
        });
    }
}

/// Whichever start is refused: what is accepted runs, unless the shutdown is first.
#[test]
fn a_refused_thread_against_spawn_and_shutdown() {
    for refused in [0, 1] {
        let name = format!("pool: start {refused} is refused, against shutdown");
        check(&name, Bounds::preemptions(2), move || {
            let house = House::with_refusal(2, NEVER_IDLE, Some(refused));
            let spawner = thread::spawn({
                let house = house.clone();
                move || house.spawn(Mandatory::Yes)
            });
            house.spawn(Mandatory::Yes);
            house.pool.shutdown(None);
            spawner.join().unwrap();
            house.ledger.closes_with(2);
        });
    }
    check("pool: a job without a thread waits for another's", Bounds::preemptions(2), || {
        let house = House::with_refusal(2, ALWAYS_IDLE, Some(1));
        let done = Countdown::from(2);
        for _ in 0..2 {
            house.spawn_then(Mandatory::No, done.step());
        }
        done.wait();
        house.pool.shutdown(None);
        assert_eq!(house.ledger.run(), 2);
    });
}

/// The urgent job waits for the regular one, so it may neither take its place nor its thread.
#[test]
fn an_urgent_job_beside_a_regular_one() {
    for (name, keep_alive) in BOTH {
        for urgent_first in [false, true] {
            let order = if urgent_first { "before" } else { "after" };
            let name = format!("pool: an urgent job {order} a regular one, {name}");
            check(&name, Bounds::preemptions(2), move || {
                let house = House::new(1, keep_alive);
                let both = Countdown::from(2);
                if urgent_first {
                    house.run_now(both.meet());
                    house.spawn_then(Mandatory::No, both.step());
                } else {
                    house.spawn_then(Mandatory::No, both.step());
                    house.run_now(both.meet());
                }
                both.wait();
                house.pool.shutdown(None);
                house.ledger.closes_with(2);
                assert_eq!(house.ledger.run(), 2);
            });
        }
    }
}

/// As above, with a thread that is idle or about to be, and might be taken for both.
#[test]
fn an_urgent_job_takes_an_idle_thread() {
    for (name, keep_alive) in BOTH {
        let name = format!("pool: an urgent job and an idle thread, {name}");
        check(&name, Bounds::preemptions(1), move || {
            let house = House::new(1, keep_alive);
            house.warm_up();
            let both = Countdown::from(2);
            house.run_now(both.meet());
            house.spawn_then(Mandatory::No, both.step());
            both.wait();
            house.pool.shutdown(None);
            house.ledger.closes_with(3);
            assert_eq!(house.ledger.run(), 3);
        });
    }
}

/// The only thread is about to see a job in the queue when an urgent one could take it.
#[test]
fn an_urgent_job_leaves_the_last_thread_to_the_queue() {
    check("pool: an urgent job and the last thread", Bounds::preemptions(3), || {
        let house = House::with_refusal(1, ALWAYS_IDLE, Some(1));
        house.warm_up();
        let done = Countdown::from(1);
        house.spawn_then(Mandatory::No, done.step());
        let regular = done.clone();
        house.run_now(Some(Box::new(move || regular.wait())));
        done.wait();
        house.pool.shutdown(None);
        house.ledger.closes_with(3);
    });
}

#[test]
fn an_urgent_job_against_shutdown() {
    check("pool: an urgent job against shutdown", Bounds::preemptions(3), || {
        let house = House::new(1, ALWAYS_IDLE);
        let spawner = thread::spawn({
            let house = house.clone();
            move || house.run_now(None)
        });
        house.pool.shutdown(None);
        spawner.join().unwrap();
        // The first one may have come too early to wait for it.
        house.pool.shutdown(None);
        house.ledger.closes_with(1);
        assert_eq!(house.ledger.run(), 1, "a shutdown refuses no urgent job");
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

/// A job wakes a task, which waits for it or is cancelled meanwhile; then both floors are gone.
#[test]
fn jobs_and_tasks() {
    for closes in [false, true] {
        let name = format!(
            "pool: a job wakes a task, {}",
            ["which waits", "at the end"][usize::from(closes)]
        );
        check(&name, Bounds::preemptions(2), move || {
            let house = House::new(1, ALWAYS_IDLE);
            let (handle, mut worker, parker) = local::new();
            let ([announcement], waker, join) = local::spawn_asleep!(handle, worker);
            let wake: Then = Box::new(move || {
                announcement.make();
                waker.wake();
            });
            house.spawn_then(Mandatory::No, Some(wake));
            if closes {
                handle.close();
            }
            local::run(&mut worker, &parker, || join.is_finished());
            house.pool.shutdown(None);
            handle.close();
            local::run(&mut worker, &parker, || false);
            drop((worker, handle));
            assert!(result(join).map_or_else(|error| closes && error.is_cancelled(), |_| true));
            house.ledger.closes_with(1);
        });
    }
}
