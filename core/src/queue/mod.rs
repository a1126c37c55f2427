//! The queues of a scheduler, generic over what they carry.
//!
//! | | who puts in | who takes out | order | cost |
//! |---|---|---|---|---|
//! | [`Ring`] | its owner | its owner; thieves take half | oldest first | put no RMW, take one, steal half two |
//! | [`Inbox`] | any thread, core or interrupt | any thread, everything at once | newest first | put one CAS, drain one CAS |
//! | [`Overflow`] | any thread | any thread, many at once | oldest first | one lock for each visit |
//!
//! A worker has one of each: what it schedules itself goes into its ring, what does not fit there
//! into its overflow, what others schedule into its inbox. Thieves reach all three, and none of
//! them allocates once it is made.
//!
//! Two owned chains carry items from one to the other: a [`Batch`] is oldest first and knows its
//! length, a [`Backlog`] is what an inbox gives, newest first. Both drop what is left in them.

mod chunks;
pub mod inbox;
pub mod overflow;
pub mod ring;

pub use crate::link::{Chain, Link};

pub use self::{inbox::Inbox, overflow::Overflow, ring::Ring};

use core::{
    fmt,
    marker::PhantomData,
    mem,
    ptr::{self, NonNull},
};

/// An owned chain of items, oldest first.
///
/// As an iterator it takes its items out.
pub struct Batch<T: Chain> {
    // Invariant: `len` links lead from `first` to `last`, and the batch owns the item of each. The
    // link in `last`, and both ends of an empty batch, mean nothing.
    first: *mut Link,
    last: *mut Link,
    len: usize,
    items: PhantomData<T>,
}

// SAFETY: the batch owns its items and shares them with nobody, so it moves as they do.
unsafe impl<T: Chain + Send> Send for Batch<T> {}

impl<T: Chain> Batch<T> {
    /// Makes an empty batch.
    pub const fn new() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut(), len: 0, items: PhantomData }
    }

    /// A batch of one item, given up for its link.
    const fn single(link: *mut Link) -> Self {
        Self { first: link, last: link, len: 1, items: PhantomData }
    }

    /// Puts one item, given up for its link, before the oldest.
    fn prepend(&mut self, link: *mut Link) {
        let mut longer = Self::single(link);
        longer.append(self);
        mem::swap(self, &mut longer);
    }

    /// Whether it holds no item.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of its items.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Puts an item behind the youngest.
    pub fn push_back(&mut self, item: T) {
        let link = item.into_link().as_ptr();
        if self.is_empty() {
            self.first = link;
        } else {
            // SAFETY: a batch that is not empty owns its last node, whose link means nothing yet.
            unsafe { (*self.last).set_next(link) };
        }
        self.last = link;
        self.len += 1;
    }

    /// Puts an item before the oldest.
    pub fn push_front(&mut self, item: T) {
        self.prepend(item.into_link().as_ptr());
    }

    /// Takes the oldest item.
    pub fn pop_front(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: a batch that is not empty owns the node of `first`, and now gives it up.
        unsafe {
            let link = NonNull::new_unchecked(self.first);
            self.first = link.as_ref().next();
            self.len -= 1;
            Some(T::from_link(link))
        }
    }

    /// Puts all items of another batch behind the youngest and leaves it empty.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            mem::swap(self, other);
        } else if !other.is_empty() {
            // SAFETY: a batch that is not empty owns its last node, whose link means nothing yet.
            unsafe { (*self.last).set_next(other.first) };
            self.last = other.last;
            self.len += mem::take(&mut other.len);
        }
    }

    /// Takes the oldest items, at most `max` of them, in `max` steps.
    pub fn split_front(&mut self, max: usize) -> Self {
        if max == 0 {
            return Self::new();
        }
        if max >= self.len {
            return mem::take(self);
        }
        let first = self.first;
        let mut last = first;
        for _ in 1..max {
            // SAFETY: `max` is less than `len`, so this link leads to another node of the batch.
            last = unsafe { (*last).next() };
        }
        // SAFETY: as above; the batch keeps at least the node behind `last`.
        self.first = unsafe { (*last).next() };
        self.len -= max;
        Self { first, last, len: max, items: PhantomData }
    }
}

impl<T: Chain> Iterator for Batch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<T: Chain> Drop for Batch<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T: Chain> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Chain> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len).finish_non_exhaustive()
    }
}

/// All that an [`Inbox`] held: an owned chain, newest first, of a length that nobody has counted.
///
/// As an iterator it takes its items out as they are, newest first. To run them in the order in which
/// they came it has to be turned around, which takes a step for each. An [`Overflow`] does that a few
/// steps at a time, so that a million of them stalls nobody.
pub struct Backlog<T: Chain> {
    // Invariant: the backlog owns the item of every link from `newest` to the null behind the
    // oldest, and all of these are older than what is in `turned`.
    newest: *mut Link,
    turned: Batch<T>,
}

// SAFETY: the backlog owns its items and shares them with nobody, so it moves as they do.
unsafe impl<T: Chain + Send> Send for Backlog<T> {}

impl<T: Chain> Backlog<T> {
    /// Makes an empty backlog.
    pub const fn new() -> Self {
        Self { newest: ptr::null_mut(), turned: Batch::new() }
    }

    /// # Safety
    /// The pointer is null or that of a link. Every link from there on came from
    /// [`Chain::into_link`], the last holds null, and the caller owns all their items.
    unsafe fn from_newest(newest: *mut Link) -> Self {
        Self { newest, turned: Batch::new() }
    }

    /// Whether it holds no item.
    pub const fn is_empty(&self) -> bool {
        self.is_turned() && self.turned.is_empty()
    }

    const fn is_turned(&self) -> bool {
        self.newest.is_null()
    }

    /// Turns at most so many items around. Returns how many steps are left over, which says that
    /// the whole backlog is turned if it is not zero.
    fn turn(&mut self, mut steps: usize) -> usize {
        while steps > 0 && !self.is_turned() {
            let link = self.newest;
            // SAFETY: the backlog owns the node, and its link leads to an older one or is null.
            self.newest = unsafe { (*link).next() };
            self.turned.prepend(link);
            steps -= 1;
        }
        steps
    }

    /// Turns everything around, however long that takes.
    pub fn into_batch(mut self) -> Batch<T> {
        self.turn(usize::MAX);
        mem::take(&mut self.turned)
    }
}

impl<T: Chain> Iterator for Backlog<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let Some(link) = NonNull::new(self.newest) else { return self.turned.pop_front() };
        // SAFETY: the backlog owns the node, whose link leads to an older one or is null, and now
        // gives it up.
        unsafe {
            self.newest = link.as_ref().next();
            Some(T::from_link(link))
        }
    }
}

impl<T: Chain> Drop for Backlog<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T: Chain> Default for Backlog<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Chain> fmt::Debug for Backlog<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}
