//! The hierarchical timing wheel: constant time to insert and to remove, and no allocation.
//!
//! After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels: Data Structures for the
//! Efficient Implementation of a Timer Facility", SOSP 1987 (their scheme 7).
//!
//! Write the time that the wheel has reached, and a deadline, as numbers of base 64. The highest
//! digit in which they differ is the entry's *level*, the deadline's digit there its *slot*:
//!
//! ```text
//!   reached    … 0  5  17  40
//!   deadline   … 0  5  21   3     level 1, slot 21
//!                      ▲▲
//! ```
//!
//! Deadlines lie ahead, so that digit is the larger one. Three things follow.
//!
//! - *Everything on one level is due before anything on the next*, and a lower slot before a higher
//!   one. The first entry is in the lowest slot of the lowest level, two bit scans away. No level
//!   ever wraps around.
//! - An entry has to move down only when the time reaches the beginning of its slot; until then its
//!   level stays what it is, however the time moves.
//! - An entry can be put on a lower level only once the slot above it has been emptied. Slots are
//!   first in, first out, so entries with the same deadline *fire in the order of their insertion*,
//!   whatever way they came.
//!
//! A deadline that is put off needs no other slot at once: the entry is found in its old one, too
//! early, and put where it belongs. That is also where the order of insertion ends to hold for it.
//!
//! What differs in a digit that the wheel has no level for lies in one more list, [`FAR`]. It is gone
//! through as a whole when the time gets there, which with six levels and milliseconds is every 2.2
//! years.
//!
//! Most time-outs are taken out before their time, and soon. So what is inserted waits in a list of
//! [newcomers](NEW), which are sorted when somebody asks for the first entry, or when as many as
//! [`NEWCOMERS`] have been inserted: in the order in which they came, and so behind all that is in a slot
//! already. One that is taken out before needs no place.
//!
//! Apart from that [`Wheel::turn`] does a bounded amount of work, so a slot may be half empty when
//! the lock is open and others insert. While a slot is being moved down, what belongs below it goes
//! to its end, and keeps its turn.

use core::{fmt, mem, ptr::NonNull};

use super::entry::{Entry, Link};
use crate::list::List;

/// Base 64, so that one word has a bit for each slot of a level.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// Six levels are 6 KiB; three, on small machines, 1.5 KiB and 262,144 ticks before [`FAR`].
const LEVELS: usize = if usize::BITS == 64 { 6 } else { 3 };
/// The level of what is too far away for the others. It has one slot.
const FAR: usize = LEVELS;

/// The position of what is not sorted yet.
const NEW: usize = FAR * SLOTS + 1;
/// So many are inserted before they are sorted: few, so that they are in the cache still, and that the
/// lock is held for a moment only.
const NEWCOMERS: usize = crate::sync::shrunk(32, 2);

/// The entries of one worker, sorted by deadline as far as it matters yet.
pub(super) struct Wheel {
    /// All deadlines up to here have been reached; those in the wheel lie ahead, but for those that
    /// `turn` had no room for.
    elapsed: u64,
    /// A bit per level that is not empty.
    levels: u32,
    /// The position of the slot that is being moved down; 0 if none is.
    moving: usize,
    len: usize,
    /// So many were inserted since they were sorted. Some may have been taken out.
    newcomers: usize,
    /// A bit per slot that is not empty.
    occupied: [u64; LEVELS + 1],
    slots: [List<Link>; NEW + 1],
}

// SAFETY: the wheel is a set of pointers to entries, which are `Send` and `Sync` and ask for the
// wheel's lock.
unsafe impl Send for Wheel {}

/// What one [`Wheel::turn`] has found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Turn {
    /// Nothing more is due.
    Done,
    /// The turn is to be repeated.
    More,
}

impl Wheel {
    pub(super) const fn new() -> Self {
        Self {
            elapsed: 0,
            levels: 0,
            moving: 0,
            len: 0,
            newcomers: 0,
            occupied: [0; LEVELS + 1],
            slots: [const { List::new() }; NEW + 1],
        }
    }

    /// The time that the wheel has been turned to.
    pub(super) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Lets an empty wheel, which nobody needs to turn, follow the clock: what is then inserted lies
    /// on a low level.
    #[inline]
    pub(super) fn catch_up(&mut self, now: u64) {
        if self.len == 0 && self.elapsed < now {
            self.advance(now);
        }
    }

    // Not inlined: the position of what comes next would have to wait for the maximum of the two times,
    // where a branch to a function is foreseen.
    #[cold]
    #[inline(never)]
    fn advance(&mut self, now: u64) {
        self.elapsed = now;
    }

    /// Puts an entry among the newcomers.
    ///
    /// # Safety
    /// The entry is in no wheel, and stays alive and in place until it has been taken out. Its
    /// deadline is ahead of [`elapsed`](Self::elapsed), and may be put off meanwhile, but not be
    /// brought forward. The caller has the lock.
    #[inline]
    pub(super) unsafe fn insert(&mut self, entry: NonNull<Entry>) {
        if self.newcomers == NEWCOMERS {
            self.sort_newcomers();
        }
        self.newcomers += 1;
        self.len += 1;
        // SAFETY: the entry is alive, and the caller has the lock.
        unsafe { self.put(entry, NEW) }
    }

    /// Puts the newcomers where they belong by now.
    #[cold]
    #[inline(never)]
    fn sort_newcomers(&mut self) {
        self.newcomers = 0;
        while let Some(entry) = self.slots[NEW].pop_back() {
            // SAFETY: the entry was in the wheel, so it is alive, and in it no more.
            unsafe { self.place(entry, self.moving) };
        }
    }

    /// # Safety
    /// As for [`insert`](Self::insert).
    #[inline]
    unsafe fn put(&mut self, entry: NonNull<Entry>, position: usize) {
        // SAFETY: the entry is alive, and the caller has the lock.
        unsafe { entry.as_ref().set_position(position as u16) };
        self.slots[position].push_front(entry);
    }

    /// Puts an entry where its deadline belongs.
    ///
    /// # Safety
    /// As for [`insert`](Self::insert).
    #[inline]
    unsafe fn place(&mut self, entry: NonNull<Entry>, moving: usize) {
        // SAFETY: the entry is alive, and the caller has the lock.
        let deadline = unsafe { entry.as_ref().deadline() };
        let position = self.position(deadline, moving);
        let (level, slot) = (position / SLOTS, position % SLOTS);
        self.levels |= 1 << level;
        self.occupied[level] |= 1 << slot;
        // SAFETY: passed on from the caller.
        unsafe { self.put(entry, position) };
    }

    /// Where a deadline belongs, while the slot `moving`, if any, is being moved down.
    #[inline]
    fn position(&self, deadline: u64, moving: usize) -> usize {
        let difference = (deadline ^ self.elapsed) | 1;
        let level = ((difference.ilog2() / DIGIT) as usize).max(moving / SLOTS);
        if level >= FAR {
            return FAR * SLOTS;
        }
        level * SLOTS + (deadline >> (DIGIT * level as u32)) as usize % SLOTS
    }

    /// Takes an entry out.
    ///
    /// # Safety
    /// The entry is in this wheel, and the caller has the lock.
    #[inline]
    pub(super) unsafe fn remove(&mut self, entry: NonNull<Entry>) {
        // SAFETY: the entry is in the wheel, so it is alive, and its position is that of its slot.
        let position = unsafe {
            let position = usize::from(entry.as_ref().position());
            let removed = self.slots[position].remove(entry);
            debug_assert!(removed.is_some(), "an entry was not where it should be");
            position
        };
        self.len -= 1;
        if position != NEW {
            self.tidy(position);
        }
    }

    /// Clears the bits of a slot that has become empty.
    #[inline]
    fn tidy(&mut self, position: usize) {
        if !self.slots[position].is_empty() {
            return;
        }
        let (level, slot) = (position / SLOTS, position % SLOTS);
        self.occupied[level] &= !(1 << slot);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
        if self.moving == position {
            self.moving = 0;
        }
    }

    /// The first slot that is not empty, and the first tick that belongs to it.
    #[inline]
    fn first(&mut self) -> Option<(usize, u64)> {
        if self.newcomers > 0 {
            self.sort_newcomers();
        }
        if self.levels == 0 {
            return None;
        }
        let (level, slot) = if self.moving > 0 {
            // It comes before what lies below, which may have the same deadlines.
            (self.moving / SLOTS, self.moving % SLOTS)
        } else {
            let level = self.levels.trailing_zeros() as usize;
            (level, self.occupied[level].trailing_zeros() as usize)
        };
        let start = if level == FAR {
            self.epoch().saturating_add(1) << (DIGIT * FAR as u32)
        } else {
            let above = u64::MAX << (DIGIT * (level as u32 + 1));
            (self.elapsed & above) | (slot as u64) << (DIGIT * level as u32)
        };
        Some((level * SLOTS + slot, start))
    }

    /// The digits of the time for which there are no levels.
    fn epoch(&self) -> u64 {
        epoch(self.elapsed)
    }

    /// When to turn the wheel next: never later than the first deadline, and exactly then if that is
    /// near, or alone in its slot.
    pub(super) fn next(&mut self) -> Option<u64> {
        let (position, start) = self.first()?;
        let slot = &self.slots[position];
        if let Some(lone) = slot.last().filter(|&last| slot.first() == Some(last)) {
            // SAFETY: the entry is in this wheel, so it is alive, and we have the lock.
            let deadline = unsafe { lone.as_ref().deadline() };
            if self.position(deadline, 0) == position {
                return Some(deadline);
            }
        }
        Some(start)
    }

    /// The first deadline. Goes through a slot, or through several if entries have been postponed.
    pub(super) fn earliest(&mut self) -> Option<u64> {
        loop {
            let (position, _) = self.first()?;
            self.sort(position);
            if let Some(earliest) = self.earliest_in(position) {
                return Some(earliest);
            }
        }
    }

    fn earliest_in(&self, position: usize) -> Option<u64> {
        let mut earliest = None::<u64>;
        self.slots[position].for_each(|entry| {
            // SAFETY: the entry is in this wheel, so it is alive, and we have the lock.
            let deadline = unsafe { entry.as_ref().deadline() };
            earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        });
        earliest
    }

    /// Lets the time advance and hands out the entries whose deadline has been reached, by deadline
    /// and then by insertion: at most `batch` of them, and as many are moved down.
    ///
    /// They are in the wheel no more. The closure may not come back to it.
    pub(super) fn turn(
        &mut self,
        now: u64,
        batch: usize,
        mut expired: impl FnMut(NonNull<Entry>),
    ) -> Turn {
        let mut room = batch;
        loop {
            let Some((position, start)) = self.first().filter(|&(_, start)| start <= now) else {
                self.elapsed = self.elapsed.max(now);
                return Turn::Done;
            };
            let level = position / SLOTS;
            if level == FAR {
                if !self.enter_epoch(now) {
                    self.elapsed = self.elapsed.max(now);
                    return Turn::Done;
                }
                continue;
            }
            self.elapsed = self.elapsed.max(start);
            self.moving = if level > 0 { position } else { 0 };
            while room > 0
                && let Some(entry) = self.slots[position].pop_back()
            {
                room -= 1;
                // SAFETY: the entry was in the wheel, so it is alive, and in it no more.
                unsafe {
                    if entry.as_ref().deadline() <= self.elapsed {
                        self.len -= 1;
                        expired(entry);
                    } else {
                        self.place(entry, 0);
                    }
                }
            }
            self.tidy(position);
            if room == 0 {
                return Turn::More;
            }
        }
    }

    /// Advances to the next epoch that has entries, and sorts those. False if it is not reached yet.
    fn enter_epoch(&mut self, now: u64) -> bool {
        let position = FAR * SLOTS;
        let Some(earliest) = self.earliest_in(position).filter(|&at| epoch(at) <= epoch(now))
        else {
            return false;
        };
        self.elapsed = epoch(earliest) << (DIGIT * FAR as u32);
        self.sort(position);
        true
    }

    /// Puts the entries of a slot where they belong by now.
    fn sort(&mut self, position: usize) {
        let mut entries = mem::take(&mut self.slots[position]);
        self.tidy(position);
        while let Some(entry) = entries.pop_back() {
            // SAFETY: the entry was in the wheel, so it is alive, and in it no more.
            unsafe { self.place(entry, 0) };
        }
    }

    /// Takes any entry out.
    pub(super) fn pop(&mut self) -> Option<NonNull<Entry>> {
        let (position, _) = self.first()?;
        let entry = self.slots[position].pop_back()?;
        self.len -= 1;
        self.tidy(position);
        Some(entry)
    }
}

fn epoch(tick: u64) -> u64 {
    tick >> (DIGIT * FAR as u32)
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("elapsed", &self.elapsed)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, vec::Vec};
    use core::{iter, pin::Pin};

    use super::*;
    use crate::rand::Rng;

    /// A wheel and what it should hold, in the order of insertion.
    struct Checked {
        wheel: Wheel,
        entries: Vec<Pin<Box<Entry>>>,
        model: Vec<Expected>,
    }

    struct Expected {
        deadline: u64,
        number: usize,
        /// It comes somewhere among its equals.
        put_off: bool,
    }

    impl Checked {
        fn new() -> Self {
            Self { wheel: Wheel::new(), entries: Vec::new(), model: Vec::new() }
        }

        fn insert(&mut self, deadline: u64) {
            let entry = Box::pin(Entry::new());
            // SAFETY: there is one thread; the entry is dropped after the wheel, and its deadline
            // lies ahead.
            unsafe {
                entry.set_deadline(deadline);
                self.wheel.insert(NonNull::from(&*entry));
            }
            self.model.push(Expected { deadline, number: self.entries.len(), put_off: false });
            self.entries.push(entry);
        }

        fn remove(&mut self, index: usize) {
            let number = self.model.remove(index).number;
            // SAFETY: it is in the model, so it is in the wheel.
            unsafe { self.wheel.remove(NonNull::from(&*self.entries[number])) };
        }

        fn put_off(&mut self, index: usize, delay: u64) {
            let expected = &mut self.model[index];
            expected.deadline += delay;
            expected.put_off = true;
            // SAFETY: there is one thread, and the deadline becomes later.
            unsafe { self.entries[expected.number].set_deadline(expected.deadline) };
        }

        /// Turns the wheel once, and checks what comes out.
        fn turn(&mut self, now: u64, batch: usize) -> Turn {
            let mut expired = Vec::new();
            let turn = self.wheel.turn(now, batch, |entry| expired.push(entry));
            assert!(expired.len() <= batch);
            for entry in expired {
                let earliest = self.earliest().unwrap();
                assert!(earliest <= now, "{earliest} fired at {now}");
                let is_entry = |at: &Expected| NonNull::from(&*self.entries[at.number]) == entry;
                let place = self
                    .model
                    .iter()
                    .position(|at| at.deadline == earliest && (is_entry(at) || !at.put_off));
                let place = match place {
                    Some(first) if is_entry(&self.model[first]) => first,
                    // It may have been put off, and overtake those.
                    _ => self.model.iter().position(|at| is_entry(at) && at.put_off).unwrap(),
                };
                assert_eq!(self.model.remove(place).deadline, earliest, "out of order");
            }
            self.check();
            if turn == Turn::Done {
                assert!(self.earliest().is_none_or(|earliest| earliest > now), "left behind");
            }
            turn
        }

        fn check(&mut self) {
            assert_eq!(self.wheel.len(), self.model.len());
            let (earliest, next) = (self.earliest(), self.wheel.next());
            assert_eq!(next.is_some(), earliest.is_some());
            assert!(next <= earliest, "{next:?} is too late for {earliest:?}");
        }

        fn earliest(&self) -> Option<u64> {
            self.model.iter().map(|at| at.deadline).min()
        }
    }

    impl Drop for Checked {
        fn drop(&mut self) {
            let left = iter::from_fn(|| self.wheel.pop()).count();
            assert_eq!(left, self.model.len());
        }
    }

    /// All scales, small batches, and inserts and removals while a slot is half empty.
    #[test]
    fn entries_come_out_in_order_whatever_happens_between_the_batches() {
        let (rounds, steps) = if cfg!(miri) { (1, 30) } else { (60, 100) };
        for seed in 0..rounds {
            let rng = Rng::new(seed * 2 + 1);
            // Few deadlines, far apart, so that many are equal.
            let delay = || {
                let scale = rng.below(44);
                1 + u64::from(rng.below(3)) + (1 << scale)
            };
            let mut checked = Checked::new();
            let mut now = u64::from(rng.below(1 << 20));
            checked.wheel.catch_up(now);
            for _ in 0..steps {
                let deadline = now + delay();
                (0..1 + rng.below(6)).for_each(|_| checked.insert(deadline));
                if rng.below(3) == 0 {
                    now += delay();
                }
                let any = |checked: &Checked| rng.below(checked.model.len() as u32) as usize;
                if rng.below(3) == 0 {
                    checked.put_off(any(&checked), delay());
                }
                if rng.below(3) == 0 {
                    assert_eq!(checked.wheel.earliest(), checked.earliest());
                }
                while checked.turn(now, 1 + rng.below(4) as usize) == Turn::More {
                    let ahead = checked.earliest().unwrap_or(now).max(checked.wheel.elapsed() + 1);
                    if rng.below(2) == 0 {
                        checked.insert(ahead);
                    }
                    if rng.below(2) == 0 && !checked.model.is_empty() {
                        checked.remove(any(&checked));
                    }
                    checked.check();
                }
            }
        }
    }

    #[test]
    fn newcomers_keep_their_turn_whenever_they_are_sorted() {
        let mut checked = Checked::new();
        for number in 0..5 * NEWCOMERS as u64 {
            checked.insert(1_000 + number % 2);
            if number % 3 == 2 {
                checked.remove(checked.model.len() / 2);
                checked.remove(checked.model.len() - 1);
                checked.insert(1_000);
            }
        }
        while checked.turn(1_000, 5) == Turn::More {
            checked.insert(1_001);
        }
        assert_eq!(checked.turn(1_001, checked.model.len()), Turn::More);
        assert_eq!(checked.wheel.first(), None);
    }

    #[test]
    fn newcomers_that_are_taken_out_leave_nothing_behind() {
        let mut checked = Checked::new();
        for now in 0..5 * NEWCOMERS as u64 {
            checked.wheel.catch_up(now);
            assert_eq!(checked.wheel.elapsed(), now);
            checked.insert(now + 1);
            checked.remove(0);
        }
        assert_eq!(checked.wheel.first(), None);
    }

    #[test]
    fn the_time_waits_for_newcomers() {
        let mut checked = Checked::new();
        checked.insert(10);
        checked.wheel.catch_up(20);
        assert_eq!(checked.wheel.elapsed(), 0, "the entry is overdue");
        assert_eq!(checked.turn(20, 99), Turn::Done);
        assert!(checked.model.is_empty());
    }

    #[test]
    fn the_first_and_the_last_tick_can_be_waited_for() {
        let mut checked = Checked::new();
        for deadline in [u64::MAX, 1, u64::MAX - 1, 1 << 63, u64::MAX] {
            checked.insert(deadline);
        }
        assert_eq!(checked.wheel.next(), Some(1));
        assert_eq!(checked.turn(1, 99), Turn::Done);
        assert_eq!(checked.turn(u64::MAX - 1, 99), Turn::Done);
        assert_eq!(checked.wheel.next(), Some(u64::MAX));
        assert_eq!(checked.turn(u64::MAX, 99), Turn::Done);
        assert_eq!(checked.wheel.next(), None);
    }

    #[test]
    fn a_lone_entry_is_waited_for_without_a_stop() {
        for deadline in [1, 63, 64, 5_000_000, 1 << 40, u64::MAX] {
            let mut checked = Checked::new();
            checked.insert(deadline);
            assert_eq!(checked.wheel.next(), Some(deadline));
        }
    }

    #[test]
    fn a_million_years_are_one_turn() {
        let mut checked = Checked::new();
        (1..30).for_each(|year| checked.insert(year * 31_557_600_000_000));
        assert_eq!(checked.turn(u64::MAX, 1_000), Turn::Done);
        assert!(checked.model.is_empty());
    }
}
