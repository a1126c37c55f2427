//! A counter that one task waits on, and that anybody rings: any hart, any interrupt.

use core::{
    cell::RefCell,
    future,
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire},
    },
    task::{Poll, Waker},
};

use critical_section::Mutex;

pub struct Bell {
    rings: AtomicUsize,
    waiting: Mutex<RefCell<Option<Waker>>>,
}

impl Bell {
    pub const fn new() -> Self {
        Self { rings: AtomicUsize::new(0), waiting: Mutex::new(RefCell::new(None)) }
    }

    pub fn ring(&self) {
        // Ordering: Release publishes what the ringer did, Acquire is for the next one's Release.
        self.rings.fetch_add(1, AcqRel);
        let waker = critical_section::with(|token| self.waiting.borrow_ref_mut(token).take());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn rings(&self) -> usize {
        self.rings.load(Acquire)
    }

    /// Waits until it has rung so often, and says how often.
    pub async fn rung(&self, times: usize) -> usize {
        future::poll_fn(|context| {
            let waker = context.waker().clone();
            critical_section::with(|token| self.waiting.borrow_ref_mut(token).replace(waker));
            // Looked at after the waker is in place: a ring in between wakes, or is seen here.
            let rings = self.rings();
            if rings < times { Poll::Pending } else { Poll::Ready(rings) }
        })
        .await
    }
}
