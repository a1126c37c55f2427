//! A counter that one task waits on, and that anybody rings: any hart, any interrupt.

use core::{
    future,
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire},
    },
    task::{Poll, Waker},
};

use jenny_core::{lock::Mutex, smp::SpinLock};

use crate::Virt;

pub struct Bell {
    rings: AtomicUsize,
    /// Under a lock of its own: in a critical section all harts would wait for each other.
    waiting: Mutex<Option<Waker>, SpinLock<Virt>>,
}

impl Bell {
    #[expect(clippy::new_without_default, reason = "for statics only")]
    pub const fn new() -> Self {
        Self { rings: AtomicUsize::new(0), waiting: Mutex::with_lock(None, SpinLock::new()) }
    }

    pub fn ring(&self) {
        // Ordering: Release publishes what the ringer did, Acquire is for the next one's Release.
        self.rings.fetch_add(1, AcqRel);
        let waker = self.waiting.with(Option::take);
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
            let _former = self.waiting.with(|waiting| waiting.replace(waker));
            // Looked at after the waker is in place: a ring in between wakes, or is seen here.
            let rings = self.rings();
            if rings < times { Poll::Pending } else { Poll::Ready(rings) }
        })
        .await
    }
}
