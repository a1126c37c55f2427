//! When a thread looks for a while before it sleeps.
//!
//! To sleep and be woken costs microseconds, on a virtual machine some thirty: a core that has
//! nothing to do halts, and has to be interrupted. Two threads that answer each other at once wait a
//! fraction of that. So a thread looks for about as long as a sleep costs, [`LOOK`], before it sleeps,
//! as long as that mostly pays. (Whoever does so loses at most as much again: Karlin, Manasse, McGeoch and
//! Owicki, 1990.) After looks that did, two in vain change nothing: a burst begins with a wait that was
//! long, and with one for a thread that has to be woken. Each further one has the thread sleep at once
//! for four times as many waits. So one that waits for long, or on a machine where everybody else is
//! busy, looks once in a thousand waits.
//!
//! Of two threads that work for each other, both have to look: where one sleeps, the other has to wake
//! it each time, which takes longer than its work, and looks in vain. But such a sleep is over [`SOON`].
//! So each of those counts as many waits, and a look after one lasts as long as it did: long enough for
//! a partner that has to be woken. If that pays, the next ones are as long, until the partner looks,
//! too, but no more than [`FEW`]: somebody far away may answer as fast, and never any faster.
//!
//! Whoever looks lets other threads run in between, or those that it waits for might have to wait for
//! this core. Where one did, a sleep costs no more than a look: the core does not halt. So after a look
//! that took much longer than it should, there is none for [`CROWDED`] waits, however short they are,
//! and after each further one in a row for twice as many: what it costs is a slice of the processor's
//! time, and where every core is in use there is nothing to be gained.
//!
//! This changes no protocol: whoever looks has not announced yet that it sleeps.

use std::{
    hint,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long a thread looks.
const LOOK: Duration = Duration::from_micros(20);

/// A sleep that is shorter may have been one for somebody who had to wake this thread.
const SOON: Duration = Duration::from_micros(200);

/// It counts as so many waits.
const EVIDENCE: u16 = 16;

/// So many looks in a row may pay late.
const FEW: u8 = 4;

/// At most so many waits, as a power of two, follow a vain look without one.
const MOST_BLIND: u8 = 10;

/// So many waits without a look follow one during which other threads had the core.
const CROWDED: u16 = 1 << 10;

/// So many looks in a row double that at most.
const MOST_CROWDED: u8 = 4;

/// What a look in vain adds. One that paid takes 1 away: two in three have to pay.
const VAIN: u8 = 2;

/// So much doubt changes nothing: two looks in vain.
const TRUST: u8 = 2 * VAIN;

/// How long whoever goes on either way waits for another thread.
const MOMENT: Duration = Duration::from_micros(10);

/// What one thread has learnt about its waits. Small, as it moves with what it belongs to: idle workers
/// are to do with two pages of stack.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    doubt: u8,
    /// The waits until the next look.
    blind: u16,
    /// How long that lasts, in microseconds.
    micros: u16,
    /// The looks in a row that took longer than [`LOOK`], and paid.
    late: u8,
    /// During so many of the last looks other threads had the core.
    crowded: u8,
    /// Since when there has been a wait in which the thread sleeps.
    since: Option<Instant>,
}

/// What a look has brought.
enum Look {
    Blind,
    Paid,
    /// And how long it took.
    Vain(Duration),
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            doubt: TRUST + VAIN,
            blind: 1 << VAIN,
            micros: LOOK.as_micros() as u16,
            late: 0,
            crowded: 0,
            since: None,
        }
    }
}

impl Patience {
    /// At the start of a wait: looks for a while, if that promises something, whether it is over.
    pub fn look(&mut self, is_over: impl FnMut() -> bool) -> bool {
        matches!(self.try_look(is_over), Look::Paid)
    }

    /// As [`look`](Self::look), at the start of a wait that a time-out may end, and takes the time of the
    /// look from that. One that is short is not worth it.
    pub fn look_within(
        &mut self,
        timeout: &mut Option<Duration>,
        is_over: impl FnMut() -> bool,
    ) -> bool {
        if timeout.is_some_and(|timeout| timeout <= SOON) {
            self.since = None;
            return false;
        }
        let look = self.try_look(is_over);
        if let (Look::Vain(time), Some(timeout)) = (&look, timeout) {
            *timeout = timeout.saturating_sub(*time);
        }
        matches!(look, Look::Paid)
    }

    fn try_look(&mut self, is_over: impl FnMut() -> bool) -> Look {
        let start = Instant::now();
        self.since = Some(start);
        if self.blind > 0 {
            self.blind -= 1;
            return Look::Blind;
        }
        // A model checker looks at every order anyway.
        if cfg!(jenny_loom) {
            return Look::Blind;
        }
        let paid = look_until(start, self.time(), is_over, thread::yield_now);
        let time = start.elapsed();
        self.learn(paid, time);
        if paid {
            self.since = None;
            return Look::Paid;
        }
        Look::Vain(time)
    }

    /// How long the next look lasts.
    fn time(&self) -> Duration {
        Duration::from_micros(self.micros.into())
    }

    fn set_time(&mut self, time: Duration) {
        self.micros = time.clamp(LOOK, SOON).as_micros() as u16;
    }

    /// At the end of a wait in which the thread slept.
    pub fn slept(&mut self) {
        if let Some(since) = self.since.take() {
            self.has_slept(since.elapsed());
        }
    }

    fn has_slept(&mut self, time: Duration) {
        if time < SOON && self.crowded == 0 {
            self.blind = self.blind.saturating_sub(EVIDENCE - 1);
            self.set_time(time);
        }
    }

    /// A look has paid, or was in vain, after so long.
    fn learn(&mut self, paid: bool, time: Duration) {
        let is_crowded = time > self.time() + SOON;
        self.crowded = if is_crowded { self.crowded.saturating_add(1) } else { 0 };
        if is_crowded {
            self.blind = CROWDED << (self.crowded - 1).min(MOST_CROWDED);
        } else if paid && time <= LOOK {
            self.doubt = self.doubt.saturating_sub(1);
        } else if paid && self.late < FEW {
            self.late += 1;
            return;
        } else {
            self.doubt = (TRUST + MOST_BLIND).min(self.doubt + VAIN);
            self.blind = if self.doubt > TRUST { 1 << (self.doubt - TRUST) } else { 0 };
        }
        self.late = 0;
        self.set_time(LOOK);
    }
}

fn look_until(
    start: Instant,
    time: Duration,
    mut is_over: impl FnMut() -> bool,
    between: impl Fn(),
) -> bool {
    while !is_over() {
        if start.elapsed() >= time {
            return false;
        }
        between();
    }
    true
}

/// Waits for a moment until another thread has finished something that takes no longer. For whoever
/// goes on either way.
pub fn wait_for_a_moment(is_over: impl FnMut() -> bool) {
    if has_many_cores() {
        look_until(Instant::now(), MOMENT, is_over, hint::spin_loop);
    }
}

/// On a single core whoever looks and does not yield keeps the one from running that it waits for. A
/// model checker looks at every order anyway.
fn has_many_cores() -> bool {
    static MANY: OnceLock<bool> = OnceLock::new();
    !cfg!(jenny_loom)
        && *MANY.get_or_init(|| thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}

#[cfg(all(test, not(jenny_loom)))]
mod tests {
    use super::*;

    const FAST: Option<Duration> = Some(Duration::from_micros(1));
    const LATE: Option<Duration> = Some(Duration::from_micros(80));
    const LONG: Duration = Duration::from_secs(1);

    /// How many of so many waits begin with a look. It pays like that, or the thread sleeps for so long.
    fn looks(
        patience: &mut Patience,
        waits: usize,
        pays: Option<Duration>,
        sleep: Duration,
    ) -> usize {
        (0..waits)
            .filter(|_| {
                let looks = patience.blind == 0;
                if looks {
                    let paid = pays.filter(|&time| time < patience.time());
                    patience.learn(paid.is_some(), paid.unwrap_or(patience.time()));
                } else {
                    patience.blind -= 1;
                }
                if !looks || pays.is_none() {
                    patience.has_slept(sleep);
                }
                looks
            })
            .count()
    }

    #[test]
    fn looks_that_pay_go_on_and_vain_ones_become_rare() {
        let mut patience = Patience::default();
        assert!(looks(&mut patience, 100, FAST, LONG) > 90);
        assert!(looks(&mut patience, 100, None, LONG) < 8);
        assert!(looks(&mut patience, 100_000, None, LONG) < 110);
        // Once in a thousand waits it tries again.
        assert!(looks(&mut patience, 2_000, FAST, LONG) > 900);
    }

    #[test]
    fn a_burst_is_not_forgotten_at_its_end() {
        let mut patience = Patience::default();
        assert!(looks(&mut patience, 100, FAST, LONG) > 90);
        assert_eq!(looks(&mut patience, 2, None, LONG), 2);
        assert_eq!(looks(&mut patience, 100, FAST, LONG), 100);
        assert_eq!(looks(&mut patience, 4, None, LONG), 3, "the third in vain is the last for now");
    }

    #[test]
    fn after_short_sleeps_it_tries_again_sooner() {
        let mut patience = Patience::default();
        looks(&mut patience, 1_000, None, LONG);
        assert!((14..18).contains(&looks(&mut patience, 1_000, None, LOOK)));
        assert!(looks(&mut patience, 1_000, None, SOON) <= 1);
    }

    #[test]
    fn a_look_lasts_as_long_as_the_sleep_before_it() {
        let mut patience = Patience::default();
        for (sleep, look) in [(2 * LOOK, 2 * LOOK), (LOOK / 2, LOOK), (3 * LOOK, 3 * LOOK)] {
            patience.has_slept(sleep);
            assert_eq!(patience.time(), look);
        }
        patience.learn(true, 2 * LOOK);
        assert_eq!(patience.time(), 3 * LOOK, "the partner may not look yet");
        patience.learn(true, LOOK);
        assert_eq!(patience.time(), LOOK);
    }

    #[test]
    fn looks_that_always_pay_late_become_rare() {
        let mut patience = Patience::default();
        let sleep = Duration::from_micros(100);
        looks(&mut patience, 1_000, LATE, sleep);
        assert!(looks(&mut patience, 1_000, LATE, sleep) < 80);
        // One that pays at once ends the doubt, by and by.
        assert!(looks(&mut patience, 1_000, FAST, sleep) > 900);
    }

    #[test]
    fn the_time_of_a_look_is_part_of_the_wait() {
        let mut patience = Patience { blind: 1, ..Patience::default() };
        let long = Duration::from_millis(10);
        let mut left = |timeout| {
            let mut left = Some(timeout);
            assert!(!patience.look_within(&mut left, || false));
            left
        };
        assert_eq!(left(SOON), Some(SOON));
        assert_eq!(left(long), Some(long), "no look yet");
        assert!(left(long) <= Some(long - LOOK));
    }

    #[test]
    fn where_others_have_the_core_there_is_no_look_for_long() {
        for paid in [false, true] {
            let mut patience = Patience::default();
            looks(&mut patience, 100, FAST, LONG);
            patience.learn(paid, SOON + 2 * LOOK);
            assert_eq!(looks(&mut patience, usize::from(CROWDED), FAST, LOOK), 0);
            assert_eq!(looks(&mut patience, 100, FAST, LOOK), 100);
        }
    }

    #[test]
    fn where_others_have_every_core_looks_become_rarer_still() {
        let mut patience = Patience::default();
        let mut crowded = |waits| {
            patience.learn(true, SOON + 2 * LOOK);
            assert_eq!(usize::from(patience.blind), waits);
        };
        let base = usize::from(CROWDED);
        for times in [1, 2, 4, 8, 16, 16, 16] {
            crowded(times * base);
        }
        // A single one in which nobody else had the core, and the next is an accident again.
        looks(&mut patience, 16 * base + 1, FAST, LOOK);
        patience.learn(true, SOON + 2 * LOOK);
        assert_eq!(patience.blind, CROWDED);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Patience>() <= 24);
    }

    #[test]
    fn a_look_ends_with_the_wait() {
        assert!(look_until(Instant::now(), LOOK, || true, || unreachable!()));
        let start = Instant::now();
        assert!(!look_until(start, LOOK, || false, hint::spin_loop));
        assert!(start.elapsed() >= LOOK);
    }
}
