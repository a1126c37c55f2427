//! Storage for time drivers that keep their queue inside of the tasks.
//!
//! Such a driver asks for the item of a waker's task, puts it into a list of its own, and keeps a
//! clone of the waker in it for as long as it is there. It never says when it has taken the item out;
//! and when it has called that waker, or dropped it, it touches the item once more. So an item
//! cannot lie in the task's memory, which that last reference may free, and it can be given to another
//! task only if the list is known not to have it. Both follow from *a waker of our own beside each
//! item*: while it is there the task's memory is, and its address belongs to no other task; and if the
//! task has completed and our waker is the last reference to it, the list has none.
//!
//! Places in a [`TaskPool`](crate::single::TaskPool) are never freed and their wakers count nothing, so
//! there an item belongs to the place, and to whatever task is in it. If the list still has it for an
//! earlier one, the next is woken once for nothing.

use core::{
    cell::{RefCell, UnsafeCell},
    fmt,
    task::Waker,
};

use critical_section::Mutex;
pub use embassy_executor_timer_queue::TimerQueueItem;

use crate::task;

/// Items for up to `N` tasks, where [`embassy_timer_items!`](crate::embassy_timer_items) has put it.
pub struct TimerItems<const N: usize> {
    /// Whom the items belong to.
    wakers: Mutex<RefCell<[Option<Waker>; N]>>,
    /// Apart from the wakers: a driver keeps pointers to them.
    items: [UnsafeCell<TimerQueueItem>; N],
}

// SAFETY: who may touch an item when is what callers of `of` answer for; it is written here only
// while no driver has it (see the head of this file). Its contents are the driver's, who has to be
// `Sync`.
unsafe impl<const N: usize> Sync for TimerItems<N> {}

impl<const N: usize> TimerItems<N> {
    /// Items that belong to nobody.
    pub const fn new() -> Self {
        Self {
            wakers: Mutex::new(RefCell::new([const { None }; N])),
            items: [const { UnsafeCell::new(TimerQueueItem::new()) }; N],
        }
    }

    /// The item of a waker, always the same while the waker's task lives.
    ///
    /// A task keeps its item, and its memory, until it has ended and somebody else needs the item,
    /// or [`release_completed`](Self::release_completed) is called. The item of a place in a
    /// [`TaskPool`](crate::single::TaskPool), or of a waker that is no jenny task's, is never taken
    /// away.
    ///
    /// # Panics
    /// If all items belong to others.
    ///
    /// # Safety
    /// For time drivers, as `TimerQueueItem::from_embassy_waker`: the caller excludes all other
    /// drivers' calls, until it has done with what it gets.
    #[expect(clippy::mut_from_ref, reason = "the signature of the symbol; see Safety")]
    pub unsafe fn of(&'static self, waker: &Waker) -> &'static mut TimerQueueItem {
        let (index, _former) = critical_section::with(|cs| {
            let wakers = &mut *self.wakers.borrow_ref_mut(cs);
            let its = |its: &Option<Waker>| its.as_ref().is_some_and(|its| its.will_wake(waker));
            if let Some(index) = wakers.iter().position(its) {
                return (index, None);
            }
            let Some(index) = wakers.iter().position(is_free) else {
                panic!(
                    "{N} tasks or foreign wakers have timers in the driver's queue: raise the number \
                     in `embassy_timer_items!`, or choose a `generic-queue-*` of `embassy-time`"
                );
            };
            // SAFETY: no list has this item (see the head of this file).
            unsafe { self.items[index].get().write(TimerQueueItem::new()) };
            (index, wakers[index].replace(waker.clone()))
        });
        // SAFETY: the item is in a static; the caller excludes everybody else.
        unsafe { &mut *self.items[index].get() }
    }

    /// Lets go of the tasks that have ended and are in no driver's queue, so that their memory can be
    /// used again. Worth a call where tasks on the heap are spawned again and again.
    pub fn release_completed(&'static self) {
        loop {
            let former = critical_section::with(|cs| {
                let mut wakers = self.wakers.borrow_ref_mut(cs);
                wakers.iter_mut().find(|its| its.is_some() && is_free(its))?.take()
            });
            if former.is_none() {
                return;
            }
        }
    }
}

/// Whether the item beside this waker can be given away.
fn is_free(waker: &Option<Waker>) -> bool {
    waker.as_ref().is_none_or(task::is_last_of_completed)
}

impl<const N: usize> Default for TimerItems<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for TimerItems<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerItems").field("capacity", &N).finish_non_exhaustive()
    }
}

/// Defines the symbol by which a time driver with an *integrated* queue finds its item for a waker, and
/// storage for `N` of them. Without it such a driver knows no other tasks than `embassy-executor`'s.
///
/// For the binary, once. A program that links `embassy-executor` has the symbol already, and a linker
/// that says so; there, choose a `generic-queue-*` of `embassy-time`.
///
/// Write `embassy_timer_items!(static ITEMS: 16)` to have a name for the
/// [`TimerItems`], too.
///
/// ```
/// // As many tasks as use `embassy-time`, and `block_on`.
/// jenny_core::embassy_timer_items!(8);
/// ```
#[macro_export]
macro_rules! embassy_timer_items {
    (static $items:ident: $n:expr) => {
        static $items: $crate::embassy::TimerItems<{ $n }> = $crate::embassy::TimerItems::new();

        const _: () = {
            // SAFETY: the one definition of the symbol, with the signature that drivers declare.
            #[unsafe(no_mangle)]
            fn __embassy_time_queue_item_from_waker(
                waker: &::core::task::Waker,
            ) -> &'static mut $crate::embassy::TimerQueueItem {
                // SAFETY: only drivers call this, as `TimerQueueItem::from_embassy_waker` demands.
                unsafe { $items.of(waker) }
            }
        };
    };
    ($n:expr) => {
        const _: () = {
    $crate::embassy_timer_items!(static ITEMS: $n);
        };
    };
}
