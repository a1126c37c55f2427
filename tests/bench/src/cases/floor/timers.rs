//! What a timer cannot do without.

use std::hint::black_box;
use std::task::Waker;
use std::time::Instant;

use super::super::timer::LONG;

/// A deadline counts from the call that makes it, so that call reads the clock.
pub(super) fn deadlines(operations: u64) {
    for _ in 0..operations {
        black_box(Instant::now() + LONG);
    }
}

/// A pending timer remembers when, whom to wake, and where it stands in a list of others.
struct Pending {
    _deadline: Instant,
    _waker: Waker,
    _neighbours: [usize; 2],
}

/// In boxes, as the case has them.
pub(super) fn pending(operations: u64) {
    let mut pending = Vec::with_capacity(operations as usize);
    for number in 0..operations as usize {
        pending.push(Box::new(Pending {
            _deadline: Instant::now() + LONG,
            _waker: Waker::noop().clone(),
            _neighbours: [number.wrapping_sub(1), number + 1],
        }));
    }
    black_box(pending);
}
