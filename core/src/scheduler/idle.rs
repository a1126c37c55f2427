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
    /// Read with every push: what else is on these lines is not written.
    sleeping: Box<[CachePadded<Sleepers>]>,
    workers: usize,
}

/// Some of the workers, a bit each.
#[derive(Debug, Default)]
struct Sleepers {
    all: AtomicUsize,
    /// Those that are not to be woken for what is in the queue of another worker. Written by its own
    /// worker, before it sleeps and after it. Ordering: Relaxed; a stale bit costs parallelism, or
    /// wakes somebody who would rather rest.
    resting: AtomicUsize,
}

impl Sleepers {
    /// Those that are to be woken for the news, by loads.
    #[inline]
    fn candidates(&self, news: News) -> usize {
        let all = self.all.load(Ordering::Relaxed);
        match news {
            News::Queued => all & !self.resting.load(Ordering::Relaxed),
            News::Outside => all,
        }
    }
}

/// Where work is for which somebody may be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// In the queues of a worker that is awake: it will come to it.
    Queued,
    /// Where perhaps nobody will look: in an inbox, or with a worker that is stuck.
    Outside,
}

/// How a worker goes to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// Until there is work.
    Idle,
    /// Although others have work, to leave it to them.
    Rest,
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
            sleeping: (0..words).map(|_| CachePadded(Sleepers::default())).collect(),
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
    fn anybody_sleeps(&self, news: News) -> bool {
        self.sleeping.iter().any(|word| word.candidates(news) != 0)
    }

    // ---- notifiers ----

    /// Whether waking somebody could be of use for what is queued. Plain loads: enough for work that
    /// its owner will come to anyway.
    #[inline]
    pub fn worth_waking(&self) -> bool {
        // Ordering: Relaxed; a stale answer delays help and loses nothing.
        self.anybody_sleeps(News::Queued) && self.searchers() == 0
    }

    /// Chooses a sleeper to look for work that has just been published, `first` if it sleeps. None if
    /// somebody is searching already, or nobody sleeps.
    pub fn notify(&self, first: usize, mut news: News) -> Option<Woken> {
        loop {
            // Ordering: (N2) in the README: the publication comes before the loads below.
            fence(Ordering::SeqCst);
            if self.searchers() > 0 || !self.anybody_sleeps(news) {
                return None;
            }
            // The count comes before the bit: a sleeper that finds its bit taken ends a search that
            // has to have begun.
            self.searching.fetch_add(1, Ordering::AcqRel);
            if let Some(woken) = self.take_sleeper(first, news) {
                return Some(woken);
            }
            // Others were faster. Another notifier may have stopped because of this count, so it
            // leaves as a searcher does: the last one looks for a successor.
            if self.searching.fetch_sub(1, Ordering::AcqRel) != 1 {
                return None;
            }
            // That notifier's work may be any.
            news = News::Outside;
        }
    }

    /// Takes a sleeper out of the set, `first` if it is in it.
    fn take_sleeper(&self, first: usize, news: News) -> Option<Woken> {
        let (word, bit) = Self::place(first);
        if self.sleeping[word].candidates(news) & bit != 0 && self.take(word, bit) {
            return Some(Woken(first));
        }
        for (index, word) in self.sleeping.iter().enumerate() {
            let mut candidates = word.candidates(news);
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
        let sleepers = &self.sleeping[word].all;
        if sleepers.load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        // Ordering: AcqRel; one of the notifiers and the sleeper itself gets the bit.
        sleepers.fetch_and(!bit, Ordering::AcqRel) & bit != 0
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
    /// search. `work` looks into every queue.
    pub fn end_search(&self, first: usize, work: impl FnOnce() -> Option<News>) -> Option<Woken> {
        let last = self.searching.fetch_sub(1, Ordering::AcqRel) == 1;
        if !last {
            return None;
        }
        // Ordering: (N2) of whoever stopped because of this search comes before this fence, so the
        // look finds what was published there.
        fence(Ordering::SeqCst);
        self.notify(first, work()?)
    }

    /// Leaves the searchers without a successor: the caller looks into every queue after a fence.
    pub fn leave_search(&self) {
        // Ordering: (S2) and (S3) in the README.
        self.searching.fetch_sub(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// Joins the sleepers, and ends a search that found nothing. The caller then looks once more before
    /// it parks: into every queue, or for a rest into every inbox and its own queues.
    pub fn start_sleep(&self, worker: usize, searching: bool, sleep: Sleep) {
        let (word, bit) = Self::place(worker);
        let sleepers = &self.sleeping[word];
        if sleep == Sleep::Rest {
            sleepers.resting.fetch_or(bit, Ordering::Relaxed);
        }
        // Ordering: AcqRel, (S1); the notifier that takes the bit sees all that came before.
        let previous = sleepers.all.fetch_or(bit, Ordering::AcqRel);
        debug_assert_eq!(previous & bit, 0, "a worker went to sleep twice");
        if searching {
            // (S2)
            self.searching.fetch_sub(1, Ordering::AcqRel);
        }
        // Ordering: (S3) in the README: the bit comes before the second look.
        fence(Ordering::SeqCst);
    }

    /// Leaves the sleepers. `sleep` is what it was.
    pub fn end_sleep(&self, worker: usize, sleep: Sleep) -> Awake {
        let (word, bit) = Self::place(worker);
        let sleepers = &self.sleeping[word];
        let awake = Self::leave(&sleepers.all, bit);
        if sleep == Sleep::Rest {
            sleepers.resting.fetch_and(!bit, Ordering::Relaxed);
        }
        awake
    }

    fn leave(sleepers: &AtomicUsize, bit: usize) -> Awake {
        // No exchange, since only this worker sets its bit. Ordering: Acquire, for the Release of
        // `take`: the search that the worker ends later has been counted.
        if sleepers.load(Ordering::Acquire) & bit == 0 {
            return Awake::Notified;
        }
        if sleepers.fetch_and(!bit, Ordering::AcqRel) & bit == 0 {
            Awake::Notified
        } else {
            Awake::ByItself
        }
    }

    /// Whether a worker sleeps, at some moment of the call.
    pub fn is_asleep(&self, worker: usize) -> bool {
        let (word, bit) = Self::place(worker);
        self.sleeping[word].all.load(Ordering::Relaxed) & bit != 0
    }

    /// A worker that sleeps, at some moment of the call.
    pub fn any_sleeper(&self) -> Option<usize> {
        (0..self.workers).find(|&worker| self.is_asleep(worker))
    }

    /// How many workers sleep, at some moment of the call.
    pub fn sleepers(&self) -> usize {
        let count = |word: &CachePadded<Sleepers>| word.all.load(Ordering::Relaxed).count_ones();
        self.sleeping.iter().map(|word| count(word) as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_woken_once_and_counts_as_searching() {
        let idle = Idle::new(70);
        assert!(!idle.worth_waking());
        idle.start_sleep(69, false, Sleep::Idle);
        idle.start_sleep(3, false, Sleep::Idle);
        assert!(idle.worth_waking());
        assert_eq!(idle.notify(69, News::Outside), Some(Woken(69)));
        assert!(!idle.worth_waking(), "one is searching");
        assert_eq!(idle.notify(3, News::Outside), None);
        assert_eq!(idle.end_sleep(69, Sleep::Idle), Awake::Notified);
        // The last searcher that finds work wakes the next.
        assert_eq!(idle.end_search(69, || Some(News::Queued)), Some(Woken(3)));
        assert_eq!(idle.end_sleep(3, Sleep::Idle), Awake::Notified);
        assert_eq!(idle.end_search(3, || Some(News::Queued)), None);
        assert_eq!(idle.sleepers(), 0);
    }

    #[test]
    fn who_rests_is_woken_for_what_comes_from_outside_only() {
        let idle = Idle::new(2);
        idle.start_sleep(1, false, Sleep::Rest);
        assert!(!idle.worth_waking());
        assert_eq!(idle.notify(1, News::Queued), None);
        assert_eq!(idle.notify(0, News::Outside), Some(Woken(1)));
        assert_eq!(idle.end_sleep(1, Sleep::Rest), Awake::Notified);
        assert_eq!(idle.end_search(1, || None), None);
        idle.start_sleep(1, false, Sleep::Idle);
        assert_eq!(idle.notify(0, News::Queued), Some(Woken(1)));
    }

    #[test]
    fn at_most_half_of_the_workers_search() {
        let idle = Idle::new(4);
        assert!(idle.start_search());
        assert!(idle.start_search());
        assert!(!idle.start_search());
        idle.start_sleep(0, true, Sleep::Idle);
        assert!(idle.start_search());
        assert_eq!(idle.end_sleep(0, Sleep::Idle), Awake::ByItself);
    }
}
