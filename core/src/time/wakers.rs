//! Wakers on their way out of the wheel's lock.

use core::task::Waker;

use heapless::Deque;

/// So many that the lock is worth taking, and so few that it is not held for long.
pub(super) const BATCH: usize = crate::sync::shrunk(if usize::BITS == 64 { 32 } else { 8 }, 2);

/// What one turn of the wheel has to wake.
#[derive(Debug)]
pub(super) struct Wakers(Deque<Waker, BATCH>);

impl Wakers {
    pub(super) const fn new() -> Self {
        Self(Deque::new())
    }

    /// Adds a waker, of at most [`BATCH`].
    #[inline]
    pub(super) fn push(&mut self, waker: Waker) {
        let pushed = self.0.push_back(waker);
        debug_assert!(pushed.is_ok(), "a turn hands out at most a batch");
    }

    /// Wakes in order, with no lock held. Returns how many. If one panics, the others are woken
    /// while the panic leaves; a second panic then ends the program, as any during a panic does.
    pub(super) fn wake_all(&mut self, wake: &mut impl FnMut(Waker)) -> usize {
        let count = self.0.len();
        Rest { wakers: &mut self.0, wake }.wake_all();
        count
    }
}

/// Wakes what is left when it is dropped.
struct Rest<'a, F: FnMut(Waker)> {
    wakers: &'a mut Deque<Waker, BATCH>,
    wake: &'a mut F,
}

impl<F: FnMut(Waker)> Rest<'_, F> {
    fn wake_all(&mut self) {
        while let Some(waker) = self.wakers.pop_front() {
            (self.wake)(waker);
        }
    }
}

impl<F: FnMut(Waker)> Drop for Rest<'_, F> {
    fn drop(&mut self) {
        self.wake_all();
    }
}
