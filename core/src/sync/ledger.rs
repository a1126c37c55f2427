//! Who touched which memory how often, under `--cfg jenny_count`.
//!
//! # Where a write goes
//! What an access costs on many cores depends on whose cache holds the line. The ledger knows three
//! places, and says *shared* unless it can show something better:
//!
//! - [`Place::Task`]: a task's own cell. Whoever runs, wakes or joins the task writes there; tasks
//!   that have nothing to do with each other write to different cells.
//! - [`Place::Own`]: memory that the thread which makes the access has declared its own with [`own`],
//!   and has not left yet. A worker declares its queue's ends, its LIFO slot and its counters when it
//!   is entered; others write there only when they steal from it.
//! - [`Place::Shared`]: everything else. The scheduler's idle set, inboxes, another worker's queue,
//!   locks, reference counts of handles, the process's statics.
//!
//! So the answer does not depend on which threads happened to run: it is the same whether another
//! worker sleeps, or fights for the line.
//!
//! # What it does not see
//! Accesses that are not atomic. Those to memory that several threads write stand between atomics
//! that hand the memory over, and these are counted.

extern crate std;

use core::{
    cell::{Cell, RefCell},
    ops::Range,
    panic::Location,
};
use std::{
    collections::BTreeMap,
    string::String,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    vec::Vec,
};

/// Bytes of a cache line.
const LINE: usize = 64;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A load.
    Load,
    /// A store.
    Store,
    /// A read-modify-write, successful or not.
    Rmw,
    /// A `SeqCst` fence.
    Fence,
    /// A lock that was taken. Its exchanges are noted as [`What::Rmw`] besides.
    Lock,
    /// A wait on a condition variable.
    Wait,
    /// A notification of a condition variable.
    Notify,
}

impl What {
    /// Whether it takes the cache line away from others.
    pub fn writes(self) -> bool {
        matches!(self, Self::Store | Self::Rmw)
    }
}

/// Whose memory it was done to. The head of the file says when it is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A task's cell.
    Task,
    /// The accessing worker's own memory.
    Own,
    /// Anything else.
    Shared,
}

/// What one line of source did to one kind of place, or one shared cache line, on one thread.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name of the thread that did it; empty if it has none.
    pub thread: String,
    /// What was done.
    pub what: What,
    /// To whose memory.
    pub place: Place,
    /// The number of the cache line, unless it is a task's.
    pub line: Option<usize>,
    /// The call.
    pub site: &'static Location<'static>,
    /// How often.
    pub count: u64,
}

/// Whether notes are taken at all.
static OPEN: AtomicBool = AtomicBool::new(false);
static LEDGER: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
/// The live cells: start and end.
static CELLS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

std::thread_local! {
    /// What this thread has declared its own.
    static OWN: RefCell<Vec<Range<usize>>> = const { RefCell::new(Vec::new()) };
    /// The ledger is at work: what it allocates is not the business of whoever counts allocations.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a closure whose allocations are the ledger's.
fn quietly<R>(run: impl FnOnce() -> R) -> Option<R> {
    if BUSY.replace(true) {
        return None;
    }
    let result = run();
    BUSY.set(false);
    Some(result)
}

/// Whether this thread is inside the ledger, for an allocator that counts.
pub fn is_busy() -> bool {
    BUSY.get()
}

/// Starts an empty ledger.
pub fn open() {
    lock(&LEDGER).clear();
    OPEN.store(true, SeqCst);
}

/// Ends the notes and gives what was noted.
pub fn close() -> Vec<Entry> {
    OPEN.store(false, SeqCst);
    core::mem::take(&mut *lock(&LEDGER))
}

/// Notes an access to a value.
#[track_caller]
pub fn note<T: ?Sized>(what: What, value: &T) {
    note_at(what, core::ptr::from_ref(value).addr());
}

/// Notes an access to an address.
#[track_caller]
pub fn note_at(what: What, address: usize) {
    if !OPEN.load(SeqCst) {
        return;
    }
    let site = Location::caller();
    quietly(|| {
        let place = place_of(address);
        let line = (place != Place::Task).then_some(address / LINE);
        let this = thread::current();
        let thread = this.name().unwrap_or_default();
        let entries = &mut *lock(&LEDGER);
        let same = |entry: &&mut Entry| {
            (entry.what, entry.place, entry.line, entry.site) == (what, place, line, site)
                && entry.thread == thread
        };
        match entries.iter_mut().find(same) {
            Some(entry) => entry.count += 1,
            None => {
                entries.push(Entry { thread: thread.into(), what, place, line, site, count: 1 })
            }
        }
    });
}

fn place_of(address: usize) -> Place {
    let in_cell = || {
        let cells = lock(&CELLS);
        cells.range(..=address).next_back().is_some_and(|(_, &end)| address < end)
    };
    if in_cell() {
        Place::Task
    } else if OWN.with_borrow(|own| own.iter().any(|range| range.contains(&address))) {
        Place::Own
    } else {
        Place::Shared
    }
}

pub(super) fn cell_made(start: usize, size: usize) {
    quietly(|| lock(&CELLS).insert(start, start + size));
}

pub(super) fn cell_freed(start: usize) {
    quietly(|| lock(&CELLS).remove(&start));
}

/// Memory that this thread calls its own, until this is dropped.
#[derive(Debug)]
pub struct Own {
    start: usize,
    _of_one_thread: core::marker::PhantomData<*const ()>,
}

/// Declares a value this thread's own.
pub fn own<T: ?Sized>(value: &T) -> Own {
    let start = core::ptr::from_ref(value).addr();
    quietly(|| OWN.with_borrow_mut(|own| own.push(start..start + size_of_val(value))));
    Own { start, _of_one_thread: core::marker::PhantomData }
}

impl Drop for Own {
    fn drop(&mut self) {
        quietly(|| {
            OWN.with_borrow_mut(|own| {
                if let Some(last) = own.iter().rposition(|range| range.start == self.start) {
                    own.remove(last);
                }
            });
        });
    }
}
