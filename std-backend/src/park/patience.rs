//! When a thread looks for a while before it sleeps.
//!
//! To sleep and be woken costs microseconds, on a virtual machine more than ten: a core that has
//! nothing to do halts, and has to be interrupted. Two threads that answer each other at once wait a
//! fraction of that. So a thread looks for [`LOOK`] before it sleeps, as long as that mostly pays.
//! After looks that did, two in vain change nothing: a burst begins with a wait that was long, and with
//! one for a thread that has to be woken. Each further one has the thread sleep at once for twice as
//! many waits. So one that waits for long, or for events of the driver, or on a machine where everybody
//! else is busy, looks once in a thousand waits.
//!
//! Of two threads that answer each other, both have to look: where one sleeps, to wake it takes longer
//! than the other looks, whose look is then in vain, and so on for ever. But that wait is a short one.
//! So after a vain look in a wait that another thread has ended [`SOON`], the next look is a long one,
//! in a few waits at the latest. If it sees the answer, so do those after it, which leaves the other one
//! awake for its own next look.
//!
//! This changes no protocol: whoever looks has not announced yet that it sleeps.

use std::{
    hint,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long a thread looks.
const LOOK: Duration = Duration::from_micros(10);

/// How long it looks for the answer of a thread that has to be woken: at most.
pub const LONG_LOOK: Duration = Duration::from_micros(200);

/// A wait that is as short may be one for such an answer.
const SOON: Duration = Duration::from_micros(300);

/// The waits between that one and a long look, as a power of two.
const LONG_LOOK_SOON: u8 = 4;

/// At most so many waits, as a power of two, follow a vain look without one.
const MOST_BLIND: u8 = 10;

/// What a look in vain adds. One that paid takes 1 away: two in three have to pay.
const VAIN: u8 = 2;

/// So much doubt changes nothing: two looks in vain.
const TRUST: u8 = 2 * VAIN;

/// What one thread has learnt about its waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    doubt: u8,
    /// The waits until the next look.
    blind: u16,
    /// The next look is a long one.
    looks_long: bool,
    /// Since when there has been a wait that began with a short look in vain.
    vain_since: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { doubt: TRUST + VAIN, blind: 1 << VAIN, looks_long: false, vain_since: None }
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
        let start = Instant::now();
        let time = if self.looks_long { LONG_LOOK } else { LOOK };
        let paid = Self::look_until(start, time, is_over);
        self.learn(paid, start);
        paid
    }

    fn look_until(start: Instant, time: Duration, is_over: impl Fn() -> bool) -> bool {
        while !is_over() {
            if start.elapsed() >= time {
                return false;
            }
            hint::spin_loop();
        }
        true
    }

    fn learn(&mut self, paid: bool, start: Instant) {
        let was_long = self.looks_long;
        if paid {
            self.doubt = self.doubt.saturating_sub(1);
            self.looks_long = was_long && start.elapsed() >= LOOK;
        } else {
            self.doubt = (TRUST + MOST_BLIND).min(self.doubt + VAIN);
            self.blind = if self.doubt > TRUST { 1 << (self.doubt - TRUST) } else { 0 };
            self.looks_long = false;
            self.vain_since = (!was_long).then_some(start);
        }
    }

    /// At the end of a wait in which the thread slept: another thread has ended it, or something else.
    pub fn slept(&mut self, was_woken: bool) {
        if let Some(since) = self.vain_since.take()
            && was_woken
            && since.elapsed() < SOON
        {
            self.looks_long = true;
            self.blind = self.blind.min(1 << LONG_LOOK_SOON);
        }
    }
}

/// Waits for a moment, at most as long as a look takes, until another thread has finished something
/// that takes no longer. For whoever goes on either way.
pub fn wait_for_a_moment(is_over: impl Fn() -> bool) {
    if has_many_cores() {
        Patience::look_until(Instant::now(), LOOK, is_over);
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
                    patience.learn(pays, Instant::now());
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
    fn a_burst_is_not_forgotten_at_its_end() {
        let mut patience = Patience::default();
        assert!(looks(&mut patience, 100, true) > 90);
        assert_eq!(looks(&mut patience, 2, false), 2);
        assert_eq!(looks(&mut patience, 100, true), 100);
        assert_eq!(looks(&mut patience, 4, false), 3, "the third in vain is the last for now");
    }

    #[test]
    fn a_look_ends_with_the_wait() {
        assert!(Patience::look_until(Instant::now(), LOOK, || true));
        let start = Instant::now();
        assert!(!Patience::look_until(start, LOOK, || false));
        assert!(start.elapsed() >= LOOK);
    }

    /// After a look in vain.
    fn in_vain(since: Instant) -> Patience {
        let mut patience = Patience::default();
        assert!(looks(&mut patience, 100_000, false) > 0);
        patience.learn(false, since);
        patience
    }

    #[test]
    fn a_short_wait_for_another_thread_leads_to_a_long_look() {
        // In the future, so that a test which is held up does not see a long wait.
        let now = Instant::now() + Duration::from_secs(60);
        let mut patience = in_vain(now);
        patience.slept(true);
        assert_eq!((patience.looks_long, patience.blind), (true, 1 << LONG_LOOK_SOON));
        // One in vain is the only one for long.
        patience.blind = 0;
        patience.learn(false, now);
        patience.slept(true);
        assert_eq!((patience.looks_long, patience.blind), (false, 1 << MOST_BLIND));
        // An answer at once needs no long look any more.
        let mut patience = in_vain(now);
        patience.slept(true);
        patience.learn(true, now);
        assert!(!patience.looks_long);
    }

    #[test]
    fn other_waits_do_not() {
        let mut patience = in_vain(Instant::now() + Duration::from_secs(60));
        patience.slept(false);
        assert!(!patience.looks_long, "something else has ended it");
        patience.slept(true);
        assert!(!patience.looks_long, "there was no look in that one");
        let mut patience = in_vain(Instant::now() - SOON);
        patience.slept(true);
        assert!(!patience.looks_long, "it was a long wait");
    }
}
