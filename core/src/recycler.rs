//! The places of finished tasks, kept for the next ones.
//!
//! A worker that runs thousands of short tasks at a time asks the allocator for each and gives each
//! back, mostly past the allocator's own caches, which are a few blocks long. So it keeps places that
//! fall free where it runs, by size class. Only the worker touches its [`Recycler`]: a place that
//! falls free on another thread goes to the allocator, as always, and one that the recycler has enough
//! of to whoever spawns from outside (`stock.rs`). Those of tasks that ended on
//! another worker come home by themselves, because the owned list's reference does (`owned.rs`).
//!
//! # How much is kept
//!
//! What a worker had to ask for since it last gave places back, and no more than the platform
//! [allows](Keeps). A worker whose tasks are spawned by others keeps nothing: it never asks. Before it
//! sleeps for long it gives back what is too much then, a few places between two looks for work, so
//! that nobody waits for it.
//!
//! # Checkers
//!
//! A use of a freed place is seen by whoever watches the allocator. So nothing is kept under a model
//! checker, Miri or a sanitizer (`--cfg jenny_sanitize`), and a build with debug assertions
//! overwrites what falls free.

use core::{
    alloc::Layout,
    cell::Cell,
    fmt,
    ptr::{self, NonNull},
};

use crate::{
    platform::Keeps,
    sync::{allocate, deallocate, shrunk},
};

/// How many places are given back between two looks for work: about a microsecond's worth.
const STEP: usize = 32;

/// Whether places are kept at all.
pub(crate) const RECYCLES: bool = shrunk(!cfg!(any(miri, jenny_sanitize)), false);

/// Sizes differ by this from class to class, the alignment of every place.
const GRAIN: usize = 2 * size_of::<usize>();

/// What allocators put before a block. With it, the sizes of classes are those that allocators have,
/// and rounding up costs nothing.
const OVERHEAD: usize = size_of::<usize>();

/// Larger tasks are rare, and long.
pub(crate) const CLASSES: usize = 32;

/// What a place that is free is filled with in builds with debug assertions.
const POISON: u8 = 0xA5;

/// A place that is free, as a node of its class's list.
struct Free {
    next: *mut Free,
}

/// The places that a worker keeps. For its thread only (`!Sync`).
pub(crate) struct Recycler {
    // Invariant: each list has places with the layout of its class that nobody uses, `held` bytes in
    // all, and `held <= credit`.
    classes: [Cell<*mut Free>; CLASSES],
    held: Cell<usize>,
    /// The least that was held since the last look.
    least: Cell<usize>,
    /// How many bytes may be held: those that the allocator was asked for.
    credit: Cell<usize>,
    keeps: Keeps,
}

/// The class of a layout, and the layout of its places; none for what is large or over-aligned.
pub(crate) const fn class_of(layout: Layout) -> Option<(usize, Layout)> {
    let class = (layout.size() + OVERHEAD).div_ceil(GRAIN);
    if layout.align() > GRAIN {
        return None;
    }
    match place_of(class) {
        Some(place) => Some((class, place)),
        None => None,
    }
}

/// The layout of the places of a class; none of a class that does not exist.
pub(crate) const fn place_of(class: usize) -> Option<Layout> {
    if class == 0 || class >= CLASSES {
        return None;
    }
    match Layout::from_size_align(class * GRAIN - OVERHEAD, GRAIN) {
        Ok(layout) => Some(layout),
        Err(_) => None,
    }
}

/// A place from the allocator, for a thread without a recycler.
#[inline]
pub(crate) fn allocate_place(layout: Layout) -> NonNull<u8> {
    allocate(class_of(layout).map_or(layout, |(_, layout)| layout))
}

/// Gives a place to the allocator. From any thread, core or interrupt that may call it.
///
/// # Safety
/// The place came from [`allocate_place`] or a [`Recycler`] for the same layout, and is not used
/// again.
#[inline]
pub(crate) unsafe fn deallocate_place(place: NonNull<u8>, layout: Layout) {
    let layout = class_of(layout).map_or(layout, |(_, layout)| layout);
    // SAFETY: passed on from the caller; the layout is what the place was allocated with.
    unsafe { deallocate(place, layout) }
}

/// Makes the use of a place that is free show in builds with debug assertions.
///
/// # Safety
/// The place has this layout, and nobody uses it.
#[inline]
pub(crate) unsafe fn poison(place: NonNull<u8>, layout: Layout) {
    if cfg!(debug_assertions) {
        // SAFETY: passed on from the caller.
        unsafe { place.write_bytes(POISON, layout.size()) };
    }
}

impl Recycler {
    pub(crate) const fn new(keeps: Keeps) -> Self {
        Self {
            classes: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            held: Cell::new(0),
            least: Cell::new(0),
            credit: Cell::new(0),
            keeps: if RECYCLES { keeps } else { Keeps::NOTHING },
        }
    }

    /// A place for this layout.
    #[inline]
    pub(crate) fn take(&self, layout: Layout) -> NonNull<u8> {
        if let Some((class, place)) = class_of(layout)
            && let Some(free) = self.pop(class)
        {
            let held = self.held.get() - place.size();
            self.held.set(held);
            self.least.set(self.least.get().min(held));
            return free.cast();
        }
        self.ask(layout)
    }

    #[cold]
    fn ask(&self, layout: Layout) -> NonNull<u8> {
        if let Some((_, place)) = class_of(layout) {
            self.credit.set((self.credit.get() + place.size()).min(self.keeps.at_work));
        }
        allocate_place(layout)
    }

    /// Takes a place back; false if it keeps enough, and the caller keeps the place.
    ///
    /// # Safety
    /// As for [`deallocate_place`].
    #[must_use]
    #[inline]
    pub(crate) unsafe fn keep(&self, place: NonNull<u8>, layout: Layout) -> bool {
        if let Some((class, layout)) = class_of(layout) {
            let held = self.held.get() + layout.size();
            if held <= self.credit.get() {
                self.held.set(held);
                // SAFETY: the place is the caller's to give away, and has the layout of the class.
                unsafe { self.push(class, place, layout) };
                return true;
            }
        }
        false
    }

    /// Whether it holds more than it may in a long sleep.
    pub(crate) fn has_too_much(&self) -> bool {
        self.held.get() > self.keeps.asleep
    }

    /// Whether what is too much was needed since the last call.
    pub(crate) fn needed_it(&self) -> bool {
        self.least.replace(self.held.get()) <= self.keeps.asleep
    }

    /// Gives a few of the places to the allocator, for a worker without work. False if it holds no more
    /// than it may in its sleep.
    #[inline]
    pub(crate) fn shrink(&self) -> bool {
        let asleep = self.keeps.asleep;
        if !self.has_too_much() {
            self.credit.set(self.credit.get().min(asleep));
            return false;
        }
        self.release(asleep, STEP);
        self.credit.set(self.held.get());
        true
    }

    /// Gives places to the allocator until no more than so many bytes are held, but at most so many
    /// places.
    #[cold]
    fn release(&self, bytes: usize, mut places: usize) {
        for class in (0..CLASSES).rev() {
            let Some(layout) = place_of(class) else { continue };
            while self.held.get() > bytes && places > 0 {
                let Some(place) = self.pop(class) else { break };
                self.held.set(self.held.get() - layout.size());
                places -= 1;
                // SAFETY: what is in the list of a class has its layout, and nobody uses it.
                unsafe { deallocate(place, layout) }
            }
        }
    }

    #[inline]
    fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let list = &self.classes[class];
        let free = NonNull::new(list.get())?;
        // SAFETY: the list owns its places, the first of which is a node that `push` wrote.
        list.set(unsafe { free.read() }.next);
        Some(free.cast())
    }

    /// # Safety
    /// The place has the layout of the class, and the caller gives it away.
    #[inline]
    unsafe fn push(&self, class: usize, place: NonNull<u8>, layout: Layout) {
        let list = &self.classes[class];
        // SAFETY: the place is the list's, and so large.
        unsafe { poison(place, layout) };
        let free = place.cast::<Free>();
        // SAFETY: as above; it is aligned for two words, and no class is smaller than one.
        unsafe { free.write(Free { next: list.get() }) };
        list.set(free.as_ptr());
    }
}

impl Drop for Recycler {
    fn drop(&mut self) {
        self.release(0, usize::MAX);
    }
}

impl fmt::Debug for Recycler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recycler").field("held", &self.held.get()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(miri, jenny_loom, jenny_sanitize))))]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const KEEPS: Keeps = Keeps { at_work: 100 * SIZE, asleep: 10 * SIZE };
    const SIZE: usize = 7 * GRAIN - OVERHEAD;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, align_of::<usize>()).expect("a layout")
    }

    fn take_all(recycler: &Recycler, count: usize) -> Vec<NonNull<u8>> {
        (0..count).map(|_| recycler.take(layout(SIZE))).collect()
    }

    /// # Safety
    /// As for [`deallocate_place`].
    unsafe fn give_back(recycler: &Recycler, place: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe {
            if !recycler.keep(place, layout) {
                deallocate_place(place, layout);
            }
        }
    }

    fn give_all(recycler: &Recycler, places: Vec<NonNull<u8>>) {
        for place in places {
            // SAFETY: every place of these tests has this layout, and is given back once.
            unsafe { give_back(recycler, place, layout(SIZE)) };
        }
    }

    #[test]
    fn what_was_given_back_last_is_taken_first_by_all_of_its_class() {
        let recycler = Recycler::new(KEEPS);
        let (first, second) = (recycler.take(layout(SIZE)), recycler.take(layout(SIZE)));
        give_all(&recycler, [first, second].into());
        assert_eq!(recycler.take(layout(SIZE - GRAIN + 1)), second);
        assert_eq!(recycler.take(layout(SIZE)), first);
        assert_eq!(recycler.held.get(), 0);
        give_all(&recycler, [first, second].into());
        let other = recycler.take(layout(SIZE + 1));
        assert_eq!(recycler.held.get(), 2 * SIZE, "of another class");
        // SAFETY: as above, with the layout of this one.
        unsafe { give_back(&recycler, other, layout(SIZE + 1)) };
    }

    #[test]
    fn no_more_is_held_than_was_asked_for_and_than_is_allowed() {
        let recycler = Recycler::new(KEEPS);
        let outside: Vec<_> = (0..5).map(|_| allocate_place(layout(SIZE))).collect();
        give_all(&recycler, outside);
        assert_eq!(recycler.held.get(), 0, "it never asked");
        let own = take_all(&recycler, 3);
        give_all(&recycler, own);
        let outside = (0..5).map(|_| allocate_place(layout(SIZE))).collect();
        give_all(&recycler, outside);
        assert_eq!(recycler.held.get(), 3 * SIZE);
        let many = take_all(&recycler, 200);
        give_all(&recycler, many);
        assert_eq!(recycler.held.get(), KEEPS.at_work);
    }

    #[test]
    fn a_worker_without_work_gives_back_step_by_step_what_is_too_much() {
        let recycler = Recycler::new(KEEPS);
        let places = take_all(&recycler, 50);
        give_all(&recycler, places);
        assert!(recycler.shrink());
        assert_eq!(recycler.held.get(), (50 - STEP) * SIZE);
        assert!(recycler.shrink());
        assert_eq!(recycler.held.get(), KEEPS.asleep);
        assert!(!recycler.shrink());
        // What was asked for before does not count any more.
        let own = take_all(&recycler, 11);
        give_all(&recycler, own);
        assert_eq!(recycler.held.get(), KEEPS.asleep + SIZE);
    }

    #[test]
    fn what_is_too_much_was_needed_if_all_of_it_was() {
        let recycler = Recycler::new(KEEPS);
        let places = take_all(&recycler, 50);
        give_all(&recycler, places);
        recycler.needed_it();
        for (count, needed) in [(39, false), (40, true), (0, false)] {
            let places = take_all(&recycler, count);
            give_all(&recycler, places);
            assert_eq!(recycler.needed_it(), needed, "{count}");
        }
    }

    #[test]
    fn large_and_aligned_places_and_those_of_a_platform_that_keeps_nothing_are_not_kept() {
        for (keeps, layout) in [
            (KEEPS, layout(CLASSES * GRAIN)),
            (KEEPS, layout(SIZE).align_to(2 * GRAIN).expect("a layout")),
            (Keeps::NOTHING, layout(SIZE)),
        ] {
            let recycler = Recycler::new(keeps);
            let place = recycler.take(layout);
            assert_eq!(place.addr().get() % layout.align(), 0);
            // SAFETY: as above.
            unsafe { give_back(&recycler, place, layout) };
            assert_eq!(recycler.held.get(), 0);
        }
    }

    #[test]
    fn a_class_is_no_smaller_than_its_layouts_and_no_grain_larger() {
        for size in 1..CLASSES * GRAIN {
            let Some((_, place)) = class_of(layout(size)) else {
                assert!(size > (CLASSES - 1) * GRAIN - OVERHEAD);
                continue;
            };
            assert!((size..size + GRAIN).contains(&place.size()), "{size}");
        }
    }
}
