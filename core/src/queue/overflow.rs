//! What a worker cannot put elsewhere: still in order, and within the reach of thieves.
//!
//! A ring is bounded and an inbox is newest first, so there has to be a place for what a full ring
//! refuses and for what an inbox held. Pushing a large inbox back would reverse its age each time
//! and starve the oldest; keeping it private would hide it from workers that have nothing to do.
//!
//! ```text
//!   push, push_batch ──► ready ───────────────► pop, take
//!                          ▲ when all is turned
//!   accept ──► incoming, being turned
//! ```
//!
//! Both parts are behind one lock, and the work under it is bounded: a visit turns at most [`STEPS`]
//! items of what came in and splices what the visitor asks for, for a thief in a few steps
//! (`chunks.rs`). Whoever visits, owner
//! or thief, carries the turning on, so a million of items stalls nobody and is nobody's secret.
//! Under the lock no item is run, woken or dropped, and nothing is allocated.
//!
//! The owner takes one item at a time ([`pop`](Overflow::pop)), for its lock is to cost it less than a
//! ring would; or many, if an inbox was taken in or a thief has come for its share
//! ([`had_traffic`](Overflow::had_traffic)), or if that empties it.
//!
//! There is one backlog at a time: while one is being turned, later items stay in their inbox, which
//! is as open to thieves and keeps them in order.

use core::{fmt, mem};

use super::{Backlog, Batch, Chain, chunks::Chunks};
use crate::{
    lock::{Mutex, RawLock},
    sync::{AtomicBool, AtomicUsize, Ordering, shrunk},
};

/// How many items one visit turns around: some ten microseconds if each is a cache miss.
pub const STEPS: usize = shrunk(256, 2);

/// An unbounded FIFO that takes in whole inboxes. The head of the file explains it.
///
/// It drops what is left in it.
pub struct Overflow<T: Chain, L: RawLock> {
    /// `Lists::len`, stored before each visit ends.
    len: AtomicUsize,
    /// Items that came in by `accept` and have been turned around, ever.
    accepted: AtomicUsize,
    /// See `had_traffic`.
    traffic: AtomicBool,
    lists: Mutex<Lists<T>, L>,
}

struct Lists<T: Chain> {
    ready: Chunks<T>,
    incoming: Backlog<T>,
}

impl<T: Chain, L: RawLock> Overflow<T, L> {
    /// Makes an empty overflow.
    pub fn new() -> Self {
        let lists = Lists { ready: Chunks::new(), incoming: Backlog::new() };
        Self {
            len: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            traffic: AtomicBool::new(false),
            lists: Mutex::new(lists),
        }
    }

    /// At least how many items are in it, by one load: of a backlog that is being turned, what is
    /// left to turn counts as one.
    pub fn len(&self) -> usize {
        // Ordering: Relaxed, the value alone counts. A reader that fenced (`SeqCst`) sees each visit
        // that was followed by a fence before its own; the items themselves are ordered by the lock.
        self.len.load(Ordering::Relaxed)
    }

    /// Whether nothing is in it, by one load.
    ///
    /// A visit that happened before this call is seen. So if this says yes, everything that was put
    /// in before has been taken out by somebody, who has it in hand.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items have come in by [`accept`](Self::accept) so far, without what is left to turn
    /// around. It wraps.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Puts an item behind those that are ready.
    pub fn push(&self, item: T) {
        self.visit(|lists| lists.ready.push_back(item));
    }

    /// Puts items behind those that are ready.
    pub fn push_batch(&self, mut items: Batch<T>) {
        self.visit(|lists| lists.ready.append(&mut items));
    }

    /// Takes in what an inbox holds, behind all that is in here.
    ///
    /// `drain` runs under the lock, so it should do no more than drain. It is not called while an
    /// earlier backlog is being turned; this call then only carries that on.
    pub fn accept(&self, drain: impl FnOnce() -> Backlog<T>) {
        self.visit(|lists| {
            let steps = self.turn(lists, STEPS);
            if steps > 0 {
                self.traffic.store(true, Ordering::Relaxed);
                lists.incoming = drain();
                self.turn(lists, steps);
            }
        });
    }

    /// Takes the oldest item, for the owner.
    ///
    /// There may be none although the overflow is not [empty](Self::is_empty), if all are still being
    /// turned around. The next calls come closer.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        self.visit(|lists| {
            self.turn_some(lists);
            lists.ready.pop_front()
        })
    }

    /// Takes the oldest items, at most `max` of them; maybe none, as for [`pop`](Self::pop).
    pub fn take(&self, max: usize) -> Batch<T> {
        self.turn_and(|ready| ready.take(max))
    }

    /// As [`take`](Self::take), for a thief: it may get more, up to half of what is ready, if it would
    /// have to walk along the items otherwise while it keeps the owner out.
    pub fn take_share(&self, max: usize) -> Batch<T> {
        self.turn_and(|ready| {
            // Ordering: Relaxed, a hint; as in `had_traffic`.
            self.traffic.store(true, Ordering::Relaxed);
            ready.take_share(max)
        })
    }

    /// Whether an inbox was taken in since the last call, or a thief has come for its share. For the
    /// owner, which then had better move what it runs next to its ring: that is one visit for all of
    /// them, and thieves need no lock there.
    #[inline]
    pub fn had_traffic(&self) -> bool {
        let traffic = self.traffic.load(Ordering::Relaxed);
        if traffic {
            self.traffic.store(false, Ordering::Relaxed);
        }
        traffic
    }

    fn turn_and(&self, take: impl FnOnce(&mut Chunks<T>) -> Batch<T>) -> Batch<T> {
        if self.is_empty() {
            return Batch::new();
        }
        self.visit(|lists| {
            self.turn_some(lists);
            take(&mut lists.ready)
        })
    }

    /// Takes everything, however long it takes to turn it around.
    pub fn drain_all(&self) -> Batch<T> {
        let (mut all, incoming) =
            self.visit(|lists| (lists.ready.take_all(), mem::take(&mut lists.incoming)));
        let turned = incoming.turned.len();
        let mut incoming = incoming.into_batch();
        self.count(incoming.len() - turned);
        all.append(&mut incoming);
        all
    }

    /// Carries the turning on, if something is being turned.
    #[inline]
    fn turn_some(&self, lists: &mut Lists<T>) {
        if !lists.incoming.is_empty() {
            self.turn(lists, STEPS);
        }
    }

    /// [`Lists::turn`], counted.
    fn turn(&self, lists: &mut Lists<T>, steps: usize) -> usize {
        let rest = lists.turn(steps);
        self.count(steps - rest);
        rest
    }

    fn count(&self, accepted: usize) {
        if accepted > 0 {
            // Ordering: Relaxed, the value stands for itself.
            self.accepted.fetch_add(accepted, Ordering::Relaxed);
        }
    }

    #[inline]
    fn visit<R>(&self, critical: impl FnOnce(&mut Lists<T>) -> R) -> R {
        self.lists.with(|lists| {
            let result = critical(lists);
            // Ordering: Relaxed, see `len`. The lock orders the stores among each other.
            self.len.store(lists.len(), Ordering::Relaxed);
            result
        })
    }
}

impl<T: Chain> Lists<T> {
    fn len(&self) -> usize {
        self.ready.len() + self.incoming.turned.len() + usize::from(!self.incoming.is_turned())
    }

    /// Turns so many of the incoming items around, and makes them ready once all are turned, which
    /// is when it returns a rest of steps that is not zero.
    fn turn(&mut self, steps: usize) -> usize {
        let rest = self.incoming.turn(steps);
        if self.incoming.is_turned() {
            self.ready.append(&mut self.incoming.turned);
        }
        rest
    }
}

impl<T: Chain, L: RawLock> Default for Overflow<T, L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Chain, L: RawLock> fmt::Debug for Overflow<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overflow").field("len", &self.len).finish_non_exhaustive()
    }
}
