//! Reads after which nobody knows whether there is more.
//!
//! A read that fills its buffer may have emptied the socket. To find out costs a system call, in
//! vain where each message is answered before the next one comes. But the driver will ask the
//! system anyway. So such a read may forget the readiness, as if it had found nothing more, and
//! leave a **doubt**: if the driver hears nothing of the resource, it makes up a report.
//!
//! # Why nothing stays unread
//! A doubt is like an event that nobody has fetched from the system yet: whoever turns the driver
//! next deals with it. It stays for as long as other resources have events, [`TURNS`] turns at
//! most, since what they lead to may be the report of this one; a turn without events ends it.
//!
//! The one difference to an event is that it ends no wait. So nobody waits in the driver while
//! there is a doubt, and none is taken while somebody does. There are several lists, each with a
//! lock of its own, since workers that read at the same time would contend for one. Whoever wants to
//! wait says so before it empties them. A doubt that comes to its list before that is found there;
//! one that comes after sees, by the lock, that somebody waits.
//!
//! A report of the resource settles it, also one of writing: where doubts are left, it would have
//! told of data, too.
//!
//! The doubt is left *before* the readiness is forgotten. If it is dealt with in between, the
//! report counts the tick up, and is not forgotten.
//!
//! # When it pays
//! If the system's report comes first, a system call was saved. If not, the reader was woken later
//! than it might have been, perhaps for nothing. Which of the two it will be is a
//! [`Habit`](super::habit::Habit) of the resource.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use jenny_core::lock::Mutex;

use super::{
    habit::Hope,
    readiness::{Event, Readiness},
    wake_list::WakeList,
};
use crate::primitives::{AtomicBool, BriefLock, Ordering};

/// How many turns with events a doubt may last.
const TURNS: u32 = 8;

/// A resource `R` that may have more to read, whatever its readiness says.
#[derive(Debug)]
pub struct Doubt<R> {
    /// Which.
    pub resource: R,
    event: Event,
    turns: u32,
}

impl<R> Doubt<R> {
    /// After a turn, with the readiness of the resource: whether the doubt is settled. If the
    /// driver `is_quiet`, having had no events, it is.
    pub fn settle(&mut self, readiness: &Readiness, is_quiet: bool, wakers: &mut WakeList) -> bool {
        self.turns += 1;
        let is_late = is_quiet || self.turns >= TURNS;
        readiness.settle(self.event, is_late, wakers)
    }
}

/// The doubts that the driver has not heard of yet.
#[derive(Debug)]
pub struct Doubts<R> {
    left: Box<[Left<R>]>,
    /// Somebody waits in the driver, or is about to.
    is_asleep: AtomicBool,
}

/// The doubts of some threads, on a cache line of their own. The driver and another reader may
/// contend for them, so the lock opens by a store.
#[derive(Debug)]
#[repr(align(64))]
struct Left<R> {
    doubts: Mutex<Vec<Doubt<R>>, BriefLock>,
    hope: Hope,
}

impl<R> Doubts<R> {
    /// The most lists that pay: to look into each is a part of every turn.
    const MOST_LISTS: usize = 8;

    /// For so many threads that read at the same time.
    pub fn new(readers: usize) -> Self {
        let lists = readers.clamp(1, Self::MOST_LISTS);
        let left = (0..lists)
            .map(|_| Left { doubts: Mutex::new(Vec::new()), hope: Hope::default() })
            .collect();
        Self { left, is_asleep: AtomicBool::new(false) }
    }

    /// After a read that filled its buffer, begun with this event: forgets the readiness and leaves
    /// a doubt, if that promises something. Each `reader` has its number.
    pub fn leave(&self, reader: usize, resource: R, readiness: &Readiness, event: Event) {
        let left = self.of(reader);
        let doubt = Doubt { resource, event, turns: 0 };
        if readiness.habit().leaves_doubt(&left.hope) && self.push(left, doubt) {
            readiness.clear(event);
        }
    }

    /// Says that a read has found nothing.
    pub fn was_vain(&self, reader: usize, readiness: &Readiness) {
        readiness.habit().was_vain(&self.of(reader).hope);
    }

    fn of(&self, reader: usize) -> &Left<R> {
        &self.left[reader % self.left.len()]
    }

    /// False if the next turn may be far away.
    fn push(&self, left: &Left<R>, doubt: Doubt<R>) -> bool {
        left.doubts.with(|left| {
            // Ordering: Relaxed; if whoever waits has had the lock before, it is seen by that. If it
            // is false by now, the outdated answer costs a system call.
            if self.is_asleep.load(Ordering::Relaxed) {
                return false;
            }
            left.push(doubt);
            true
        })
    }

    /// At the start of a turn, adds what was left to the doubts that are not settled. Whether the
    /// driver may wait, as it `wants` to: if there are none. It says when it
    /// [`has_waited`](Self::has_waited).
    #[must_use]
    pub fn take(&self, unsettled: &mut Vec<Doubt<R>>, wants: bool) -> bool {
        let wants = wants && unsettled.is_empty();
        if wants {
            // Ordering: Relaxed, the locks pass it on.
            self.is_asleep.store(true, Ordering::Relaxed);
        }
        for Left { doubts, .. } in &self.left {
            doubts.with(|left| unsettled.append(left));
        }
        let waits = wants && unsettled.is_empty();
        if wants && !waits {
            self.has_waited();
        }
        waits
    }

    /// Says that the driver is awake.
    pub fn has_waited(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}
