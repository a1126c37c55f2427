//! Wakers and the ticks at which to wake them: of each waker the earliest one.
//!
//! Nobody tells when a waker is not needed any more. A server that gives each request an hour would
//! keep the memory of an hour's tasks. So each time that the queue has doubled, those of tasks which
//! have ended are looked for, which costs each insertion a constant time on average.

use std::{
    collections::{BTreeMap, HashMap},
    ptr,
    task::Waker,
};

use jenny_core::task;

/// A queue that is smaller than this is not worth looking through.
const SMALL: usize = 64;

/// Where a waker stands: its tick, and its number among all that came.
type Place = (u64, u64);

/// What two wakers have in common if [`Waker::will_wake`] holds.
type Identity = (usize, usize);

/// Each waker is in both maps, at the same place. The queue owns what it knows by its identity, so no
/// other waker can have that identity meanwhile.
#[derive(Debug, Default)]
pub(super) struct WakeQueue {
    due: BTreeMap<Place, Waker>,
    places: HashMap<Identity, Place>,
    number: u64,
    /// How many were left when they were last looked through.
    looked_through: usize,
}

impl WakeQueue {
    /// Makes sure that a waker which is in the queue is woken at a tick, if not before. False if it
    /// is not in the queue.
    pub(super) fn bring_forward(&mut self, waker: &Waker, tick: u64) -> bool {
        let Some(place) = self.places.get_mut(&identity(waker)) else { return false };
        if tick < place.0
            && let Some(waker) = self.due.remove(place)
        {
            place.0 = tick;
            self.due.insert(*place, waker);
        }
        true
    }

    /// Puts in a waker that is not in the queue.
    pub(super) fn insert(&mut self, waker: Waker, tick: u64) {
        let place = (tick, self.number);
        self.number += 1;
        self.places.insert(identity(&waker), place);
        self.due.insert(place, waker);
    }

    /// Takes out the wakers of tasks that have ended, if the queue has doubled since the last time.
    pub(super) fn take_completed(&mut self) -> Vec<Waker> {
        if self.due.len() < SMALL.max(2 * self.looked_through) {
            return Vec::new();
        }
        let completed = self.due.extract_if(.., |_, waker| task::has_completed(waker));
        let completed: Vec<_> = completed.map(|(_, waker)| waker).collect();
        for waker in &completed {
            self.places.remove(&identity(waker));
        }
        self.looked_through = self.due.len();
        completed
    }

    /// The first tick at which somebody is to be woken.
    pub(super) fn first(&self) -> Option<u64> {
        self.due.first_key_value().map(|(&(tick, _), _)| tick)
    }

    /// Takes out a waker whose tick has come: by ticks, and then by age.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<Waker> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        let waker = entry.remove();
        self.places.remove(&identity(&waker));
        Some(waker)
    }
}

fn identity(waker: &Waker) -> Identity {
    (waker.data().addr(), ptr::from_ref(waker.vtable()).addr())
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::Arc,
        task::{Poll, Wake},
    };

    use crate::runtime::Runtime;

    use super::*;

    struct Nothing;

    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_waker_is_in_it_once_and_at_its_earliest_tick() {
        let wakers: Vec<Waker> = (0..4).map(|_| Arc::new(Nothing).into()).collect();
        let mut queue = WakeQueue::default();
        for (waker, tick) in wakers.iter().zip([7, 5, 9, 5]) {
            assert!(!queue.bring_forward(waker, tick));
            queue.insert(waker.clone(), tick);
        }
        assert!(queue.bring_forward(&wakers[2], 3) && queue.bring_forward(&wakers[0], 8));
        assert_eq!((queue.first(), queue.due.len(), queue.places.len()), (Some(3), 4, 4));
        assert!(queue.pop_due(2).is_none());
        for expected in [2, 1, 3, 0] {
            assert!(queue.pop_due(7).is_some_and(|waker| waker.will_wake(&wakers[expected])));
        }
        assert!(queue.first().is_none() && queue.places.is_empty());
    }
    #[test]
    fn it_does_not_grow_with_the_tasks_that_have_ended() {
        let runtime = Runtime::new().unwrap();
        let waker_of_a_task = |ends: bool| {
            let (give, take) = std::sync::mpsc::channel();
            let task = runtime.spawn(poll_fn(move |context| {
                give.send(context.waker().clone()).unwrap();
                if ends { Poll::Ready(()) } else { Poll::Pending }
            }));
            if ends {
                runtime.block_on(task).unwrap();
            }
            take.recv().unwrap()
        };
        let mut queue = WakeQueue::default();
        for number in 0..2_000 {
            // Every hundredth is alive, and stays.
            let waker = waker_of_a_task(number % 100 > 0);
            queue.insert(waker, 1_000);
            drop(queue.take_completed());
            assert!(queue.due.len() < SMALL && queue.due.len() == queue.places.len());
        }
        assert!(queue.due.len() >= 20);
        while let Some(waker) = queue.pop_due(1_000) {
            assert!(!queue.bring_forward(&waker, 0));
        }
        assert!(queue.places.is_empty());
    }
}
