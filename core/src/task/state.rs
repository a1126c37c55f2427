//! The state word: everything about a task that more than one thread may change.
//!
//! ```text
//!  high                                                                            low
//! ┌─────────────────┬──────────┬───────────┬────────────┬───────────────┬───────────┬──────────────────┐
//! │ wakes           │ COMPLETE │ COALESCED │ JOIN_WAKER │ JOIN_INTEREST │ CANCELLED │ references       │
//! └─────────────────┴──────────┴───────────┴────────────┴───────────────┴───────────┴──────────────────┘
//!  32 bits (11 on                                                                    27 bits (16 on
//!  32-bit machines)                                                                  32-bit machines)
//! ```
//!
//! `wakes` counts the wakes that no finished poll has answered yet. It makes a wake one
//! `fetch_add` and the start of a poll one load, and it is the proof of who may run the task:
//!
//! | COMPLETE | wakes | phase | a `Runnable` exists | who may touch the future |
//! |---|---|---|---|---|
//! | 0 | 0 | idle | no | nobody |
//! | 0 | > 0 | scheduled or being polled | exactly one | its holder |
//! | 1 | any | complete | no | nobody; it is gone |
//!
//! | COMPLETE | JOIN_INTEREST | JOIN_WAKER | the output belongs to | the join waker belongs to |
//! |---|---|---|---|---|
//! | 0 | 1 | 0 | – | the `JoinHandle` |
//! | 0 | 1 | 1 | – | nobody; both sides may read it |
//! | 0 | 0 | 0 | – | nobody; the slot is empty |
//! | 1 | 1 | 0 | the `JoinHandle` | – |
//! | 1 | 1 | 1 | the `JoinHandle` | whoever completed the task |
//! | 1 | 0 | 0 | whoever completed the task | – |
//! | 1 | 0 | 1 | nobody; the place is vacant | – |
//!
//! # Rules
//!
//! 1. *One runnable.* Whoever raises `wakes` from 0 on an incomplete task makes the task's
//!    `Runnable`. Nobody else does, and only its holder lowers `wakes` to 0 or sets COMPLETE.
//! 2. *No lost wake.* A wake is always a read-modify-write, even on a task that is already
//!    scheduled: a load could be satisfied before the waker's earlier writes are visible, and the
//!    poller would miss both. [`end_poll`](State::end_poll) goes idle only if the count is what
//!    [`start_poll`](State::start_poll) saw, so each wake is either in what the poll saw, and its
//!    writes too (release sequence, acquire load), or it leads to another poll. A poll that wants
//!    another one for itself needs none of that: its holder keeps the `Runnable` instead of ending
//!    the poll here, and what the poll has written it will see
//!    ([`Schedule::YIELDS`](super::Schedule::YIELDS)).
//! 3. *No overflow.* A wake that finds the field half full folds the count to 1 and sets COALESCED,
//!    which [`end_poll`](State::end_poll) takes as a wake it did not see, and the next poll's start
//!    takes away. The field has room for as
//!    many wakes again as can be between the add and the fold: one per thread or interrupt level.
//!    After completion the count means nothing and its carries leave the word at the top.
//! 4. *References.* Wakers, the `JoinHandle`, `AbortHandle`s and the owned list hold one each; but
//!    wakers of a place that stays hold none (rule 6). A `Runnable` holds none: while it exists the
//!    task is incomplete, and the owned list's reference is given back with completion at the earliest.
//!    Its holder has some to spare (`spares.rs`), which completion gives up. The last reference frees
//!    the memory and nothing else, since by then the future and the output are gone. Who sees that
//!    the count is 1, beside its own spare ones, and has that one is alone with the cell, since
//!    references are made from references (and from the list's for a task that is idle only): the
//!    completer of a detached task and the last holder of a complete one spare their
//!    read-modify-writes.
//!    A completer that has the owned list's reference may give it up by the exchange that completes, and
//!    so cannot look for the join waker afterwards: it copies it before. A handle that takes its
//!    waker back while there is a `Runnable` sets COALESCED, which stays until the next poll starts;
//!    so an exchange that expects a word without it has the waker that the word speaks of. That costs
//!    a poll for nothing if it comes during one.
//! 5. *Cancellation* is a flag and a wake. It takes effect where a poll would start.
//! 6. *Places that stay.* A cell in a static never goes away, so its wakers are the place's and
//!    count nothing. One that outlives its task may wake at any time whatever is there: a complete
//!    task, a vacant place and one that is being written have COMPLETE, and are left alone; the
//!    next task, from the store that [`start`](State::start)s it on, is woken once for nothing. So
//!    the word of such a place is a valid one always, and only written by atomic operations. A task
//!    there that nobody joins is not COMPLETE before its place is vacant: the end of both is one
//!    store.
//!
//! The wake counter is the idea of nexosim's task; folding the count, and leaving references out of
//! scheduling, are ours. `ARCHITECTURE.md` has the measurement against the usual form with a
//! NOTIFIED and a RUNNING flag.

use crate::sync::{AtomicUsize, FetchAddFused, Fused, Ordering, Overwrite, const_unless_checked};

/// Few under a model checker, so that its executions reach the folding of rule 3.
const WAKE_BITS: u32 = crate::sync::shrunk(usize::BITS / 2 - (usize::BITS == 32) as u32 * 5, 3);
const WAKE_SHIFT: u32 = usize::BITS - WAKE_BITS;
const WAKE: usize = 1 << WAKE_SHIFT;
/// At this count a wake folds (rule 3).
const HALF_OF_WAKES: usize = 1 << (WAKE_BITS - 1);

/// Next to the wakes, so that a wake asks by one comparison about both.
const COMPLETE: usize = WAKE >> 1;
/// At the upper end of what is left while there are polls, so that their end does so, too.
const COALESCED: usize = WAKE >> 2;
const JOIN_WAKER: usize = WAKE >> 3;
const JOIN_INTEREST: usize = WAKE >> 4;
const CANCELLED: usize = WAKE >> 5;

/// At the low end, where processors take a field out of a word by one instruction.
const REF: usize = 1;
const REF_MASK: usize = CANCELLED - 1;
/// At this count another reference ends the program, as it does for `Arc`: only leaked wakers get
/// here, and the field has room for every thread that is just about to notice.
const HALF_OF_REFS: usize = CANCELLED >> 1;

/// A scheduled task with its `Runnable`, a `JoinHandle` and the owned list's reference.
const SCHEDULED: usize = WAKE | (2 * REF) | JOIN_INTEREST;

/// A place that stays and has no task: a join waker without a join interest is nobody's.
#[cfg(feature = "critical-section")]
const VACANT: usize = COMPLETE | JOIN_WAKER;

/// A place that stays, and that somebody is about to write a task into.
#[cfg(feature = "critical-section")]
const RESERVED: usize = COMPLETE | REF;

/// One reading of the word.
#[derive(Clone, Copy, Debug)]
struct Word(usize);

impl Word {
    /// Whether one of the flags is set.
    fn is(self, flags: usize) -> bool {
        self.0 & flags != 0
    }

    fn wakes(self) -> usize {
        self.0 >> WAKE_SHIFT
    }

    fn references(self) -> usize {
        self.0 & REF_MASK
    }

    /// Whatever the wakes: those of a vacant place mean nothing.
    #[cfg(feature = "critical-section")]
    fn is_vacant(self) -> bool {
        let rest = self.0 & (WAKE - 1);
        rest == VACANT || rest == 0
    }

    fn with_wakes(self, wakes: usize) -> Self {
        Self((self.0 & (WAKE - 1)) | wakes << WAKE_SHIFT)
    }

    fn set(self, flags: usize) -> Self {
        Self(self.0 | flags)
    }

    fn clear(self, flags: usize) -> Self {
        Self(self.0 & !flags)
    }
}

/// What a waker has to do next.
#[must_use]
#[derive(Debug, PartialEq)]
pub(super) enum Wake {
    /// The waker made the task's `Runnable` (rule 1) and has to schedule it.
    Schedule,
    /// Somebody else runs the task, or it is complete.
    Nothing,
    /// The waker's reference was the last.
    Free,
}

/// How a poll starts.
#[must_use]
#[derive(Debug)]
pub(super) enum StartPoll {
    /// Poll, and hand `Seen` to [`State::end_poll`].
    Poll(Seen),
    /// Drop the future instead.
    Cancel,
}

/// The wakes that a poll answers: in the word at its start, without COALESCED.
#[derive(Debug)]
pub(super) struct Seen(Word);

/// How a poll that returned `Pending` ends.
#[must_use]
#[derive(Debug, PartialEq)]
pub(super) enum EndPoll {
    /// The `Runnable` is no more. The task may be gone already.
    Idle,
    /// There was a wake during the poll. The `Runnable` stays.
    Again,
}

/// What whoever completed the task owes its joiner.
#[must_use]
#[derive(Debug)]
pub(super) struct Completed {
    /// The `JoinHandle` will take or drop the output; otherwise it is the completer's to drop.
    pub(super) join_interest: bool,
    /// The join waker is the completer's now.
    pub(super) join_waker: bool,
}

/// What became of a cancellation.
#[must_use]
#[derive(Debug, PartialEq)]
pub(super) enum Cancel {
    /// The task was idle: the caller made its `Runnable`.
    Claimed,
    /// The holder of the `Runnable` will see the flag.
    Busy,
    /// Too late.
    Complete,
}

/// Whether a place that stays had never been reserved before.
#[cfg(feature = "critical-section")]
#[derive(Debug)]
pub(super) struct FirstUse(pub(super) bool);

/// The other side of the join protocol was faster: the task is complete.
#[derive(Debug)]
pub(super) struct AlreadyComplete;

/// What dropping the `JoinHandle` found.
#[must_use]
#[derive(Debug)]
pub(super) enum DropJoin {
    /// Incomplete: the handle's reference is gone, and a join waker is the caller's to drop.
    Detached,
    /// The output and the reference are still the caller's.
    Complete,
}

#[derive(Debug)]
pub(super) struct State(AtomicUsize);

impl State {
    /// A scheduled task with its `Runnable`, a `JoinHandle` and the owned list's reference.
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(SCHEDULED))
    }

    const_unless_checked! {
        /// The word of a place that stays, before its first task: nobody has a waker.
        #[cfg(feature = "critical-section")]
        pub(super) fn unused() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// As [`new`](Self::new), in a reserved place that stays (rule 6). If nobody joins the task,
    /// the owned list's reference is its only one, as long as it lives.
    pub(super) fn start(&self, is_joined: bool) {
        let word = if is_joined { SCHEDULED } else { WAKE | REF };
        // Ordering: Release, for the Acquire of a shutdown that looks whose task this is
        // (`tasks_of`). A stale waker needs none: it follows pointers only if it finds the task
        // idle, and acquires the `end_poll` before that, which comes after this.
        self.0.overwrite(word, Ordering::Release);
    }

    /// Whether a place that stays has no task, and nobody has reserved it.
    #[cfg(feature = "critical-section")]
    pub(super) fn is_vacant(&self) -> bool {
        self.load(Ordering::Relaxed).is_vacant()
    }

    /// Takes a vacant place, which then has one reference; not one in an unusual state.
    #[cfg(feature = "critical-section")]
    #[must_use]
    #[inline]
    pub(super) fn reserve(&self) -> bool {
        // Ordering: as in `reserve_unusual`.
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        self.0.compare_exchange(VACANT, RESERVED, success, failure).is_ok()
    }

    /// Takes a place that was never used, or that stale wakers have woken since.
    #[cfg(feature = "critical-section")]
    #[inline]
    pub(super) fn reserve_unusual(&self) -> Option<FirstUse> {
        // Ordering: Acquire, for the Release of `vacate`. Relaxed: a place that is taken is left
        // alone.
        let reserved = self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
            Word(word).is_vacant().then_some(RESERVED)
        });
        reserved.ok().map(|word| FirstUse(word == 0))
    }

    /// Gives a place back that is reserved, or whose last reference is gone.
    #[cfg(feature = "critical-section")]
    pub(super) fn vacate(&self) {
        // Ordering: Release, for the Acquire of `reserve`: the next user comes after this one.
        self.0.overwrite(VACANT, Ordering::Release);
    }

    #[inline]
    fn load(&self, order: Ordering) -> Word {
        Word(self.0.load(order))
    }

    /// Replaces the word as long as `next` wants it; returns the word it replaced, or the one that
    /// `next` would not have replaced.
    #[inline]
    fn update(&self, mut next: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        // Ordering: AcqRel, as every transition below is one side of a hand-over.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                next(Word(word)).map(|word| word.0)
            })
            .map(Word)
            .map_err(Word)
    }

    // ---- the holder of the Runnable ----

    /// One load. Acquire: pairs with every wake that is in the count (rule 2).
    #[inline]
    pub(super) fn start_poll(&self) -> StartPoll {
        let mut word = self.load(Ordering::Acquire);
        debug_assert!(word.wakes() > 0 && !word.is(COMPLETE), "polled without a Runnable");
        if word.is(CANCELLED | COALESCED) {
            if word.is(CANCELLED) {
                return StartPoll::Cancel;
            }
            word = self.unfold();
        }
        StartPoll::Poll(Seen(word))
    }

    /// The wakes that were folded so far are answered by the poll that starts here.
    #[cold]
    fn unfold(&self) -> Word {
        // Ordering: as in `start_poll`, for wakes that came since.
        Word(self.0.fetch_and(!COALESCED, Ordering::Acquire)).clear(COALESCED)
    }

    /// As [`end_poll`](Self::end_poll), where wakers count nothing, so that seldom anything but a
    /// wake has changed the word: then, too, it asks for another poll.
    #[inline]
    pub(super) fn end_quiet_poll(&self, seen: Seen) -> EndPoll {
        let idle = seen.0.0 & (COALESCED - 1);
        // Ordering: as in `end_poll`.
        let ended =
            self.0.compare_exchange_weak(seen.0.0, idle, Ordering::Release, Ordering::Relaxed);
        if ended.is_ok() { EndPoll::Idle } else { EndPoll::Again }
    }

    /// One compare-and-swap to go idle; one load if the task was woken meanwhile.
    #[inline]
    pub(super) fn end_poll(&self, seen: Seen) -> EndPoll {
        // Ordering: Release gives the future's contents to the next wake from 0, which acquires.
        // Relaxed loads, since a stale count fails the exchange, and a count that differs is
        // acquired by the next `start_poll`.
        let ended = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
            (word ^ seen.0.0 < COALESCED).then_some(word & (COALESCED - 1))
        });
        if ended.is_ok() { EndPoll::Idle } else { EndPoll::Again }
    }

    /// Makes the `Runnable` of an idle task for a poll that nobody has woken it for; false if there
    /// is no idle task.
    #[must_use]
    pub(super) fn claim_idle(&self) -> bool {
        // As a wake would: one that comes from here on is a wake during that poll.
        self.update(|word| (!word.is(COMPLETE) && word.wakes() == 0).then(|| word.with_wakes(1)))
            .is_ok()
    }

    /// One store, of a task whose one reference is the owned list's: nobody can join, a wake
    /// changes nothing any more, and the list's owner makes no other reference while there is a
    /// `Runnable` ([`hold_idle`](Self::hold_idle)). It may be about to flag the task as cancelled:
    /// its exchange fails, or the store takes the flag away, which comes too late anyway.
    #[inline]
    pub(super) fn complete_detached(&self) {
        // Ordering: Relaxed; nobody is left to look for the output, and what frees the cell is
        // handed to the owner by other means.
        self.0.overwrite(COMPLETE | REF, Ordering::Relaxed);
    }

    /// One load and one store if nobody is left who could ask; else one load, and false. Gives up the
    /// references that the poller has to spare.
    #[must_use]
    #[inline]
    pub(super) fn complete_alone(&self, spare: usize) -> bool {
        // Ordering: Acquire pairs with the Release of those who gave their references up.
        let word = self.load(Ordering::Acquire);
        let is_alone = word.references() == 1 + spare;
        if is_alone {
            debug_assert!(!word.is(JOIN_INTEREST), "the interest and its reference go together");
            self.complete_detached();
        }
        is_alone
    }

    /// One compare-and-swap for a task that is joined. The output has been stored. Gives up the
    /// references that the poller has to spare, and the owned list's, which is the caller's; so the
    /// cell may be gone. The closure is called before that, if there is a join waker, and copies it.
    /// False if nothing has been done: nobody joins, or others change the word.
    #[must_use]
    #[inline]
    pub(super) fn complete_and_leave(&self, spare: usize, copy_waker: impl FnOnce()) -> bool {
        // Ordering: Acquire takes over the join waker from `set_join_waker`.
        let word = self.load(Ordering::Acquire);
        if !word.is(JOIN_INTEREST) || word.is(COALESCED) {
            return false;
        }
        if word.is(JOIN_WAKER) {
            copy_waker();
        }
        let complete = word.0 + COMPLETE - (spare + 1) * REF;
        // Ordering: Release publishes the output to the JoinHandle's load, and ends the caller's uses
        // of the cell. Relaxed: the word is read again.
        self.0.compare_exchange(word.0, complete, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// One `fetch_add`. The output has been stored. Gives up the references that the poller has to
    /// spare.
    #[inline]
    pub(super) fn complete(&self, spare: usize) -> Completed {
        // Ordering: Release publishes the output to the JoinHandle's load; Acquire takes over the
        // join waker from `set_join_waker`.
        let previous = Word(self.0.fetch_add(COMPLETE - spare * REF, Ordering::AcqRel));
        debug_assert!(!previous.is(COMPLETE) && previous.wakes() > 0, "completed twice");
        Completed { join_interest: previous.is(JOIN_INTEREST), join_waker: previous.is(JOIN_WAKER) }
    }

    // ---- wakers ----

    /// One `fetch_add`.
    #[inline]
    pub(super) fn wake_by_ref(&self, fused: Fused<'_>) -> Wake {
        // Ordering: Release publishes the waker's writes to the poll that answers; Acquire takes
        // over the future from the `end_poll` that went idle.
        let previous = Word(self.0.fetch_add_fused(WAKE, Ordering::AcqRel, fused));
        // One comparison, as signed and as unsigned numbers: complete or woken already, and not by
        // half of all wakes; not that, and not idle either.
        if previous.0.cast_signed() >= COMPLETE.cast_signed() {
            return Wake::Nothing;
        }
        if previous.0 < COMPLETE {
            return Wake::Schedule;
        }
        self.coalesce();
        Wake::Nothing
    }

    /// One `fetch_add` that also gives back the waker's reference. Only where the scheduler itself
    /// is sure to stay: its own workers. Others keep their reference until they have scheduled.
    #[inline]
    pub(super) fn wake_by_val(&self, fused: Fused<'_>) -> Wake {
        // The reference must not be given up and the count folded afterwards, so fold first.
        if self.load(Ordering::Relaxed).wakes() >= HALF_OF_WAKES {
            self.coalesce();
        }
        // Ordering: as in `wake_by_ref`; Acquire also orders a free after all other uses.
        let previous = Word(self.0.fetch_add_fused(WAKE - REF, Ordering::AcqRel, fused));
        if previous.is(COMPLETE) {
            return if previous.references() == 1 { Wake::Free } else { Wake::Nothing };
        }
        debug_assert!(previous.references() > 1, "an incomplete task is in an owned list");
        if previous.wakes() == 0 { Wake::Schedule } else { Wake::Nothing }
    }

    #[cold]
    #[inline(never)]
    fn coalesce(&self) {
        let _ = self.update(|word| {
            (!word.is(COMPLETE) && word.wakes() >= HALF_OF_WAKES)
                .then(|| word.with_wakes(1).set(COALESCED))
        });
    }

    /// Asks for the future to be dropped where it would be polled.
    pub(super) fn cancel(&self) -> Cancel {
        let cancelled = self.update(|word| {
            if word.is(COMPLETE) {
                None
            } else if word.wakes() == 0 {
                Some(word.set(CANCELLED).with_wakes(1))
            } else {
                Some(word.set(CANCELLED | COALESCED))
            }
        });
        match cancelled {
            Ok(previous) if previous.wakes() == 0 => Cancel::Claimed,
            Ok(_) => Cancel::Busy,
            Err(_) => Cancel::Complete,
        }
    }

    // ---- the JoinHandle ----

    /// One load. Acquire: the output is visible if this is true.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.load(Ordering::Acquire).is(COMPLETE)
    }

    /// Whether the handle has left a waker, and nothing else.
    #[inline]
    pub(super) fn has_join_waker(&self) -> bool {
        // Ordering: Relaxed; only the handle itself sets and clears the flag.
        self.load(Ordering::Relaxed).is(JOIN_WAKER)
    }

    /// Hands the waker in the slot over to whoever completes the task.
    #[inline]
    pub(super) fn set_join_waker(&self) -> Result<(), AlreadyComplete> {
        self.update(|word| (!word.is(COMPLETE)).then(|| word.set(JOIN_WAKER)))
            .map(drop)
            .map_err(|_| AlreadyComplete)
    }

    /// Takes the waker in the slot back. Who has a `Runnable` notices, if he has copied it (rule 4).
    pub(super) fn unset_join_waker(&self) -> Result<(), AlreadyComplete> {
        self.update(|word| {
            let notice = if word.wakes() > 0 { COALESCED } else { 0 };
            (!word.is(COMPLETE)).then(|| word.clear(JOIN_WAKER).set(notice))
        })
        .map(drop)
        .map_err(|_| AlreadyComplete)
    }

    /// Gives up the interest in the output, the join waker and the reference, all at once. Before
    /// that it calls the closure, maybe more than once, if there is a join waker.
    #[inline]
    pub(super) fn drop_join(&self, mut had_waker: impl FnMut()) -> DropJoin {
        let dropped = self.update(|word| {
            if word.is(COMPLETE) {
                return None;
            }
            // Only the handle itself sets and clears the flag.
            if word.is(JOIN_WAKER) {
                had_waker();
            }
            Some(Word(word.clear(JOIN_INTEREST | JOIN_WAKER).0 - REF))
        });
        if dropped.is_ok() { DropJoin::Detached } else { DropJoin::Complete }
    }

    // ---- references ----

    /// One `fetch_add`, for one reference or for several. False if there are too many references for
    /// the program to go on.
    #[must_use]
    #[inline]
    pub(super) fn clone_references(&self, count: usize) -> bool {
        // Ordering: Relaxed; a new reference is made from one that keeps the cell alive.
        let previous = Word(self.0.fetch_add(count * REF, Ordering::Relaxed));
        !previous.is(HALF_OF_REFS)
    }

    /// Counts one more reference of an idle task, for the owner of its list; false if it is not
    /// idle.
    ///
    /// Whoever runs a task may have seen that the list's reference is the only one, and relies on
    /// that (`complete_alone`). A task that is idle now is run by somebody who makes its `Runnable` after
    /// this.
    #[must_use]
    pub(super) fn hold_idle(&self) -> bool {
        self.update(|word| {
            let is_idle = !word.is(COMPLETE) && word.wakes() == 0;
            (is_idle && word.references() < HALF_OF_REFS).then(|| Word(word.0 + REF))
        })
        .is_ok()
    }

    /// One `fetch_sub`. True if this was the last reference: the cell is the caller's to free.
    #[must_use]
    #[inline]
    pub(super) fn drop_reference(&self) -> bool {
        // Ordering: Release ends this holder's uses, Acquire puts the free after everybody's.
        let previous = Word(self.0.fetch_sub(REF, Ordering::AcqRel));
        debug_assert!(previous.references() > 0, "a reference was dropped twice");
        previous.references() == 1
    }

    /// Whether the task is complete and has one reference, the caller's.
    #[cfg(feature = "embassy-time-driver")]
    pub(super) fn is_last_of_completed(&self) -> bool {
        // Ordering: Acquire pairs with the Release of the references that were dropped.
        let word = self.load(Ordering::Acquire);
        word.is(COMPLETE) && word.references() == 1
    }

    /// As [`drop_reference`](Self::drop_reference) on a complete task, by whoever is probably the
    /// last: then it is one load.
    #[must_use]
    #[inline]
    pub(super) fn drop_last_reference(&self) -> bool {
        // Ordering: Acquire puts the free after the uses of all who have given up theirs. A new
        // reference is made from one that exists, and this one is not used for that any more.
        self.load(Ordering::Acquire).references() == 1 || self.drop_reference()
    }

    /// For debug output: (complete, cancelled, scheduled or running).
    pub(super) fn snapshot(&self) -> (bool, bool, bool) {
        let word = self.load(Ordering::Relaxed);
        (word.is(COMPLETE), word.is(CANCELLED), word.wakes() > 0)
    }
}

#[cfg(test)]
mod tests;
