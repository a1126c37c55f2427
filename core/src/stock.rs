//! The places of finished tasks, on their way to threads that are no workers.
//!
//! A task that is spawned from outside is made by one thread and ends on another. For an allocator
//! that is the dearest way: the worker frees what it has not allocated, under a lock that it shares
//! with the thread that allocates. So workers bring such places here, and threads that spawn fetch
//! them, [`BATCH`] at a time:
//!
//! ```text
//!   worker: Surplus ──a batch──▶ Stock ──a batch──▶ Pocket: other threads
//! ```
//!
//! Surplus and pocket belong to one thread each. Between them is a lock, which is taken once for each
//! batch, also if there was none, and under which batches are linked and unlinked, no more. Two words
//! tell without it whether it is worth asking. They may be out of date: then a place goes to the
//! allocator that could have been kept, or the other way round.
//!
//! # How much is kept
//!
//! By the stock what threads had to ask the allocator for since it last gave places back, but no more
//! than the platform [allows](Keeps) one worker, and a batch. So where nobody spawns from outside,
//! nothing is. A worker without work gives back what is too much for a long sleep. Surplus and pocket
//! keep less than a batch of each of a few sizes.
//!
//! The places of a batch come out in the order in which they went in. So those that were neighbours in
//! memory stay neighbours in their lists, and the processor fetches the next ones by itself. Of the
//! batches the newest comes first, which may still be in a cache.
//!
//! As for a [`Recycler`](crate::recycler::Recycler), nothing is kept under checkers.

use core::{
    alloc::Layout,
    cell::Cell,
    fmt,
    ptr::{self, NonNull},
};

use crate::{
    lock::{Mutex, RawLock},
    platform::Keeps,
    recycler::{CLASSES, RECYCLES, allocate_place, class_of, deallocate_place, place_of, poison},
    sync::{AtomicUsize, Ordering},
};

/// How many places are brought and fetched at once.
const BATCH: usize = 64;

/// How many classes a pocket has room for. It is in the memory of every thread.
const COMPARTMENTS: usize = 2;

/// As for a pocket, in the memory of every worker.
const PILES: usize = 4;

/// A place that is free, as a node of a list.
#[derive(Clone, Copy)]
struct Free {
    next: *mut Free,
    /// Of the first place of a batch on a shelf: the batch that came before.
    behind: *mut Free,
}

/// The places that a thread which is no worker has fetched for its next spawns.
///
/// For its own thread only (`!Sync`). Dropping it gives them to the allocator.
pub struct Pocket {
    compartments: [Compartment; COMPARTMENTS],
    /// How many more places the allocator is asked for before the stock is looked at again.
    patience: Cell<usize>,
}

/// What a pocket has of one class, one of those with the same remainder.
struct Compartment {
    // Invariant: the list has places of the class that nobody uses.
    first: Cell<*mut Free>,
    class: Cell<usize>,
}

/// The places that a worker has not asked for, until they are a batch. For its thread only (`!Sync`).
pub(crate) struct Surplus {
    // Invariant: as for a pocket, and less than a batch in each.
    piles: [Cell<Pile>; PILES],
}

/// The start of a batch, oldest first.
#[derive(Clone, Copy)]
struct Pile {
    first: *mut Free,
    last: *mut Free,
    len: usize,
    class: usize,
}

/// What is between them. From any thread.
pub(crate) struct Stock<L> {
    shelves: Mutex<Shelves, L>,
    // These are stored under the lock only.
    /// How many bytes there are.
    held: AtomicUsize,
    /// How many bytes there may be: those that the allocator was asked for.
    credit: AtomicUsize,
    /// How many batches were fetched. It wraps.
    fetches: AtomicUsize,
    keeps: Keeps,
}

/// A shelf for each class.
struct Shelves([Shelf; CLASSES]);

/// Batches, newest first.
// Invariant: each batch leads to the one behind it, and the last to none.
#[derive(Clone, Copy)]
struct Shelf(*mut Free);

// SAFETY: free places are nobody's but their list's, on whatever thread that is.
unsafe impl Send for Shelves {}

/// Gives a whole list to the allocator.
///
/// # Safety
/// Its places are of this class, and the caller's to give away.
unsafe fn release(class: usize, mut first: *mut Free) {
    let Some(layout) = place_of(class) else { return };
    while let Some(free) = NonNull::new(first) {
        // SAFETY: passed on from the caller: a node of a list, which nobody else uses.
        unsafe {
            first = free.read().next;
            deallocate_place(free.cast(), layout);
        }
    }
}

/// How many bytes a batch of this class has.
fn bytes_of(class: usize) -> usize {
    place_of(class).map_or(0, |layout| BATCH * layout.size())
}

impl Pocket {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { compartments: [const { Compartment::new() }; COMPARTMENTS], patience: Cell::new(0) }
    }

    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<u8>> {
        let Compartment { first, class: of } = &self.compartments[class % COMPARTMENTS];
        let free = NonNull::new(first.get()).filter(|_| of.get() == class)?;
        // SAFETY: by the invariant, the first place is a node of the list.
        first.set(unsafe { free.read() }.next);
        Some(free.cast())
    }

    /// Puts a batch in, in the place of what there is of another class.
    ///
    /// # Safety
    /// The list is of this class, and the caller's to give away; there is no place of this class yet.
    unsafe fn fill(&self, class: usize, batch: NonNull<Free>) {
        let compartment = &self.compartments[class % COMPARTMENTS];
        if !compartment.first.get().is_null() {
            compartment.clear();
            // Two classes that take turns would do that each time.
            self.patience.set(BATCH - 1);
        }
        compartment.first.set(batch.as_ptr());
        compartment.class.set(class);
    }
}

impl Default for Pocket {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pocket {
    fn drop(&mut self) {
        self.compartments.iter().for_each(Compartment::clear);
    }
}

impl Compartment {
    const fn new() -> Self {
        Self { first: Cell::new(ptr::null_mut()), class: Cell::new(0) }
    }

    /// Gives what is in it to the allocator.
    fn clear(&self) {
        // SAFETY: by the invariant.
        unsafe { release(self.class.get(), self.first.replace(ptr::null_mut())) }
    }
}

impl fmt::Debug for Pocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pocket").finish_non_exhaustive()
    }
}

impl Pile {
    const NOTHING: Self = Self { first: ptr::null_mut(), last: ptr::null_mut(), len: 0, class: 0 };

    /// # Safety
    /// The caller gives its places to the allocator.
    unsafe fn release(self) {
        // SAFETY: passed on from the caller; it has places of its class.
        unsafe { release(self.class, self.first) }
    }
}

impl Surplus {
    pub(crate) const fn new() -> Self {
        Self { piles: [const { Cell::new(Pile::NOTHING) }; PILES] }
    }

    /// Takes a place, for the stock if that wants any, otherwise for the allocator.
    ///
    /// # Safety
    /// As for [`deallocate_place`].
    pub(crate) unsafe fn take<L: RawLock>(
        &self,
        place: NonNull<u8>,
        layout: Layout,
        stock: &Stock<L>,
    ) {
        // SAFETY: passed on from the caller: the place is as large as its class says, aligned for two
        // words, and nobody uses it.
        unsafe {
            match class_of(layout) {
                Some((class, layout)) if stock.has_room() && layout.size() >= size_of::<Free>() => {
                    poison(place, layout);
                    if let Some(batch) = self.add(class, place.cast()) {
                        stock.shelve(class, batch);
                    }
                }
                _ => deallocate_place(place, layout),
            }
        }
    }

    /// Adds a place, and gives the batch away that it completes. A pile of another class that is in the
    /// way goes to the allocator.
    ///
    /// # Safety
    /// The place is of this class, nobody uses it, and there is room for a node.
    unsafe fn add(&self, class: usize, free: NonNull<Free>) -> Option<NonNull<Free>> {
        let pile = &self.piles[class % PILES];
        // SAFETY: passed on from the caller; by the invariant, and the last place is a node of its list.
        let (first, last, len) = unsafe {
            if pile.get().class != class {
                pile.replace(Pile::NOTHING).release();
            }
            let Pile { first, last, len, .. } = pile.get();
            free.write(Free { next: ptr::null_mut(), behind: ptr::null_mut() });
            if len > 0 {
                (*last).next = free.as_ptr();
            }
            (if len > 0 { first } else { free.as_ptr() }, free.as_ptr(), len + 1)
        };
        let is_full = len == BATCH;
        pile.set(if is_full { Pile::NOTHING } else { Pile { first, last, len, class } });
        NonNull::new(first).filter(|_| is_full)
    }
}

impl Drop for Surplus {
    fn drop(&mut self) {
        for pile in &self.piles {
            // SAFETY: by the invariant.
            unsafe { pile.replace(Pile::NOTHING).release() }
        }
    }
}

impl<L: RawLock> Stock<L> {
    pub(crate) fn new(keeps: Keeps) -> Self {
        Self {
            shelves: Mutex::new(Shelves::new()),
            held: AtomicUsize::new(0),
            credit: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            keeps: if RECYCLES { keeps } else { Keeps::NOTHING },
        }
    }

    /// A place for a cell that is made by a thread which is no worker, and may have a pocket.
    #[inline]
    pub(crate) fn place(&self, layout: Layout, pocket: Option<&Pocket>) -> NonNull<u8> {
        if let (Some(pocket), Some((class, _))) = (pocket, class_of(layout))
            && let Some(place) = pocket.take(class).or_else(|| self.fetch(class, pocket))
        {
            return place;
        }
        allocate_place(layout)
    }

    /// Fills a pocket, and takes the first place. If there is none, the allocator is asked for a batch,
    /// one by one, and as much may be kept later.
    #[cold]
    fn fetch(&self, class: usize, pocket: &Pocket) -> Option<NonNull<u8>> {
        if self.keeps == Keeps::NOTHING {
            return None;
        }
        if let Some(patience) = pocket.patience.get().checked_sub(1) {
            pocket.patience.set(patience);
            return None;
        }
        let batch = self.shelves.with(|shelves| {
            let batch = shelves.0[class].take();
            if batch.is_some() {
                self.held.store(self.held() - bytes_of(class), Ordering::Relaxed);
                self.fetches.store(self.fetches().wrapping_add(1), Ordering::Relaxed);
            } else {
                let credit = self.credit() + bytes_of(class);
                self.credit.store(credit.min(self.keeps.at_work), Ordering::Relaxed);
                pocket.patience.set(BATCH - 1);
            }
            batch
        })?;
        // SAFETY: the shelf gave it away, and the pocket has just said that it has none.
        unsafe { pocket.fill(class, batch) };
        pocket.take(class)
    }

    /// Takes in a batch, or gives it to the allocator if there is enough.
    ///
    /// # Safety
    /// The list is a batch of this class, and the caller's to give away.
    #[cold]
    unsafe fn shelve(&self, class: usize, batch: NonNull<Free>) {
        let has_room = self.shelves.with(|shelves| {
            let has_room = self.has_room();
            if has_room {
                // SAFETY: passed on from the caller.
                unsafe { shelves.0[class].put(batch) };
                self.held.store(self.held() + bytes_of(class), Ordering::Relaxed);
            }
            has_room
        });
        if !has_room {
            // SAFETY: passed on from the caller.
            unsafe { release(class, batch.as_ptr()) };
        }
    }

    /// Gives one batch to the allocator, for a worker without work. False if no more is held than may
    /// be in a long sleep.
    pub(crate) fn shrink(&self) -> bool {
        if !self.has_too_much() {
            return false;
        }
        let taken = self.shelves.with(|shelves| {
            let (class, batch) = shelves.take_any()?;
            let held = self.held() - bytes_of(class);
            self.held.store(held, Ordering::Relaxed);
            self.credit.store(held, Ordering::Relaxed);
            Some((class, batch))
        });
        if let Some((class, batch)) = taken {
            // SAFETY: what is on a shelf is of its class, and taken once.
            unsafe { release(class, batch.as_ptr()) };
        }
        true
    }

    /// Whether it holds more than it may in a long sleep.
    pub(crate) fn has_too_much(&self) -> bool {
        self.held() > self.keeps.asleep
    }

    /// How many batches were fetched so far. It wraps.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.held() < self.credit()
    }

    #[inline]
    fn held(&self) -> usize {
        // Ordering: Relaxed, as for the others: under the lock it orders them, and elsewhere they are a
        // hint.
        if RECYCLES { self.held.load(Ordering::Relaxed) } else { 0 }
    }

    #[inline]
    fn credit(&self) -> usize {
        if RECYCLES { self.credit.load(Ordering::Relaxed) } else { 0 }
    }
}

impl Shelf {
    const EMPTY: Self = Self(ptr::null_mut());

    /// # Safety
    /// As for [`Stock::shelve`].
    unsafe fn put(&mut self, batch: NonNull<Free>) {
        // SAFETY: passed on from the caller: the first place of a batch is a node.
        unsafe { (*batch.as_ptr()).behind = self.0 };
        self.0 = batch.as_ptr();
    }

    /// Takes the newest batch.
    fn take(&mut self) -> Option<NonNull<Free>> {
        let batch = NonNull::new(self.0)?;
        // SAFETY: by the invariant, and as above.
        self.0 = unsafe { batch.read() }.behind;
        Some(batch)
    }
}

impl Shelves {
    const fn new() -> Self {
        Self([Shelf::EMPTY; CLASSES])
    }

    /// Takes a batch of whichever class has one.
    fn take_any(&mut self) -> Option<(usize, NonNull<Free>)> {
        self.0.iter_mut().enumerate().find_map(|(class, shelf)| Some((class, shelf.take()?)))
    }
}

impl Drop for Shelves {
    fn drop(&mut self) {
        while let Some((class, batch)) = self.take_any() {
            // SAFETY: what is on a shelf is of its class, and taken once.
            unsafe { release(class, batch.as_ptr()) };
        }
    }
}

impl<L> fmt::Debug for Stock<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock").field("held", &self.held).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(miri, jenny_loom, jenny_sanitize))))]
mod tests {
    use alloc::vec::Vec;
    use std::sync::Mutex;

    use super::*;

    const SIZE: usize = 104;
    const ASKED: usize = 3 * BATCH;
    const KEEPS: Keeps = Keeps { at_work: 4 * BATCH * SIZE, asleep: BATCH * SIZE };

    struct Lock(Mutex<()>);

    // SAFETY: a mutex does that.
    unsafe impl RawLock for Lock {
        fn new() -> Self {
            Self(Mutex::new(()))
        }

        fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
            let _locked = self.0.lock().expect("nobody panics under it");
            critical()
        }
    }

    fn layout() -> Layout {
        Layout::from_size_align(SIZE, align_of::<usize>()).expect("a layout")
    }

    fn ask(stock: &Stock<Lock>, pocket: Option<&Pocket>, count: usize) -> Vec<NonNull<u8>> {
        (0..count).map(|_| stock.place(layout(), pocket)).collect()
    }

    fn give(stock: &Stock<Lock>, surplus: &Surplus, places: &[NonNull<u8>]) {
        for place in places {
            // SAFETY: every place of these tests has this layout, and is given back once.
            unsafe { surplus.take(*place, layout(), stock) };
        }
    }

    /// A stock of which so many places were asked for, which have come back.
    fn used(asked: usize) -> (Stock<Lock>, Vec<NonNull<u8>>) {
        let (stock, surplus, pocket) = (Stock::new(KEEPS), Surplus::new(), Pocket::new());
        let places = ask(&stock, Some(&pocket), asked);
        give(&stock, &surplus, &places);
        (stock, places)
    }

    #[test]
    fn batches_come_out_newest_first_and_their_places_in_order() {
        let (stock, places) = used(ASKED);
        assert_eq!(stock.held(), ASKED * SIZE);
        let (pocket, surplus) = (Pocket::new(), Surplus::new());
        assert!(!(places.contains(&ask(&stock, None, 1)[0])), "who has no pocket gets a fresh one");
        assert_eq!(ask(&stock, Some(&pocket), 1), places[2 * BATCH..][..1]);
        assert_eq!(stock.held(), (ASKED - BATCH) * SIZE, "a batch is in the pocket");
        assert_eq!(ask(&stock, Some(&pocket), BATCH - 1), places[2 * BATCH + 1..]);
        assert_eq!(ask(&stock, Some(&pocket), BATCH), places[BATCH..][..BATCH]);
        assert_eq!(ask(&stock, Some(&pocket), BATCH), places[..BATCH]);
        assert_eq!((stock.held(), stock.fetches()), (0, 3));
        // And again, though less than a batch is on the way.
        give(&stock, &surplus, &places[..BATCH - 1]);
        assert_eq!(stock.held(), 0);
        give(&stock, &surplus, &places[BATCH - 1..BATCH]);
        assert_eq!(ask(&stock, Some(&pocket), BATCH), places[..BATCH]);
        give(&stock, &surplus, &places);
    }

    #[test]
    fn no_more_is_kept_than_was_asked_for_and_than_is_allowed() {
        let (stock, surplus) = (Stock::new(KEEPS), Surplus::new());
        let outside = ask(&stock, None, 2 * BATCH);
        give(&stock, &surplus, &outside);
        assert_eq!(stock.held(), 0, "nobody who has a pocket asked");
        assert_eq!(used(BATCH).0.held(), BATCH * SIZE);
        assert_eq!(used(9 * BATCH).0.held(), KEEPS.at_work);
    }

    #[test]
    fn a_worker_without_work_gives_back_batch_by_batch_what_is_too_much() {
        let (stock, _) = used(ASKED);
        assert!(stock.has_too_much());
        assert!(stock.shrink() && stock.shrink());
        assert!(!stock.has_too_much() && !stock.shrink());
        assert_eq!(stock.held(), KEEPS.asleep);
        // What was asked for before does not count any more.
        let (pocket, surplus) = (Pocket::new(), Surplus::new());
        let places = ask(&stock, Some(&pocket), BATCH);
        let others = ask(&stock, None, BATCH);
        give(&stock, &surplus, &places);
        give(&stock, &surplus, &others);
        assert_eq!(stock.held(), KEEPS.asleep);
    }

    /// Those of two sizes that are in each other's way, too.
    #[test]
    fn each_size_is_served_by_its_own() {
        let (stock, surplus, pocket) = (Stock::<Lock>::new(KEEPS), Surplus::new(), Pocket::new());
        let sizes = [SIZE, SIZE + 16 * COMPARTMENTS * PILES, SIZE + 16];
        let layouts = sizes.map(|size| Layout::from_size_align(size, 8).expect("a layout"));
        for _ in 0..4 * BATCH {
            let places = layouts.map(|layout| stock.place(layout, Some(&pocket)));
            for (place, layout) in places.into_iter().zip(layouts) {
                // SAFETY: a place of this size is the caller's, all of it, and it is given back once.
                unsafe {
                    place.write_bytes(0, layout.size());
                    surplus.take(place, layout, &stock);
                }
            }
        }
        assert!(stock.fetches() > 0);
    }

    #[test]
    fn large_places_and_those_of_a_platform_that_keeps_nothing_are_not_kept() {
        let large = Layout::from_size_align(4096, 8).expect("a layout");
        for (keeps, layout) in [(KEEPS, large), (Keeps::NOTHING, layout())] {
            let (stock, surplus, pocket) =
                (Stock::<Lock>::new(keeps), Surplus::new(), Pocket::new());
            for _ in 0..2 * BATCH {
                let place = stock.place(layout, Some(&pocket));
                // SAFETY: as above, with this layout.
                unsafe { surplus.take(place, layout, &stock) };
            }
            assert_eq!((stock.held(), stock.credit()), (0, 0));
        }
    }
}
