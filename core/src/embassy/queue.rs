//! Wakers sorted by deadline, in a place of fixed size.
//!
//! ```text
//!   heap     by deadline: a binary heap of slot numbers
//!   buckets  by waker: the first slot of each chain
//!   slots    waker, deadline, place in the heap, next of the chain
//! ```
//!
//! Finding a waker takes constant time on average, everything else the logarithm of those that wait.

use core::{array, fmt, task::Waker};

use crate::task;

/// The number of a slot, or of a place in the heap.
type Index = u16;

/// The end of a chain.
const END: Index = Index::MAX;

/// Up to `N` wakers and when to call them: of each waker only the earliest time.
///
/// Two wakers are the same if [`Waker::will_wake`] holds. A waker that is in the queue already needs
/// no room, so `N` is the number of tasks that wait for a time at the same time, and of those that
/// have dropped a timer and have not reached its deadline. A slot takes 28 bytes on 32-bit machines.
///
/// It calls no waker, and is no driver: [`QueueDriver`](super::QueueDriver) is both.
///
/// # Examples
/// ```
/// use std::{sync::Arc, task::{Wake, Waker}};
///
/// use jenny_core::embassy::TimerQueue;
///
/// # struct Task;
/// # impl Wake for Task { fn wake(self: Arc<Self>) {} }
/// let (led, button) = (Waker::from(Arc::new(Task)), Waker::from(Arc::new(Task)));
/// let mut queue = TimerQueue::<2>::new();
/// assert_eq!(queue.schedule_wake(500, &led), Ok(true), "the first has changed");
/// assert_eq!(queue.schedule_wake(700, &button), Ok(false));
/// assert_eq!(queue.schedule_wake(300, &led), Ok(true), "brought forward");
/// assert!(queue.schedule_wake(900, Waker::noop()).is_err(), "there is room for two");
///
/// assert_eq!(queue.next(), Some(300));
/// assert!(queue.pop_expired(299).is_none());
/// assert!(queue.pop_expired(300).unwrap().will_wake(&led));
/// assert_eq!(queue.next(), Some(700));
/// ```
pub struct TimerQueue<const N: usize> {
    slots: [Slot; N],
    heap: [Index; N],
    buckets: [Index; N],
    /// The chain of empty slots.
    empty: Index,
    len: Index,
}

// As the documentation has it.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<TimerQueue<512>>() - size_of::<TimerQueue<256>>() == 256 * 28);

struct Slot {
    /// In the heap if there is a waker.
    waker: Option<Waker>,
    at: u64,
    place: Index,
    next: Index,
}

/// The queue has no room for another waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerQueueFull {
    capacity: usize,
}

impl TimerQueueFull {
    /// The `N` of the queue.
    pub fn capacity(self) -> usize {
        self.capacity
    }
}

impl fmt::Display for TimerQueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity } = self;
        write!(f, "the timer queue is full: {capacity} wakers wait in it; raise its `N`")
    }
}

impl core::error::Error for TimerQueueFull {}

impl<const N: usize> TimerQueue<N> {
    /// An empty queue, for a static.
    pub const fn new() -> Self {
        const {
            assert!(0 < N && N < END as usize, "a timer queue has room for 1 to 65,534 wakers");
        }
        let mut slots = [const { Slot { waker: None, at: 0, place: END, next: END } }; N];
        let mut slot = 1;
        while slot < N {
            slots[slot - 1].next = slot as Index;
            slot += 1;
        }
        Self { slots, heap: [END; N], buckets: [END; N], empty: 0, len: 0 }
    }

    /// Takes the waker in, to be called at a time, or brings it forward to that time if it is here
    /// already. True if the first deadline has changed.
    ///
    /// # Errors
    /// [`TimerQueueFull`]
    pub fn schedule_wake(&mut self, at: u64, waker: &Waker) -> Result<bool, TimerQueueFull> {
        match self.bring_forward(at, waker) {
            Some(first) => Ok(first),
            None => self.insert(at, waker.clone()).map_err(|(full, _)| full),
        }
    }

    /// Brings a waker forward that is in the queue: true if the first deadline has changed. `None` if
    /// it is not in the queue.
    pub fn bring_forward(&mut self, at: u64, waker: &Waker) -> Option<bool> {
        let slot = self.find(waker)?;
        let entry = &mut self.slots[usize::from(slot)];
        if entry.at <= at {
            return Some(false);
        }
        entry.at = at;
        let place = entry.place;
        Some(self.sift_up(place, slot) == 0)
    }

    /// Takes in a waker that is not in the queue. True if the first deadline has changed.
    pub(super) fn insert(
        &mut self,
        at: u64,
        waker: Waker,
    ) -> Result<bool, (TimerQueueFull, Waker)> {
        let slot = self.empty;
        if slot == END {
            return Err((TimerQueueFull { capacity: N }, waker));
        }
        let bucket = Self::bucket(&waker);
        let entry = &mut self.slots[usize::from(slot)];
        self.empty = entry.next;
        *entry = Slot { waker: Some(waker), at, place: END, next: self.buckets[bucket] };
        self.buckets[bucket] = slot;
        self.len += 1;
        Ok(self.sift_up(self.len - 1, slot) == 0)
    }

    /// The first deadline.
    pub fn next(&self) -> Option<u64> {
        (self.len > 0).then(|| self.slots[usize::from(self.heap[0])].at)
    }

    /// Takes out a waker whose deadline is not after `now`, the earliest first. Call it until there is
    /// none.
    pub fn pop_expired(&mut self, now: u64) -> Option<Waker> {
        self.next().filter(|&at| at <= now)?;
        Some(self.remove(self.heap[0]))
    }

    /// Takes out a waker of a task that has ended: it waits for a timer that was dropped.
    pub(super) fn pop_completed(&mut self) -> Option<Waker> {
        let completed = |slot: &Slot| slot.waker.as_ref().is_some_and(task::has_completed);
        let slot = self.slots.iter().position(completed)?;
        Some(self.remove(slot as Index))
    }

    /// How many wakers wait.
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// Whether no waker waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chain of a waker. Neighbours in memory, as tasks in a pool are, should not share one.
    fn bucket(waker: &Waker) -> usize {
        // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
        let hash = (waker.data().addr() as u32).wrapping_mul(0x9E37_79B9);
        (hash >> 16) as usize % N
    }

    fn find(&self, waker: &Waker) -> Option<Index> {
        let mut slot = self.buckets[Self::bucket(waker)];
        while slot != END {
            let entry = &self.slots[usize::from(slot)];
            if entry.waker.as_ref().is_some_and(|its| its.will_wake(waker)) {
                return Some(slot);
            }
            slot = entry.next;
        }
        None
    }

    /// Takes a slot that is in use out of the heap and its chain.
    fn remove(&mut self, slot: Index) -> Waker {
        let entry = &mut self.slots[usize::from(slot)];
        let (place, next) = (entry.place, entry.next);
        entry.next = self.empty;
        self.empty = slot;
        let waker = entry.waker.take().expect("a slot in use has a waker");
        self.unchain(Self::bucket(&waker), slot, next);
        self.len -= 1;
        let last = self.heap[usize::from(self.len)];
        if last != slot {
            // The last may be earlier than what is above this place, or later than what is below.
            let place = self.sift_up(place, last);
            self.sift_down(place, last);
        }
        waker
    }

    fn unchain(&mut self, bucket: usize, slot: Index, next: Index) {
        let mut before = self.buckets[bucket];
        if before == slot {
            self.buckets[bucket] = next;
            return;
        }
        while self.slots[usize::from(before)].next != slot {
            before = self.slots[usize::from(before)].next;
        }
        self.slots[usize::from(before)].next = next;
    }

    fn put(&mut self, place: Index, slot: Index) {
        self.heap[usize::from(place)] = slot;
        self.slots[usize::from(slot)].place = place;
    }

    fn at(&self, slot: Index) -> u64 {
        self.slots[usize::from(slot)].at
    }

    /// Puts a slot at a place, or above it as far as it is earlier. Returns where.
    fn sift_up(&mut self, mut place: Index, slot: Index) -> Index {
        while place > 0 {
            let above = (place - 1) / 2;
            let other = self.heap[usize::from(above)];
            if self.at(other) <= self.at(slot) {
                break;
            }
            self.put(place, other);
            place = above;
        }
        self.put(place, slot);
        place
    }

    /// Puts a slot at a place, or below it as far as it is later.
    fn sift_down(&mut self, mut place: Index, slot: Index) {
        loop {
            let left = usize::from(place) * 2 + 1;
            let below = array::from_fn::<_, 2, _>(|side| left + side);
            let below = below.into_iter().filter(|&below| below < usize::from(self.len));
            let Some(below) = below.min_by_key(|&below| self.at(self.heap[below])) else { break };
            let other = self.heap[below];
            if self.at(slot) <= self.at(other) {
                break;
            }
            self.put(place, other);
            place = below as Index;
        }
        self.put(place, slot);
    }
}

impl<const N: usize> Default for TimerQueue<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for TimerQueue<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerQueue")
            .field("len", &self.len)
            .field("capacity", &N)
            .field("next", &self.next())
            .finish_non_exhaustive()
    }
}
