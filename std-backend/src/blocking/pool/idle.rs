//! The threads that wait for a job: a bit for each, and a letter box.
//!
//! Whoever clears a bit owns the thread behind it for one letter: a sender, by [`Idle::claim`], has
//! to put one into the box, and the thread, by [`Idle::withdraw`], is free again. Since an atomic
//! read-modify-write decides, a sender and a time-out that meet cannot both succeed, and a thread
//! that finds its bit gone knows that a letter is coming. So a job is handed over by one
//! compare-and-swap and a lock that only the two of them touch.
//!
//! A thread keeps its place from its start to its end, and ends only after it has withdrawn or read
//! its letter. So a box never holds a letter that its next owner could take for its own.
//!
//! A thread may look for its letter for a while before it sleeps (`park/patience.rs`). It is known by
//! a second bit, which is a hint: whoever wants it has to clear the first. Only a few look at a time,
//! so those that a burst has brought do not take the processors from those that they wait for.

use std::{array, iter, sync::OnceLock};

use crate::park::Patience;
use crate::primitives::{AtomicUsize, Condvar, Mutex, Ordering};

use super::deadline::Deadline;

/// Places per word. Few under the model checker, which keeps a record of each lock.
const PLACES: usize = if cfg!(jenny_loom) { 2 } else { usize::BITS as usize };

/// Places in all. Threads without a place end when they find no job.
const MAX_PLACES: usize = 1024;

/// What a claimed thread is told.
pub(super) enum Letter<J> {
    /// Run this, which was spawned.
    Job(J),
    /// Run this, which may take for ever.
    Urgent(J),
    /// Look at the queue, and whether the pool is shut down. Whoever sends it has counted the thread
    /// as coming.
    Look,
}

pub(super) struct Idle<J> {
    words: Box<[Word<J>]>,
    /// The threads of the first word that look.
    looking: AtomicUsize,
    /// So many may look at a time.
    max_looking: u32,
}

struct Word<J> {
    /// The threads here that wait and are free to be claimed.
    idle: AtomicUsize,
    /// Made when the first of them waits: most pools stay small.
    boxes: OnceLock<Box<[LetterBox<J>; PLACES]>>,
}

struct LetterBox<J> {
    letter: Mutex<Option<Letter<J>>>,
    put: Condvar,
}

/// A thread that waits for the letter of whoever holds this.
#[must_use = "the thread waits for a letter for ever"]
pub(super) struct Claim<'a, J>(&'a LetterBox<J>);

impl<J> Idle<J> {
    pub(super) fn new(max_threads: usize, max_looking: usize) -> Self {
        let words = max_threads.min(MAX_PLACES).div_ceil(PLACES);
        let word = || Word { idle: AtomicUsize::new(0), boxes: OnceLock::new() };
        Self {
            words: iter::repeat_with(word).take(words).collect(),
            looking: AtomicUsize::new(0),
            max_looking: max_looking.try_into().unwrap_or(u32::MAX),
        }
    }

    /// Whether a thread of this number may wait here.
    pub(super) fn has_place(&self, number: usize) -> bool {
        number < self.words.len() * PLACES
    }

    /// How many threads wait and have not been claimed.
    pub(super) fn count(&self) -> usize {
        // Ordering: Relaxed, for show.
        let ones = |word: &Word<J>| word.idle.load(Ordering::Relaxed).count_ones() as usize;
        self.words.iter().map(ones).sum()
    }

    /// Takes a thread out of those that wait, the one with the lowest number: so those with high
    /// numbers stay idle and end when there is less to do.
    pub(super) fn claim(&self) -> Option<Claim<'_, J>> {
        self.words.iter().find_map(|word| word.claim(usize::MAX))
    }

    /// Takes a thread that looks, so need not be woken.
    pub(super) fn claim_looking(&self) -> Option<Claim<'_, J>> {
        self.words.first()?.claim(self.looking.load(Ordering::Relaxed))
    }

    /// The thread of this number is now waiting.
    pub(super) fn enter(&self, number: usize) {
        let (word, bit) = self.place(number);
        word.boxes();
        // Ordering: Relaxed, as everywhere here: what the two tell each other goes through the
        // box's lock.
        word.idle.fetch_or(bit, Ordering::Relaxed);
    }

    /// The thread of this number no longer waits. False if it has been claimed.
    pub(super) fn withdraw(&self, number: usize) -> bool {
        let (word, bit) = self.place(number);
        word.idle.fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }

    /// At the start of a wait: the thread of this number looks whether it is claimed, if it has the
    /// patience and not too many others look.
    pub(super) fn look(&self, number: usize, patience: &mut Patience) {
        let others = self.looking.load(Ordering::Relaxed);
        if number >= PLACES || others.count_ones() >= self.max_looking {
            return;
        }
        let (all, relaxed) = (others | 1 << number, Ordering::Relaxed);
        if self.looking.compare_exchange(others, all, relaxed, relaxed).is_ok() {
            patience.look(|| self.is_claimed(number));
            self.looking.fetch_and(!(1 << number), Ordering::Relaxed);
        }
    }

    /// Whether a waiting thread of this number has been claimed. A letter is about to come.
    fn is_claimed(&self, number: usize) -> bool {
        let (word, bit) = self.place(number);
        word.idle.load(Ordering::Relaxed) & bit == 0
    }

    /// Waits for the letter to this thread, or `None` when the time is up.
    pub(super) fn receive(&self, number: usize, until: &Deadline) -> Option<Letter<J>> {
        let (word, _) = self.place(number);
        let own = &word.boxes()[number % PLACES];
        let mut letter = own.letter.lock();
        loop {
            if letter.is_some() {
                return letter.take();
            }
            if until.wait(&own.put, &mut letter) {
                // It may have come with the last tick.
                return letter.take();
            }
        }
    }

    fn place(&self, number: usize) -> (&Word<J>, usize) {
        (&self.words[number / PLACES], 1 << (number % PLACES))
    }
}

impl<J> Word<J> {
    fn boxes(&self) -> &[LetterBox<J>; PLACES] {
        let empty = || LetterBox { letter: Mutex::new(None), put: Condvar::new() };
        self.boxes.get_or_init(|| Box::new(array::from_fn(|_| empty())))
    }

    fn claim(&self, among: usize) -> Option<Claim<'_, J>> {
        let mut idle = self.idle.load(Ordering::Relaxed);
        while idle & among != 0 {
            let lowest = 1 << (idle & among).trailing_zeros();
            match self.idle.compare_exchange_weak(
                idle,
                idle ^ lowest,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Claim(&self.boxes()[lowest.trailing_zeros() as usize])),
                Err(now) => idle = now,
            }
        }
        None
    }
}

impl<J> Claim<'_, J> {
    /// Hands the letter over and wakes the thread.
    pub(super) fn send(self, letter: Letter<J>) {
        *self.0.letter.lock() = Some(letter);
        // After the lock is released, or the thread would wake only to wait for it.
        self.0.put.notify_one();
    }
}
