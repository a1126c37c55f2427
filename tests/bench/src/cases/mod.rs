//! The cases. Each runs a number of operations and asserts that they all happened.

mod blocking;
mod scheduler;
mod tcp;
mod timer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel};

use tokio::sync::oneshot;

use crate::peer::{Flavor, Jenny, Peer, Tokio};

/// Tokio's and ours alike; the machines of our CI have two cores.
pub(crate) const WORKERS: usize = 2;

const MULTI: Flavor = Flavor::MultiThread { workers: WORKERS };
const CURRENT: Flavor = Flavor::CurrentThread;

/// One benchmark, instantiated for both peers.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) flavor: Flavor,
    /// How many of them one run makes; times are reported per operation.
    pub(crate) operations: u64,
    pub(crate) jenny: fn(&Jenny, u64),
    pub(crate) tokio: fn(&Tokio, u64),
}

macro_rules! cases {
    ($($name:literal $flavor:ident $operations:literal $body:path, $what:literal;)*) => {
        &[$(Case {
            name: $name,
            what: $what,
            flavor: $flavor,
            operations: $operations,
            jenny: $body,
            tokio: $body,
        }),*]
    };
}

#[rustfmt::skip]
pub(crate) const ALL: &[Case] = cases! {
    "spawn"           MULTI   10_000 scheduler::spawn,         "a task spawned by a worker, run, detached";
    "spawn_join"      MULTI   10_000 scheduler::spawn_join,    "a task spawned and joined, one at a time, in a task";
    "yield_1"         MULTI   20_000 scheduler::yield_1,       "a yield of the only task";
    "yield_200"       MULTI   40_000 scheduler::yield_200,     "a yield of one of 200 tasks";
    "ping_pong"       MULTI   10_000 scheduler::ping_pong,     "two tasks that answer each other over oneshot channels";
    "remote_spawn"    MULTI   10_000 scheduler::remote_spawn,  "a task spawned from outside, into an idle runtime";
    "chained_spawn"   MULTI   20_000 scheduler::chained_spawn, "a task that spawns the next";
    "block_on_join"   MULTI    1_000 scheduler::block_on_join, "block_on of spawn one task and join it";
    "spawn_blocking"  MULTI    1_000 blocking::round_trip,     "spawn_blocking and its result, one at a time";
    "blocking_fan_out" MULTI   1_600 blocking::fan_out,       "one of 16 closures in spawn_blocking at once, 100 times";
    "sleep_create"    MULTI   50_000 timer::create_drop,       "a sleep made and dropped";
    "sleep_cancel"    MULTI   50_000 timer::insert_cancel,     "a sleep polled once and dropped";
    "sleep_cancel_10k" MULTI  50_000 timer::insert_cancel_among_many, "sleep_cancel, beside 10,000 that wait";
    "timeout_ready"   MULTI   50_000 timer::timeout_ready,     "a time-out of a future that is ready";
    "sleep_fire"      MULTI   20_000 timer::fire,              "a task that sleeps 1 ms, one of 20,000";
    "tcp_echo_1"      MULTI    2_000 tcp::echo_1,              "a round trip of 64 bytes on one connection";
    "tcp_echo_64"     MULTI    6_400 tcp::echo_64,             "a round trip of 64 bytes on one of 64 connections";
    "ct_spawn"        CURRENT 10_000 scheduler::spawn,         "spawn, on current_thread";
    "ct_spawn_join"   CURRENT 10_000 scheduler::spawn_join,    "spawn_join, on current_thread";
    "ct_yield_1"      CURRENT 20_000 scheduler::yield_1,       "yield_1, on current_thread";
    "ct_yield_200"    CURRENT 40_000 scheduler::yield_200,     "yield_200, on current_thread";
    "ct_ping_pong"    CURRENT 10_000 scheduler::ping_pong,     "ping_pong, on current_thread";
    "ct_block_on_join" CURRENT 10_000 scheduler::block_on_join, "block_on_join, on current_thread";
    "ct_sleep_cancel" CURRENT 50_000 timer::insert_cancel,     "sleep_cancel, on current_thread";
    "ct_sleep_fire"   CURRENT 20_000 timer::fire,              "sleep_fire, on current_thread";
    "ct_tcp_echo_1"   CURRENT  2_000 tcp::echo_1,              "tcp_echo_1, on current_thread";
};

/// Counts tasks down; the last one resolves the receiver.
#[derive(Debug)]
struct Countdown {
    left: AtomicU64,
    done: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

impl Countdown {
    fn new(tasks: u64) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (done, receiver) = oneshot::channel();
        let done = std::sync::Mutex::new(Some(done));
        (Arc::new(Self { left: AtomicU64::new(tasks), done }), receiver)
    }

    fn task_ran(&self) {
        let left = self.left.fetch_sub(1, AcqRel);
        assert!(left > 0, "more tasks ran than were spawned");
        if left == 1 {
            let done = self.done.lock().expect("no task panics with the lock").take();
            done.expect("one task is the last").send(()).expect("the case waits");
        }
    }
}

/// Runs the future as a task, on a worker where there are any.
fn in_task<P: Peer, F>(runtime: &P, future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime.block_on(async { P::spawn(future).await.expect("the case's task panicked") })
}
