//! Who sleeps and who searches. The protocol and its proof are in `README.md` next to this file.

use alloc::boxed::Box;

use crate::sync::{AtomicUsize, CachePadded, Ordering, fence};

/// The sleeping workers, and the number of those that look for work in other workers' queues.
///
/// Ordering: the protocol lives on its fences, and on exchanges reading the latest value. That
/// these are AcqRel has one partner, the load in [`end_sleep`](Self::end_sleep).
#[derive(Debug)]
pub struct Idle {
    /// How many workers search or have been woken to search, and notifiers that are about to wake
    /// one.
    searching: CachePadded<AtomicUsize>,
    /// A bit per sleeping worker. Read with every push: what else is on that line is not written.
    sleeping: Box<[CachePadded<AtomicUsize>]>,
    workers: usize,
}

/// A worker that has been taken out of the set of sleepers: it is to be unparked, and counts as
/// searching until it says otherwise.
#[must_use = "the worker sleeps on until it is unparked"]
#[derive(Debug, PartialEq, Eq)]
pub struct Woken(pub usize);

/// How a sleeper found itself when it awoke.
#[must_use]
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Awake {
    /// A notifier took it out of the set, and counted it as searching.
    Notified,
    /// It awoke by itself: the driver had something, or for no reason.
    ByItself,
}

impl Idle {
    /// All workers are awake and none is searching.
    pub fn new(workers: usize) -> Self {
        let words = workers.div_ceil(usize::BITS as usize);
        Self {
            searching: CachePadded(AtomicUsize::new(0)),
            sleeping: (0..words).map(|_| CachePadded(AtomicUsize::new(0))).collect(),
            workers,
        }
    }

    fn place(worker: usize) -> (usize, usize) {
        (worker / usize::BITS as usize, 1 << (worker % usize::BITS as usize))
    }

    /// How many search, or are about to.
    fn searchers(&self) -> usize {
        self.searching.load(Ordering::Relaxed)
    }

    #[inline]
    fn anybody_sleeps(&self) -> bool {
        self.sleeping.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    // ---- notifiers ----

    /// Whether waking somebody could be of use. Plain loads: enough for work that its owner will
    /// come to anyway.
    #[inline]
    pub fn worth_waking(&self) -> bool {
        // Ordering: Relaxed; a stale answer delays help and loses nothing.
        self.anybody_sleeps() && self.searchers() == 0
    }

    /// Chooses a sleeper to look for work that has just been published, `first` if it sleeps. None if
    /// somebody is searching already, or nobody sleeps.
    pub fn notify(&self, first: usize) -> Option<Woken> {
        loop {
            // Ordering: (N2) in the README: the publication comes before the loads below.
            fence(Ordering::SeqCst);
            if self.searchers() > 0 || !self.anybody_sleeps() {
                return None;
            }
            // The count comes before the bit: a sleeper that finds its bit taken ends a search that
            // has to have begun.
            self.searching.fetch_add(1, Ordering::AcqRel);
            if let Some(woken) = self.take_sleeper(first) {
                return Some(woken);
            }
            // Others were faster. Another notifier may have stopped because of this count, so it
            // leaves as a searcher does: the last one looks for a successor.
            if self.searching.fetch_sub(1, Ordering::AcqRel) != 1 {
                return None;
            }
        }
    }

    /// Takes a sleeper out of the set, `first` if it is in it.
    fn take_sleeper(&self, first: usize) -> Option<Woken> {
        let (word, bit) = Self::place(first);
        if self.take(word, bit) {
            return Some(Woken(first));
        }
        for (index, word) in self.sleeping.iter().enumerate() {
            let mut candidates = word.load(Ordering::Relaxed);
            while candidates != 0 {
                let lowest = candidates.trailing_zeros();
                if self.take(index, 1 << lowest) {
                    return Some(Woken(index * usize::BITS as usize + lowest as usize));
                }
                candidates &= candidates - 1;
            }
        }
        None
    }

    /// Takes one worker out of the set. False if it was not in it.
    fn take(&self, word: usize, bit: usize) -> bool {
        if self.sleeping[word].load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        // Ordering: AcqRel; one of the notifiers and the sleeper itself gets the bit.
        self.sleeping[word].fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }

    // ---- workers ----

    /// Asks to search. Refused if half of the workers do: more would fight over the same queues.
    pub fn start_search(&self) -> bool {
        if 2 * self.searchers() >= self.workers {
            return false;
        }
        self.searching.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Searches whatever the limit: there is work, and the others may all be on their way to sleep.
    pub fn force_search(&self) {
        self.searching.fetch_add(1, Ordering::AcqRel);
    }

    /// A searcher has found something. If it was the last, and there is more, another takes over the
    /// search. `has_work` looks into every queue.
    pub fn end_search(&self, first: usize, has_work: impl FnOnce() -> bool) -> Option<Woken> {
        let last = self.searching.fetch_sub(1, Ordering::AcqRel) == 1;
        if !last {
            return None;
        }
        // Ordering: (N2) of whoever stopped because of this search comes before this fence, so the
        // look finds what was published there.
        fence(Ordering::SeqCst);
        if has_work() { self.notify(first) } else { None }
    }

    /// Leaves the searchers without a successor: the caller looks into every queue after a fence.
    pub fn leave_search(&self) {
        // Ordering: (S2) and (S3) in the README.
        self.searching.fetch_sub(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// Joins the sleepers, and ends a search that found nothing. The caller then looks into every
    /// queue once more before it parks.
    pub fn start_sleep(&self, worker: usize, searching: bool) {
        let (word, bit) = Self::place(worker);
        // Ordering: AcqRel, (S1); the notifier that takes the bit sees all that came before.
        let previous = self.sleeping[word].fetch_or(bit, Ordering::AcqRel);
        debug_assert_eq!(previous & bit, 0, "a worker went to sleep twice");
        if searching {
            // (S2)
            self.searching.fetch_sub(1, Ordering::AcqRel);
        }
        // Ordering: (S3) in the README: the bit comes before the second look.
        fence(Ordering::SeqCst);
    }

    /// Leaves the sleepers.
    pub fn end_sleep(&self, worker: usize) -> Awake {
        let (word, bit) = Self::place(worker);
        // No exchange, since only this worker sets its bit. Ordering: Acquire, for the Release of
        // `take`: the search that the worker ends later has been counted.
        if self.sleeping[word].load(Ordering::Acquire) & bit == 0 {
            return Awake::Notified;
        }
        if self.sleeping[word].fetch_and(!bit, Ordering::AcqRel) & bit == 0 {
            Awake::Notified
        } else {
            Awake::ByItself
        }
    }

    /// Whether a worker sleeps, at some moment of the call.
    pub fn is_asleep(&self, worker: usize) -> bool {
        let (word, bit) = Self::place(worker);
        self.sleeping[word].load(Ordering::Relaxed) & bit != 0
    }

    /// A worker that sleeps, at some moment of the call.
    pub fn any_sleeper(&self) -> Option<usize> {
        (0..self.workers).find(|&worker| self.is_asleep(worker))
    }

    /// How many workers sleep, at some moment of the call.
    pub fn sleepers(&self) -> usize {
        self.sleeping.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_woken_once_and_counts_as_searching() {
        let idle = Idle::new(70);
        assert!(!idle.worth_waking());
        idle.start_sleep(69, false);
        idle.start_sleep(3, false);
        assert!(idle.worth_waking());
        assert_eq!(idle.notify(69), Some(Woken(69)));
        assert!(!idle.worth_waking(), "one is searching");
        assert_eq!(idle.notify(3), None);
        assert_eq!(idle.end_sleep(69), Awake::Notified);
        // The last searcher that finds work wakes the next.
        assert_eq!(idle.end_search(69, || true), Some(Woken(3)));
        assert_eq!(idle.end_sleep(3), Awake::Notified);
        assert_eq!(idle.end_search(3, || true), None);
        assert_eq!(idle.sleepers(), 0);
    }

    #[test]
    fn at_most_half_of_the_workers_search() {
        let idle = Idle::new(4);
        assert!(idle.start_search());
        assert!(idle.start_search());
        assert!(!idle.start_search());
        idle.start_sleep(0, true);
        assert!(idle.start_search());
        assert_eq!(idle.end_sleep(0), Awake::ByItself);
    }
}
