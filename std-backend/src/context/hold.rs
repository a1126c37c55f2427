//! Uses what is current on this thread without counting a reference to it.
//!
//! A spawn runs code of strangers: the drop of a future that came too late, the hooks of the
//! builder. That code may end the guard which keeps the runtime current. To hold the runtime by a
//! count of its own would cost each spawn two read-modify-writes on a line that all threads share.
//! Instead a thread says that it is using what is current, and until it has done so, what its guards
//! let go of is kept.

use std::{
    any::Any,
    cell::{Cell, RefCell},
};

thread_local! {
    /// How many [`Hold`]s of this thread are alive.
    static HOLDS: Cell<usize> = const { Cell::new(0) };
    /// Whether guards have let go of something meanwhile. Without a destructor, so cheap to ask.
    static ANY_LEFT: Cell<bool> = const { Cell::new(false) };
    /// What it is.
    static LEFT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// While this is alive, nothing is dropped that was current on this thread when it was made.
pub(super) struct Hold(());

impl Hold {
    #[inline]
    pub(super) fn new() -> Self {
        HOLDS.set(HOLDS.get() + 1);
        Self(())
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        let others = HOLDS.get() - 1;
        HOLDS.set(others);
        if others == 0 && ANY_LEFT.get() {
            drop_left();
        }
    }
}

#[cold]
fn drop_left() {
    ANY_LEFT.set(false);
    // Gone at the end of a thread, with what was left.
    let left = LEFT.try_with(RefCell::take);
    // Outside of the borrow: it may be the last handle of its runtime.
    drop(left);
}

/// Drops what was current, as soon as nobody on this thread uses it.
pub(super) fn leave<T: 'static>(left: T) {
    if HOLDS.get() == 0 {
        return drop(left);
    }
    let mut left = Some(Box::new(left) as Box<dyn Any>);
    let kept = LEFT.try_with(|list| list.borrow_mut().extend(left.take()));
    match kept {
        Ok(()) => ANY_LEFT.set(true),
        // The thread ends, and somebody uses this: it cannot be dropped, and nobody is left to.
        Err(_) => std::mem::forget(left),
    }
}
