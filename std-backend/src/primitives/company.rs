//! When a runtime has more than one thing to look after.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

/// What is called when there is company; false if it wants to be called again.
type Call = Box<dyn Fn() -> bool + Send + Sync>;

/// Calls somebody once a runtime has company for the first of its tasks: another one, a timer, a socket.
///
/// As long as there is one thing only, nothing waits while it keeps a worker busy. What comes may be
/// counted twice, but nothing is left out: so the call may be early, and is never late.
#[derive(Default)]
pub(crate) struct Company {
    /// How many things have to come until then; zero, too, if nobody wants to know.
    missing: AtomicU8,
    call: OnceLock<Call>,
}

impl Company {
    /// Has the closure called by whoever brings so many things, and the next ones until it returns
    /// true. For one closure.
    pub(crate) fn expect(&self, things: u8, call: impl Fn() -> bool + Send + Sync + 'static) {
        if self.call.set(Box::new(call)).is_ok() {
            // Ordering: Relaxed; the cell synchronizes by itself.
            self.missing.store(things, Relaxed);
        }
    }

    /// Something has come. One load if nobody wants to know.
    #[inline]
    pub(crate) fn comes(&self) {
        if self.missing.load(Relaxed) > 0 {
            self.count();
        }
    }

    #[cold]
    fn count(&self) {
        let was = self.missing.fetch_update(Relaxed, Relaxed, |missing| missing.checked_sub(1));
        let called = || self.call.get().is_none_or(|call| call());
        if was == Ok(1) && !called() {
            self.missing.store(1, Relaxed);
        }
    }
}

impl fmt::Debug for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Company").field("missing", &self.missing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

    use super::*;

    #[test]
    fn the_last_thing_makes_the_call_and_others_do_if_that_fails() {
        let company = Company::default();
        company.comes();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        company.expect(2, move || counted.fetch_add(1, Relaxed) == 2);
        let calls_after = |things: usize| {
            (0..things).for_each(|_| company.comes());
            calls.load(Relaxed)
        };
        assert_eq!([calls_after(1), calls_after(1)], [0, 1]);
        assert_eq!([calls_after(1), calls_after(1), calls_after(5)], [2, 3, 3]);
    }
}
