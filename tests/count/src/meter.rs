//! Counting between two moments, in the whole process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use jenny_core::count::{self, Entry, Place, What};

use crate::clock;

/// The thread that only looks whether a worker is stuck, at times of its own.
const MONITOR: &str = "jenny-monitor";

/// An allocator that counts.
#[derive(Debug)]
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Whether the meter runs at all: not while somebody else counts system calls.
static ENABLED: AtomicBool = AtomicBool::new(true);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !count::is_busy() {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Turns all meters into no-ops.
pub fn disable() {
    ENABLED.store(false, Relaxed);
}

/// Counts from its making on.
#[derive(Debug)]
pub struct Meter {
    allocations: u64,
    clock_reads: u64,
}

impl Meter {
    /// Starts to count. One at a time.
    pub fn start() -> Self {
        if ENABLED.load(Relaxed) {
            count::open();
        }
        Self { allocations: ALLOCATIONS.load(Relaxed), clock_reads: clock::reads() }
    }

    /// What has happened since, for so many operations.
    pub fn stop(self, operations: u64) -> Counts {
        let mut entries = count::close();
        entries.retain(|entry| entry.thread != MONITOR);
        let sum = |of: &dyn Fn(&Entry) -> bool| {
            entries.iter().filter(|entry| of(entry)).map(|entry| entry.count).sum()
        };
        Counts {
            operations,
            rmw: sum(&|entry| entry.what == What::Rmw),
            rmw_shared: sum(&|entry| entry.what == What::Rmw && entry.place == Place::Shared),
            writes_shared: sum(&|entry| entry.what.writes() && entry.place == Place::Shared),
            fences: sum(&|entry| entry.what == What::Fence),
            locks: sum(&|entry| entry.what == What::Lock),
            allocations: ALLOCATIONS.load(Relaxed) - self.allocations,
            clock_reads: clock::reads() - self.clock_reads,
            entries,
        }
    }
}

/// Counts one closure, which does so many operations.
pub fn count<R>(operations: u64, run: impl FnOnce() -> R) -> Counts {
    let meter = Meter::start();
    let result = run();
    let counts = meter.stop(operations);
    drop(result);
    counts
}

/// What so many operations took.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// How many operations.
    pub operations: u64,
    /// Read-modify-writes.
    pub rmw: u64,
    /// Those to memory that is neither a task's nor the worker's own.
    pub rmw_shared: u64,
    /// Those, and stores there.
    pub writes_shared: u64,
    /// `SeqCst` fences.
    pub fences: u64,
    /// Locks taken.
    pub locks: u64,
    /// Allocations.
    pub allocations: u64,
    /// Reads of a clock.
    pub clock_reads: u64,
    entries: Vec<Entry>,
}

impl Counts {
    /// How often the busiest shared cache line is written. Inboxes do not count: there is one for each
    /// worker, and other threads write to other ones.
    pub fn hottest_line(&self) -> u64 {
        let mut lines = BTreeMap::<usize, u64>::new();
        let is_inbox = |entry: &Entry| {
            ["queue/inbox.rs", "scheduler/metrics.rs"]
                .iter()
                .any(|file| entry.site.file().ends_with(file))
        };
        let shared = |entry: &&Entry| entry.place == Place::Shared && entry.what.writes();
        for entry in self.entries.iter().filter(shared).filter(|entry| !is_inbox(entry)) {
            if let Some(line) = entry.line {
                lines.entry(line).or_default().add_assign(entry.count);
            }
        }
        lines.into_values().max().unwrap_or(0)
    }

    /// The cache lines on which a worker wrote what it calls its own.
    pub fn own_lines(&self) -> BTreeSet<usize> {
        self.lines(|entry| entry.place == Place::Own && entry.what.writes())
    }

    /// The cache lines on which anything shared was read or written.
    pub fn shared_lines(&self) -> BTreeSet<usize> {
        self.lines(|entry| entry.place == Place::Shared && entry.what != What::Fence)
    }

    fn lines(&self, of: impl Fn(&Entry) -> bool) -> BTreeSet<usize> {
        self.entries.iter().filter(|entry| of(entry)).filter_map(|entry| entry.line).collect()
    }

    /// A number for each operation.
    pub fn per_operation(&self, of: u64) -> f64 {
        of as f64 / self.operations as f64
    }

    /// The read-modify-writes and the writes to shared memory, by the line of source that makes them.
    pub fn sites(&self) -> Vec<(String, f64)> {
        let mut sites = BTreeMap::<String, u64>::new();
        for entry in &self.entries {
            let matters = entry.what == What::Rmw
                || entry.what == What::Fence
                || (entry.what == What::Store && entry.place == Place::Shared);
            if matters {
                let place = entry.site.file();
                let file = place.split_once("/src/").map_or(place, |(_, file)| file);
                let key = format!(
                    "{:<6} {:<5} {file}:{}",
                    format!("{:?}", entry.place).to_lowercase(),
                    format!("{:?}", entry.what).to_lowercase(),
                    entry.site.line()
                );
                sites.entry(key).or_default().add_assign(entry.count);
            }
        }
        sites.into_iter().map(|(site, count)| (site, self.per_operation(count))).collect()
    }
}

impl Counts {
    /// Adds what further operations took.
    pub fn add(&mut self, more: Self) {
        let Self {
            operations,
            rmw,
            rmw_shared,
            writes_shared,
            fences,
            locks,
            allocations,
            clock_reads,
            entries,
        } = more;
        self.operations += operations;
        self.rmw += rmw;
        self.rmw_shared += rmw_shared;
        self.writes_shared += writes_shared;
        self.fences += fences;
        self.locks += locks;
        self.allocations += allocations;
        self.clock_reads += clock_reads;
        self.entries.extend(entries);
    }
}
