//! What other threads, cores and interrupts schedule for a worker.
//!
//! A list that is only ever extended at its head or taken as a whole (R. K. Treiber, *Systems
//! Programming: Coping with Parallelism*, IBM RJ 5118, 1986, without its pop), and that can be
//! closed for good. The head is the newest link, or one of two marks:
//!
//! ```text
//!            push                    push
//!   EMPTY ─────────► newest link ─────────► newest link ···
//!     ▲                   │                     │
//!     └────── drain ──────┴─────────────────────┘
//!
//!   EMPTY, newest link ── close ──► CLOSED         nothing leads out of CLOSED
//! ```
//!
//! **No ABA.** The classical hazard is a pop that read the successor of a node which left the list
//! and came back meanwhile. Here nobody reads a link of a node that is not his own. A push stores
//! the head that it saw in its own link and succeeds only if that is the head again or still; the
//! link is right either way, and what lies behind it is no concern of the push. A drain takes
//! whatever is behind the head at that moment.
//!
//! **No half-linked node.** A node is linked before the CAS that publishes it, so the list is whole
//! after every operation. A consumer that interrupts a producer, as an interrupt handler does on
//! the same core, finds the list without that node and goes on. In a queue whose producers swap the
//! tail first and link later (Vyukov's) it would have to wait for the code that it interrupted.
//!
//! **Closed is closed.** A push and a drain are CAS operations that never start from CLOSED, only
//! the close is a swap. A drain that swapped EMPTY in would reopen an inbox that was closed after
//! it had looked. So every item is handed out exactly once: by a drain, by the close, or back to
//! its producer.
//!
//! **Cost.** A push is one load and one CAS unless another thread interferes, and a CAS fails only
//! because another one succeeded. There is no allocation.

use core::{fmt, marker::PhantomData, ptr};

use super::{Backlog, Chain, Link};
use crate::sync::{AtomicPtr, Fused, Ordering, UpdateFused, const_unless_checked, fence, fused};

const EMPTY: *mut Link = ptr::null_mut();

/// No link has this address: it would extend beyond the end of the address space.
const CLOSED: *mut Link = ptr::without_provenance_mut(usize::MAX);

/// A closable list of items from anywhere, taken out all at once. The head of the file explains it.
///
/// It drops what is left in it.
pub struct Inbox<T: Chain> {
    // Invariant: EMPTY, CLOSED, or a link. Every link from there on came from `Chain::into_link`,
    // the last holds null, and the inbox owns all their items.
    head: AtomicPtr<Link>,
    items: PhantomData<T>,
}

// SAFETY: items go in and come out by value and nobody gets a reference to one, so sharing the
// inbox sends items between threads and shares none.
unsafe impl<T: Chain + Send> Sync for Inbox<T> {}
// SAFETY: the inbox owns its items.
unsafe impl<T: Chain + Send> Send for Inbox<T> {}

impl<T: Chain> Inbox<T> {
    const_unless_checked! {
        /// Makes an open, empty inbox.
        pub fn new() -> Self {
            Self { head: AtomicPtr::new(EMPTY), items: PhantomData }
        }
    }

    /// Puts an item in, from any thread, core or interrupt.
    ///
    /// # Errors
    /// Gives the item back if the inbox is closed. What happened before the close then happened
    /// before this returns.
    pub fn push(&self, item: T) -> Result<(), T> {
        fused(|fused| self.push_fused(item, fused)).map(drop)
    }

    /// As [`push`](Self::push), as a part of something. Says whether the inbox was empty before.
    pub(crate) fn push_fused(&self, item: T, fused: Fused<'_>) -> Result<bool, T> {
        let link = item.into_link();
        // Ordering: Release, for the Acquire of `drain` and `close`. Whichever pushes come in between,
        // each is an RMW and continues the release sequence of this one.
        let (success, failure) = (Ordering::Release, Ordering::Relaxed);
        let pushed = self.head.fetch_update_fused(success, failure, fused, |head| {
            if head == CLOSED {
                return None;
            }
            // SAFETY: the node is still this function's own.
            unsafe { link.as_ref() }.set_next(head);
            Some(link.as_ptr())
        });
        pushed.map(|head| head == EMPTY).map_err(|_| {
            // Ordering: with the Release of `close`.
            fence(Ordering::Acquire);
            // SAFETY: the link came from `into_link` above and was never published.
            unsafe { T::from_link(link) }
        })
    }

    /// As [`push_fused`](Self::push_fused), where it is known to be open.
    ///
    /// # Safety
    /// Nobody has closed the inbox or does so meanwhile.
    #[cfg(feature = "critical-section")]
    #[inline]
    pub(crate) unsafe fn push_open_fused(&self, item: T, fused: Fused<'_>) -> bool {
        let link = item.into_link();
        // Ordering: as in `push_fused`.
        let (success, failure) = (Ordering::Release, Ordering::Relaxed);
        let pushed = self.head.fetch_update_fused(success, failure, fused, |head| {
            debug_assert_ne!(head, CLOSED);
            // SAFETY: the node is still this function's own.
            unsafe { link.as_ref() }.set_next(head);
            Some(link.as_ptr())
        });
        pushed == Ok(EMPTY)
    }

    /// Takes everything, from any thread, core or interrupt. A closed inbox gives nothing.
    pub fn drain(&self) -> Backlog<T> {
        match self.take() {
            // SAFETY: the chain is ours.
            Some(newest) => unsafe { Backlog::from_newest(newest) },
            None => Backlog::new(),
        }
    }

    /// As [`drain`](Self::drain), where that is known to give something: a swap does. The items of the
    /// chain are the caller's from here on.
    ///
    /// # Safety
    /// The inbox [holds](Self::may_hold) something, nobody else takes from it, and nobody has
    /// closed it or does so meanwhile.
    #[cfg(feature = "critical-section")]
    #[inline]
    pub(crate) unsafe fn take_open(&self) -> ptr::NonNull<Link> {
        // Ordering: Acquire, for the Release of each push.
        let newest = self.head.swap(EMPTY, Ordering::Acquire);
        debug_assert!(newest != CLOSED && newest != EMPTY);
        // SAFETY: what was there can only have become more, as the caller says.
        unsafe { ptr::NonNull::new_unchecked(newest) }
    }

    /// Takes the chain from the newest link on, if there is one.
    #[inline]
    fn take(&self) -> Option<*mut Link> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == EMPTY || head == CLOSED {
                return None;
            }
            // Ordering: Acquire, for the Release of each push.
            match self.head.compare_exchange_weak(head, EMPTY, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(head),
                Err(seen) => head = seen,
            }
        }
    }

    /// Refuses all further items and takes what was in it. Closing again gives nothing.
    pub fn close(&self) -> Backlog<T> {
        // Ordering: Acquire, for the Release of each push; Release, for the pushes that are refused.
        let head = self.head.swap(CLOSED, Ordering::AcqRel);
        if head == EMPTY || head == CLOSED {
            return Backlog::new();
        }
        // SAFETY: the head was a link, and the swap made its chain ours.
        unsafe { Backlog::from_newest(head) }
    }

    /// Whether nothing is in it, by one load.
    ///
    /// A push that happened before this call is seen unless its item was taken out since. So a
    /// worker that announces its sleep, fences (`SeqCst`) and finds the inbox empty may sleep, if
    /// producers fence after the push and then look for announced sleepers.
    pub fn is_empty(&self) -> bool {
        // Ordering: Relaxed, the value alone counts; coherence and the caller's fence do the rest.
        let head = self.head.load(Ordering::Relaxed);
        head == EMPTY || head == CLOSED
    }

    /// What is null if nothing is in it, by one load: not of a closed one.
    #[cfg(feature = "critical-section")]
    #[inline]
    pub(crate) fn peek(&self) -> *const Link {
        // Ordering: as in `is_empty`.
        self.head.load(Ordering::Relaxed)
    }

    /// Whether something may be in it, by one load and one comparison: also true of a closed one.
    #[cfg(feature = "critical-section")]
    #[inline]
    pub(crate) fn may_hold(&self) -> bool {
        self.peek() != EMPTY
    }

    /// Whether it refuses items, by one load.
    pub fn is_closed(&self) -> bool {
        // Ordering: with the Release of `close`.
        self.head.load(Ordering::Acquire) == CLOSED
    }
}

impl<T: Chain> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl<T: Chain> Default for Inbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Chain> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}
