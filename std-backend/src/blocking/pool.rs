//! Threads for jobs that block: started when all others are busy, ended when they idle too long.
//!
//! The pool does not know what a [`Job`] is. Each job that [`Pool::spawn`] accepts is either run or
//! cancelled, exactly once; one that it does not accept is handed back.
//!
//! # Two ways to a thread
//! *By letter.* A thread that has nothing to do looks for a while before it sleeps, if that has paid
//! lately. The spawner takes it out of a bitmap with one compare-and-swap and puts the job into its
//! letter box (`pool/idle.rs`). That takes no lock that anybody else could want, and wakes nobody. It
//! may overtake a job that is queued: for that one another thread is coming.
//!
//! *By queue.* Otherwise the job waits in one queue behind one lock, in order, and a thread is called
//! that looks there. Not for this very job: to wake a thread takes longer than many a job, and another
//! may be done before. At most [`Config::max_coming`] threads are woken or started at a time, and each
//! of them, when it has come, calls the next before it turns to its own job. So a burst of short jobs
//! costs a few wake-ups instead of one each, and jobs that block, or wait for each other, get a thread
//! each all the same.
//!
//! # Why no job is forgotten
//! What is queued, is queued under the lock, and the queue's length is published for those without it.
//! Two invariants hold whenever the lock is free:
//!
//! > (A) If a job is queued, some counted thread will look at the queue again, or a thread is coming
//! > that will call one.
//! >
//! > (B) If a job is queued and a thread is idle, or one more may be started, then a thread is coming.
//!
//! Three fences see to it, each between a write that announces something and the read that could miss
//! it; of two that meet, at least one sees the other:
//!
//! | | announces | then looks at |
//! |---|---|---|
//! | (Q1) a thread without work | its bit | the queue's length, the shutdown |
//! | (Q2) a spawner, or the shutdown | the queue's length, the shutdown | the bits, the number of the coming |
//! | (Q3) a thread that has come | that it is no longer coming | the queue's length |
//!
//! - *Q1 and Q2.* Either the thread sees the job, withdraws its bit and fetches it, or the spawner sees
//!   the bit. If the withdrawal comes too late, a letter is on its way to this thread, and it looks at
//!   the queue when that is done: it never ceased to be counted.
//! - *Q2 and Q3.* A spawner that calls nobody because enough are coming has seen one of them before
//!   that counted itself off. That one then sees the job, and calls in the spawner's place.
//! - *The time is up.* The thread withdraws its bit. If that fails, a letter is coming and it waits for
//!   it. If it succeeds, it looks at the queue once more under the lock, where it also stops counting
//!   itself: a spawner at the cap, which relied on it, has queued its job before that, or else finds
//!   that one more thread may be started.
//! - *No thread at all.* A spawner that finds none counted starts one, whoever is coming, and keeps its
//!   job if it cannot. A thread that cannot be started is no loss while another is counted: that one
//!   is busy, or it would have been claimed, and looks at the queue when it is done.
//! - *Letters with a job.* They are no part of this: a thread that is claimed for one is not coming, so
//!   nobody relies on it, and is busy for everybody else from then on.
//! - *Urgent jobs.* A thread is out of the count when it is claimed for one, not when it comes, so
//!   nobody relies on a thread that may never be back. And none is claimed while a job is queued: the
//!   idle thread might be just about to fetch it.
//!
//! Nothing foreign runs under the lock: no job, no hook, no name.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::{collections::VecDeque, fmt, mem, time::Duration};

use crate::primitives::{Arc, contain};

mod config;
mod deadline;
mod idle;
mod threads;

pub use config::{Config, Job, Mandatory, Metrics, SpawnError};
// For the runtime's builder, which a model checker has no use for.
#[cfg(not(jenny_loom))]
pub use config::{Hook, half_of_the_cores};

use idle::{Claim, Letter};
use threads::{Purpose, Shared};

/// A pool of threads. See the head of this file.
pub struct Pool<J> {
    shared: Arc<Shared<J>>,
}

impl<J: Job> Pool<J> {
    /// Starts no thread yet.
    ///
    /// # Panics
    /// If `config.max_threads` or `config.max_coming` is zero.
    pub fn new(config: Config) -> Self {
        assert!(config.max_threads > 0, "a blocking pool needs at least one thread");
        assert!(config.max_coming > 0, "a blocking pool has to let threads come");
        Self { shared: Arc::new(Shared::new(config)) }
    }

    /// Hands a job to a thread, or queues it and sees to it that a thread will take it. Callable from
    /// any thread, also from inside a job.
    ///
    /// # Errors
    /// Hands the job back when the pool is shut down, or has no thread and gets none. A thread that
    /// cannot be started is no error while another is alive: the job waits for that one.
    ///
    /// # Panics
    /// If the name of a thread contains a zero byte, or if making it panics. The job is dropped.
    pub fn spawn(&self, job: J, mandatory: Mandatory) -> Result<(), SpawnError<J>> {
        self.submit(job, |job| (job, ()), mandatory, usize::MAX)
    }

    /// As [`spawn`](Self::spawn), unless all threads are busy, no other may be or can be started, and
    /// [`Config::max_queue`] jobs are waiting already. The job is made when it has been accepted,
    /// maybe under the lock; that must not panic.
    ///
    /// # Errors
    /// Those of [`spawn`](Self::spawn), and [`SpawnError::Full`]. The seed is handed back.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    pub fn try_spawn<S, T>(
        &self,
        seed: S,
        into_job: impl FnOnce(S) -> (J, T),
        mandatory: Mandatory,
    ) -> Result<T, SpawnError<S>> {
        self.submit(seed, into_job, mandatory, self.shared.config.max_queue)
    }

    fn submit<S, T>(
        &self,
        seed: S,
        into_job: impl FnOnce(S) -> (J, T),
        mandatory: Mandatory,
        max_queue: usize,
    ) -> Result<T, SpawnError<S>> {
        let shared = &self.shared;
        if let Some(claim) = shared.claim_awake() {
            return Ok(self.send(claim, into_job(seed)));
        }
        let mut state = shared.lock_with_name();
        if state.shutdown {
            return Err(SpawnError::ShuttingDown(seed));
        }
        if state.counted == 0 || state.queue.len() >= max_queue {
            // Waiting for others is not enough: this job comes with a thread, or not at all.
            if let Some(claim) = shared.idle.claim() {
                drop(state);
                return Ok(self.send(claim, into_job(seed)));
            }
            if state.counted == shared.config.max_threads {
                // One that was called for an earlier job may find it gone, and then has time for this.
                if state.queue.len() >= shared.free(&state) {
                    return Err(SpawnError::Full(seed));
                }
            } else if let Err(source) = Shared::start_regular(shared, &mut state) {
                let alone = state.counted == 0;
                return Err(match alone {
                    true => SpawnError::NoThreads { job: seed, source },
                    false => SpawnError::Full(seed),
                });
            }
        }
        let (job, result) = into_job(seed);
        shared.job_is_accepted();
        state.queue.push_back((job, mandatory));
        shared.publish(&state);
        let claim = Shared::enlist(shared, &mut state);
        drop(state);
        if let Some(claim) = claim {
            claim.send(Letter::Look);
        }
        Ok(result)
    }

    fn send<T>(&self, claim: Claim<'_, J>, (job, result): (J, T)) -> T {
        self.shared.job_is_accepted();
        claim.send(Letter::Job(job));
        result
    }

    /// Runs a job on a thread of its own at once: on an idle one, or on one that is started for it.
    /// It waits behind no other job, and takes no place of those that `max_threads` allows. An
    /// accepted job is run in any case, and [`shutdown`](Self::shutdown) waits for it as for a job
    /// that has started. A pool that is shut down takes it, too: others may not come to their end
    /// without it. Callable from any thread, also from inside a job.
    ///
    /// # Errors
    /// Hands the job back when the system gives no thread.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    pub fn run_now(&self, job: J) -> Result<(), SpawnError<J>> {
        let shared = &self.shared;
        let mut state = shared.lock_with_name();
        let claim = if state.queue.is_empty() { shared.idle.claim() } else { None };
        state.seated += 1;
        if let Some(claim) = claim {
            state.counted -= 1;
            shared.publish(&state);
            drop(state);
            claim.send(Letter::Urgent(job));
            return Ok(());
        }
        if let Err(source) = Shared::start(shared, &mut state, Purpose::Urgent) {
            state.seated -= 1;
            return Err(SpawnError::NoThreads { job, source });
        }
        state.urgent.push_back(job);
        shared.publish(&state);
        Ok(())
    }

    /// Accepts no more jobs but urgent ones, cancels those that would have to wait for another to end
    /// and are not mandatory, and waits until all threads have ended, at most for `timeout`; `None`
    /// waits for ever, zero not at all. All other jobs are completed, if need be after this has
    /// returned: those that run, those that a thread is idle or coming for or may be started for, and
    /// mandatory ones.
    ///
    /// Jobs are cancelled on the calling thread, so it has happened when this returns. A thread of
    /// this pool may call it, and does not wait for itself, nor for others in the same position.
    /// Calling it again waits again.
    pub fn shutdown(&self, timeout: Option<Duration>) {
        let shared = &self.shared;
        let mut state = shared.lock();
        let mut cancelled = VecDeque::new();
        if !state.shutdown {
            state.shutdown = true;
            let free = shared.free(&state);
            let mut jobs = mem::take(&mut state.queue).into_iter();
            state.queue.extend(jobs.by_ref().take(free));
            for job in jobs {
                let keep = job.1 == Mandatory::Yes;
                if keep { &mut state.queue } else { &mut cancelled }.push_back(job);
            }
            shared.publish(&state);
        }
        drop(state);
        shared.dismiss_idle();
        for (job, _) in cancelled {
            contain(|| job.cancel());
            shared.job_has_ended();
        }
        shared.wait_for_threads(timeout);
    }

    /// Reads the figures, without a lock.
    pub fn metrics(&self) -> Metrics {
        let shared = &self.shared;
        Metrics {
            threads: shared.thread_count(),
            idle_threads: shared.idle.count(),
            queue_depth: shared.queue_depth(),
            alive_jobs: shared.alive_jobs(),
        }
    }
}

impl<J> fmt::Debug for Pool<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(jenny_loom)))]
mod tests;
