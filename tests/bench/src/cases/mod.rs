//! The cases. Each runs a number of operations and asserts that they all happened.

mod blocking;
mod channel;
mod floor;
mod fork_join;
mod http;
mod idle;
mod list;
mod local;
pub(crate) mod memory;
mod place;
mod spawn;
mod tcp;
mod timer;
mod yields;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel};

use serde::Serialize;
use tokio::sync::oneshot;

use crate::measure::{Effort, Sampler, Samplers};
use crate::peer::Peer;

pub(crate) use list::GROUPS;

/// Cases that belong together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) cases: &'static [Case],
}

/// One benchmark, instantiated for every peer.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    pub(crate) goal: Goal,
    /// The curve on which the case is a point, and where.
    pub(crate) curve: Option<Point>,
    /// At most so many rounds, where each takes a fixed and long time.
    pub(crate) rounds: Option<usize>,
    pub(crate) warm_up: bool,
    /// Builds the peers' runtimes.
    pub(crate) peers: Peers,
    pub(crate) floor: Option<Floor>,
}

pub(crate) type Peers = fn(Effort) -> io::Result<Samplers>;

/// The least that any runtime does in a case.
#[derive(Debug)]
pub(crate) struct Floor {
    pub(crate) what: &'static str,
    pub(crate) sampler: fn(Effort) -> io::Result<Sampler>,
}

/// A place on a curve.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) curve: &'static str,
    pub(crate) over: &'static str,
    pub(crate) at: u32,
}

/// What jenny is to reach.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// Of Tokio's value.
    OfTokio(f64),
    /// In the unit of the case.
    AtMost(f64),
}

impl Goal {
    /// Not to be slower: what every case is to reach.
    pub(crate) fn is_parity(self) -> bool {
        matches!(self, Self::OfTokio(1.0))
    }
}

/// Of what a case gives one value; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Nanoseconds per operation.
    Nanos,
    /// Nanoseconds of processor time per operation.
    CpuNanos,
    Millis,
    Bytes,
}

impl Unit {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Nanos => "ns",
            Self::CpuNanos => "ns CPU",
            Self::Millis => "ms",
            Self::Bytes => "B",
        }
    }
}

impl Case {
    /// The time of an operation, and jenny is not to be slower.
    const fn new(name: &'static str, what: &'static str, peers: Peers) -> Self {
        Self {
            name,
            what,
            unit: Unit::Nanos,
            goal: Goal::OfTokio(1.0),
            curve: None,
            rounds: None,
            warm_up: true,
            peers,
            floor: None,
        }
    }

    const fn floor(self, floor: Floor) -> Self {
        Self { floor: Some(floor), ..self }
    }

    const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    const fn goal(self, ratio: f64) -> Self {
        Self { goal: Goal::OfTokio(ratio), ..self }
    }

    const fn at_most(self, value: f64) -> Self {
        Self { goal: Goal::AtMost(value), ..self }
    }

    const fn workers(self, curve: &'static str, at: u32) -> Self {
        Self { curve: Some(Point { curve, over: "workers", at }), ..self }
    }

    const fn threads(self, curve: &'static str, at: u32) -> Self {
        Self { curve: Some(Point { curve, over: "threads outside", at }), ..self }
    }

    /// For cases that last as long by the clock whatever the machine does.
    const fn rounds(self, rounds: usize) -> Self {
        Self { rounds: Some(rounds), ..self }
    }

    /// For cases that build a runtime, or a process, for each sample.
    const fn cold(self) -> Self {
        Self { warm_up: false, ..self }
    }
}

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
