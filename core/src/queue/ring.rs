//! What a worker schedules itself: a bounded queue that one worker owns and others rob.
//!
//! After the work-stealing queue of Chase and Lev (*Dynamic Circular Work-Stealing Deque*, SPAA
//! 2005), turned into a FIFO with a fixed capacity whose thieves take half, as the schedulers of Go
//! and Tokio have it. Positions count up for ever, and the slot of a position is its remainder by
//! [`CAPACITY`]:
//!
//! ```text
//!          start            head                     tail
//!   ─ free ─┼─ being copied ──┼────── to be taken ──────┼─ free ─
//!           by the thief      by the owner and thieves  by the owner alone
//! ```
//!
//! - `tail` is stored by the owner alone: a push writes the slot, then the tail (Release). Whoever
//!   loads the tail (Acquire) may read all slots before it.
//! - `head` is advanced by CAS, by the owner for one item and by a thief for half of them; that
//!   claims the slots in between.
//! - `thief` is FREE, or says that a thief is at work and which `start` it saw before it became the
//!   thief. There is one at a time; the next one finds nothing.
//!
//! **A slot is not overwritten while it is read.** The owner reads its own claim before it pushes
//! again. For a thief, the order is: take `thief`, claim, copy, free `thief` (Release). The owner
//! loads the head *before* `thief` (both Acquire) and reuses only slots before that head and, if
//! there is a thief, before its start. If the owner sees the claim it also sees the thief, or that
//! the thief has finished copying; if it does not see the claim, the slots lie behind the head that
//! it does see. A start that is out of date is too low and merely makes the ring look full.
//!
//! **A claim is never out of date.** A thief that read head and tail, and then stalls, claims only
//! if the head is where it was. Positions do not come round while it counts: an owner that sees the
//! thief gets no further than `CAPACITY` beyond the start. Only between reading the start and
//! becoming the thief could a whole round of `2^(BITS - 1)` pushes go unnoticed, which on 32 bits
//! are two thousand million between two adjacent instructions. Go and Tokio pack `start` and `head`
//! into one word. That saves a store but leaves each of them half of the bits: where a word has 32,
//! a thief that is preempted during a round of 65,536 pushes, a few milliseconds' worth, can claim
//! items that are not there.
//!
//! **Cost.** Push: no RMW, and no line that others write as long as the owner knows of a vacancy.
//! Pop: one RMW. Stealing half: two, and one Release store; a thief that finds nothing, or another
//! thief, pays loads only.

use core::{array, fmt, mem::MaybeUninit, ptr};

use crate::sync::{AtomicUsize, CachePadded, Ordering, UnsafeCell, shrunk};

/// The number of items that a [`Ring`] holds.
pub const CAPACITY: usize = shrunk(256, 4);

const _: () = assert!(CAPACITY.is_power_of_two(), "the slot of a position must survive its wrap");

/// The bit of `thief` that says that there is one. The others are a position.
const BUSY: usize = 1 << (usize::BITS - 1);

const FREE: usize = 0;

/// A bounded FIFO that one worker fills and empties and that others take halves from. The head of
/// the file explains it.
///
/// The owner is whoever may call the functions that are `unsafe`; it may change, from thread to
/// thread, if the last call of the old owner happens before the first of the new one. The ring
/// drops what is left in it.
pub struct Ring<T> {
    /// Written by the owner's pops and by thieves.
    front: CachePadded<Front>,
    /// Written by the owner's pushes.
    back: CachePadded<Back>,
    slots: [UnsafeCell<MaybeUninit<T>>; CAPACITY],
}

struct Front {
    /// The position of the next item to take.
    head: AtomicUsize,
    /// FREE, or BUSY and a position that was the head before there was this thief.
    thief: AtomicUsize,
}

struct Back {
    /// The position of the next push.
    tail: AtomicUsize,
    /// The slots from the tail up to this position are free. For the owner's eyes only.
    limit: UnsafeCell<usize>,
}

// SAFETY: an item goes in by value and comes out by value, once, because head and tail give each
// slot to one thread at a time (see the head of the file). So sharing the ring sends items between
// threads and shares none. `limit` is touched by the owner alone.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: the ring owns its items.
unsafe impl<T: Send> Send for Ring<T> {}

/// How far it is from one position to a later one. The bit of `BUSY` does not count.
const fn distance(from: usize, to: usize) -> usize {
    to.wrapping_sub(from) & !BUSY
}

impl<T> Ring<T> {
    /// Makes an empty ring.
    pub fn new() -> Self {
        Self::starting_at(0)
    }

    fn starting_at(position: usize) -> Self {
        let (head, tail) = (AtomicUsize::new(position), AtomicUsize::new(position));
        let limit = UnsafeCell::new(position.wrapping_add(CAPACITY));
        Self {
            front: CachePadded(Front { head, thief: AtomicUsize::new(FREE) }),
            back: CachePadded(Back { tail, limit }),
            slots: array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
        }
    }

    /// Puts an item behind the youngest.
    ///
    /// # Errors
    /// Gives the item back if the ring is full, or looks full because of a thief that is not done.
    ///
    /// # Safety
    /// The caller owns the ring.
    #[inline]
    pub unsafe fn push(&self, item: T) -> Result<(), T> {
        let tail = self.own_tail();
        // SAFETY: the caller is the owner, and writes only where there is a vacancy.
        unsafe {
            if self.vacancies_for(1) == 0 {
                return Err(item);
            }
            self.write(tail, item);
        }
        self.publish(tail.wrapping_add(1));
        Ok(())
    }

    /// Puts items behind the youngest while there is room, at most `max` of them, and publishes them
    /// all at once. Returns how many there were. What `next` gave is published even if it panics.
    ///
    /// # Safety
    /// The caller owns the ring, and `next` does not touch it.
    pub unsafe fn extend(&self, max: usize, mut next: impl FnMut() -> Option<T>) -> usize {
        let tail = self.own_tail();
        // SAFETY: the caller is the owner.
        let max = max.min(unsafe { self.vacancies_for(max.min(CAPACITY)) });
        let mut written = Written { ring: self, tail, count: 0 };
        while written.count < max
            && let Some(item) = next()
        {
            // SAFETY: the caller is the owner, and there are `max` vacancies.
            unsafe { self.write(tail.wrapping_add(written.count), item) };
            written.count += 1;
        }
        written.count
    }

    /// Takes the oldest item.
    ///
    /// # Safety
    /// The caller owns the ring.
    #[inline]
    pub unsafe fn pop(&self) -> Option<T> {
        let tail = self.own_tail();
        // Ordering: Relaxed, since the owner wrote all slots itself.
        let mut head = self.front.head.load(Ordering::Relaxed);
        loop {
            if head == tail {
                return None;
            }
            // Ordering: Release, so that a thief who loads this head (Acquire) then loads a tail
            // that is not behind it.
            match self.front.head.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                // SAFETY: the exchange claimed the slot, and it is before the tail.
                Ok(_) => return Some(unsafe { self.read(head) }),
                Err(seen) => head = seen,
            }
        }
    }

    /// How many items can be pushed. Until the next push it does not get less.
    ///
    /// # Safety
    /// The caller owns the ring.
    pub unsafe fn vacancies(&self) -> usize {
        // SAFETY: passed on from the caller.
        unsafe { self.vacancies_for(CAPACITY) }
    }

    /// A number that grows by one with every item that its owner puts in. It wraps.
    pub fn pushes(&self) -> usize {
        // Ordering: Relaxed, the value stands for itself.
        self.back.tail.load(Ordering::Relaxed)
    }

    /// Takes half of the items, rounded up, but no more than `most`: returns the oldest and puts the
    /// others into `destination`, as far as they fit there.
    ///
    /// `None` says that the ring is empty or that another thief is at work on it.
    ///
    /// # Safety
    /// The caller owns `destination`, which is another ring.
    pub unsafe fn steal_into(&self, destination: &Ring<T>, most: usize) -> Option<T> {
        debug_assert!(!ptr::eq(self, destination), "a worker robs itself");
        // Ordering: Relaxed, the claim looks again. Any head that ever was will do as a start.
        let start = self.front.head.load(Ordering::Relaxed);
        if start == self.back.tail.load(Ordering::Relaxed)
            || self.front.thief.load(Ordering::Relaxed) != FREE
        {
            return None;
        }
        // Ordering: Acquire, for the Release of the thief before: what the end of this theft tells
        // the owner then includes the end of that one. The claim publishes the start.
        self.front
            .thief
            .compare_exchange(FREE, BUSY | start, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;

        let their_tail = destination.own_tail();
        // SAFETY: the caller owns the destination. One item does not go there.
        let room = unsafe { destination.vacancies_for(CAPACITY) } + 1;
        let stolen = self.claim_half(room.min(most)).map(|(head, count)| {
            // SAFETY: the claim made these slots ours until `thief` is free again; the caller owns
            // the destination, which has room for all but one.
            unsafe {
                for offset in 1..count {
                    let item = self.read(head.wrapping_add(offset));
                    destination.write(their_tail.wrapping_add(offset - 1), item);
                }
                destination.publish(their_tail.wrapping_add(count - 1));
                self.read(head)
            }
        });
        // Ordering: Release, for the owner's Acquire in `vacancies_at`: the slots have been read.
        self.front.thief.store(FREE, Ordering::Release);
        stolen
    }

    /// As the thief, advances the head over half of the items, `most` at most. Returns the position
    /// of the first and their number.
    fn claim_half(&self, most: usize) -> Option<(usize, usize)> {
        // Ordering: Acquire, for the Release of pops and claims: the tail is not behind this head.
        let mut head = self.front.head.load(Ordering::Acquire);
        loop {
            // Ordering: Acquire, for the Release of `publish`: the slots have been written.
            let available = distance(head, self.back.tail.load(Ordering::Acquire));
            let count = available.div_ceil(2).min(most);
            if count == 0 {
                return None;
            }
            // Ordering: Release, for the owner's Acquire in `vacancies_at`: it sees the thief if it
            // sees the claim. If head and tail did not belong together, this fails.
            match self.front.head.compare_exchange_weak(
                head,
                head.wrapping_add(count),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some((head, count)),
                Err(seen) => head = seen,
            }
        }
    }

    /// Whether it holds no item, from any thread. By the time of the return it may be wrong.
    ///
    /// A push that happened before this call is seen unless its item was claimed since. So a worker
    /// that announces its sleep, fences (`SeqCst`) and finds a ring empty has missed no item that
    /// its owner pushed before a fence after which it did not see the announcement.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of items, from any thread. By the time of the return it may be wrong, but it is
    /// never more than [`CAPACITY`].
    pub fn len(&self) -> usize {
        // Ordering: Acquire, for the Release of pops and claims: the tail is not behind this head.
        let head = self.front.head.load(Ordering::Acquire);
        // The owner may have gone round meanwhile.
        distance(head, self.back.tail.load(Ordering::Relaxed)).min(CAPACITY)
    }

    fn own_tail(&self) -> usize {
        // Ordering: Relaxed, the owner reads what it wrote.
        self.back.tail.load(Ordering::Relaxed)
    }

    /// How many slots from the tail on are free, as far as the owner knows. It looks at what the
    /// others did only if it does not know of `wanted` yet, so most pushes touch no shared line.
    ///
    /// # Safety
    /// The caller owns the ring.
    unsafe fn vacancies_for(&self, wanted: usize) -> usize {
        let tail = self.own_tail();
        self.back.limit.with_mut(|limit| {
            // SAFETY: only the owner, which the caller is, touches the limit.
            let limit = unsafe { &mut *limit };
            let known = distance(tail, *limit);
            if known >= wanted {
                return known;
            }
            // A slot that was free stays free, even if a thief came with an earlier start.
            let vacancies = known.max(self.vacancies_at(tail));
            *limit = tail.wrapping_add(vacancies);
            vacancies
        })
    }

    /// How many slots from the owner's tail on nobody will read any more.
    fn vacancies_at(&self, tail: usize) -> usize {
        // Ordering: Acquire, for the Release of `claim_half`, and in this order: who sees a claim
        // sees its thief.
        let head = self.front.head.load(Ordering::Acquire);
        // Ordering: Acquire, for the Release at the end of `steal_into`: the slots have been read.
        let thief = self.front.thief.load(Ordering::Acquire);
        let oldest = if thief == FREE { head } else { thief };
        CAPACITY.saturating_sub(distance(oldest, tail))
    }

    /// Makes the slots before `tail` available.
    fn publish(&self, tail: usize) {
        // Ordering: Release, for the Acquire in `claim_half`.
        self.back.tail.store(tail, Ordering::Release);
    }

    /// # Safety
    /// The caller owns the ring, and the slot of the position is vacant.
    unsafe fn write(&self, position: usize, item: T) {
        self.slots[position % CAPACITY].with_mut(|slot| {
            // SAFETY: nobody reads a vacant slot, and only the owner writes.
            unsafe { slot.write(MaybeUninit::new(item)) };
        });
    }

    /// # Safety
    /// The caller claimed the position, which is before the tail, and reads it once.
    unsafe fn read(&self, position: usize) -> T {
        self.slots[position % CAPACITY].with(|slot| {
            // SAFETY: a slot before the tail was written, and nobody else reads a claimed one or
            // overwrites it yet.
            unsafe { slot.read().assume_init() }
        })
    }
}

/// Publishes what was written, also when the source of the items panics.
struct Written<'a, T> {
    ring: &'a Ring<T>,
    tail: usize,
    count: usize,
}

impl<T> Drop for Written<'_, T> {
    fn drop(&mut self) {
        self.ring.publish(self.tail.wrapping_add(self.count));
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: nobody else has the ring any more, so it is ours.
        while let Some(item) = unsafe { self.pop() } {
            drop(item);
        }
    }
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{BUSY, CAPACITY, Ring};

    /// Across the end of the numbers, and across the bit that a thief's position lacks.
    #[test]
    fn positions_wrap() {
        for end in [0, BUSY] {
            let ring = Ring::starting_at(end.wrapping_sub(CAPACITY + CAPACITY / 2));
            let own = Ring::starting_at(end.wrapping_sub(CAPACITY / 4));
            let (mut pushed, mut taken) = (0, 0);
            for _ in 0..4 {
                let next = || {
                    pushed += 1;
                    Some(pushed)
                };
                // SAFETY: there is one thread, which owns both rings.
                let filled = unsafe { ring.extend(CAPACITY, next) };
                assert_eq!((filled, ring.len()), (CAPACITY, CAPACITY));
                // SAFETY: as above.
                assert_eq!(unsafe { ring.push(0) }, Err(0));
                // SAFETY: as above.
                let mut next = unsafe { ring.steal_into(&own, CAPACITY) };
                assert_eq!((ring.len(), own.len()), (CAPACITY / 2, CAPACITY / 2 - 1));
                while let Some(number) = next {
                    taken += 1;
                    assert_eq!(number, taken);
                    // SAFETY: as above.
                    next = unsafe { own.pop().or_else(|| ring.pop()) };
                }
            }
            assert_eq!(taken, 4 * CAPACITY);
        }
    }
}
