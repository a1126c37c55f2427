//! The memory of finished tasks that a worker keeps: for its next spawns, and for those from outside.

use core::{alloc::Layout, cell::Cell, ptr::NonNull};

use crate::{
    lock::RawLock,
    platform::Keeps,
    recycler::Recycler,
    stock::{Stock, Surplus},
    task::Place,
};

/// What one worker has, apart from the scheduler's [`Stock`]. For its thread only.
pub(super) struct Memory {
    recycler: Recycler,
    surplus: Surplus,
    /// How many batches of the stock had been fetched at the last look.
    fetches: Cell<usize>,
    /// Without work, the recycler keeps what it has.
    lingers: Cell<bool>,
}

impl Memory {
    pub(super) fn new(keeps: Keeps) -> Self {
        Self {
            recycler: Recycler::new(keeps),
            surplus: Surplus::new(),
            fetches: Cell::new(0),
            lingers: Cell::new(false),
        }
    }

    /// A place for a task's cell.
    #[inline]
    pub(super) fn place(&self, layout: Layout) -> NonNull<u8> {
        self.recycler.take(layout)
    }

    /// Takes what a cell leaves that has ended on this thread.
    #[inline]
    pub(super) fn free<L: RawLock>(&self, place: Place, stock: &Stock<L>) {
        if let Some(place) = place.recycle(&self.recycler) {
            self.leave(place, stock);
        }
    }

    /// Leaves a place to whoever spawns from outside. Apart, or every task would save registers for it.
    #[inline(never)]
    fn leave<L: RawLock>(&self, place: Place, stock: &Stock<L>) {
        let (at, layout) = place.into_parts();
        // SAFETY: they are those of a place, which is nobody's any more.
        unsafe { self.surplus.take(at, layout, stock) };
    }

    /// Whether a worker without work keeps what it has, for now.
    pub(super) fn linger(&self, for_now: bool) {
        self.lingers.set(for_now);
    }

    /// Before a sleep: gives back some of what is too much then; false if nothing is.
    pub(super) fn shrink<L: RawLock>(&self, stock: &Stock<L>) -> bool {
        !self.lingers.get() && (self.recycler.shrink() || stock.shrink())
    }

    /// Whether there is more than may be kept in a long sleep.
    pub(super) fn hoards<L: RawLock>(&self, stock: &Stock<L>) -> bool {
        self.recycler.has_too_much() || stock.has_too_much()
    }

    /// Whether what is too much was needed since the last call: of the own places all, of the stock
    /// some.
    pub(super) fn needed_hoard<L: RawLock>(&self, stock: &Stock<L>) -> bool {
        let fetches = stock.fetches();
        let fetched = self.fetches.replace(fetches) != fetches;
        let needed = self.recycler.needed_it();
        (self.recycler.has_too_much() && needed) || (stock.has_too_much() && fetched)
    }
}
