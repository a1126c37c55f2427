//! When a thread looks for a while before it sleeps.
//!
//! To sleep and be woken costs microseconds, on a virtual machine more than ten: a core that has
//! nothing to do halts, and has to be interrupted. Two threads that answer each other at once wait a
//! fraction of that. So a thread looks for [`LOOK`] before it sleeps, as long as that mostly pays.
//! Each time it was in vain the thread sleeps at once for twice as many waits. So one that waits for
//! long, or for events of the driver, or on a machine where everybody else is busy, looks once in a
//! thousand waits.
//!
//! This changes no protocol: whoever looks has not announced yet that it sleeps.

use std::{
    hint,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long a thread looks at most.
pub const LOOK: Duration = Duration::from_micros(10);

/// At most so many waits, as a power of two, follow a vain look without one.
const MOST_DOUBT: u8 = 10;

/// What a look in vain adds. One that paid takes 1 away: two in three have to pay.
const VAIN: u8 = 2;

/// What one thread has learnt about its waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    doubt: u8,
    /// The waits until the next look.
    blind: u16,
}

impl Default for Patience {
    fn default() -> Self {
        Self { doubt: VAIN, blind: 1 << VAIN }
    }
}

impl Patience {
    /// At the start of a wait: looks for a while, if that promises something, whether it is over.
    pub fn look(&mut self, is_over: impl Fn() -> bool) -> bool {
        if self.blind > 0 {
            self.blind -= 1;
            return false;
        }
        if !has_many_cores() {
            return false;
        }
        let paid = Self::look_now(is_over);
        self.learn(paid);
        paid
    }

    fn look_now(is_over: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !is_over() {
            if start.elapsed() >= LOOK {
                return false;
            }
            hint::spin_loop();
        }
        true
    }

    fn learn(&mut self, paid: bool) {
        if paid {
            self.doubt = self.doubt.saturating_sub(1);
        } else {
            self.doubt = MOST_DOUBT.min(self.doubt + VAIN);
            self.blind = 1 << self.doubt;
        }
    }
}

/// On a single core whoever looks keeps the one from running that it waits for. A model checker
/// looks at every order anyway.
fn has_many_cores() -> bool {
    static MANY: OnceLock<bool> = OnceLock::new();
    !cfg!(jenny_loom)
        && *MANY.get_or_init(|| thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::*;

    /// How many of so many waits begin with a look.
    fn looks(patience: &mut Patience, waits: usize, pays: bool) -> usize {
        (0..waits)
            .filter(|_| {
                let looks = patience.blind == 0;
                if looks {
                    patience.learn(pays);
                } else {
                    patience.look(|| unreachable!());
                }
                looks
            })
            .count()
    }

    #[test]
    fn looks_that_pay_go_on_and_vain_ones_become_rare() {
        let mut patience = Patience::default();
        assert!(looks(&mut patience, 100, true) > 90);
        assert!(looks(&mut patience, 100, false) < 8);
        assert!(looks(&mut patience, 100_000, false) < 110);
        // Once in a thousand waits it tries again.
        assert!(looks(&mut patience, 2_000, true) > 900);
    }

    #[test]
    fn a_look_ends_with_the_wait() {
        assert!(Patience::look_now(|| true));
        let start = Instant::now();
        assert!(!Patience::look_now(|| false));
        assert!(start.elapsed() >= LOOK);
    }
}
