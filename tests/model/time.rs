//! Timers against an ordered map.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake},
};

use jenny_core::time::{Timer, Timers};
use proptest::prelude::*;

use super::Lock;

#[derive(Clone, Debug)]
enum Operation {
    /// So many timers with the same delay.
    Start(usize, u64),
    Drop(usize),
    Reset(usize, u64),
    /// Polls with another waker.
    Poll(usize),
    Advance(u64),
    /// Advances as a parked owner does, to what is published.
    Park,
    /// Advances as a paused clock does, to the first deadline.
    Jump,
}

/// All scales, and few values of each, so that deadlines coincide.
fn ticks() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 1..4_u64,
        4 => 60..70_u64,
        4 => (0..40_u32, 0..3_u64).prop_map(|(scale, more)| (1 << scale) + more),
        2 => 1..1_u64 << 38,
        // Centuries.
        1 => 1..1_u64 << 46,
    ]
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => (1..3_usize, ticks()).prop_map(|(count, delay)| Operation::Start(count, delay)),
        // More than leave the lock at once.
        1 => (30..70_usize, ticks()).prop_map(|(count, delay)| Operation::Start(count, delay)),
        1 => Just(Operation::Start(1, 0)),
        1 => Just(Operation::Start(1, u64::MAX)),
        3 => any::<usize>().prop_map(Operation::Drop),
        3 => (any::<usize>(), ticks()).prop_map(|(index, delay)| Operation::Reset(index, delay)),
        2 => any::<usize>().prop_map(Operation::Poll),
        4 => ticks().prop_map(Operation::Advance),
        4 => Just(Operation::Park),
        2 => Just(Operation::Jump),
    ];
    prop::collection::vec(operation, 1..100)
}

type Log = Arc<Mutex<Vec<usize>>>;

/// Enters the number of its timer when it is woken.
struct Logger {
    number: usize,
    log: Log,
}

impl Wake for Logger {
    fn wake(self: Arc<Self>) {
        self.log.lock().unwrap().push(self.number);
    }
}

type Pinned<'a> = Pin<Box<Timer<&'a Timers<Lock>>>>;

struct Test<'a> {
    timers: &'a Timers<Lock>,
    now: u64,
    log: Log,
    /// By number.
    handles: BTreeMap<usize, Pinned<'a>>,
    /// The order in which they fire: by deadline, then by registration. With each number, whether
    /// its deadline was put off: then it comes somewhere among its equals.
    model: BTreeMap<(u64, usize), (usize, bool)>,
    next_number: usize,
    registrations: usize,
}

impl<'a> Test<'a> {
    fn new(timers: &'a Timers<Lock>) -> Self {
        Self {
            timers,
            now: 0,
            log: Log::default(),
            handles: BTreeMap::new(),
            model: BTreeMap::new(),
            next_number: 0,
            registrations: 0,
        }
    }

    fn poll(&mut self, number: usize, deadline: u64) -> bool {
        let waker = Arc::new(Logger { number, log: Arc::clone(&self.log) }).into();
        let timer = self.handles.get_mut(&number).expect("only timers that exist are polled");
        let now = self.now;
        match timer.as_mut().poll(deadline, || now, &mut Context::from_waker(&waker)) {
            Poll::Ready(result) => result.is_ok(),
            Poll::Pending => false,
        }
    }

    fn enter(&mut self, deadline: u64, number: usize, put_off: bool) {
        self.registrations += 1;
        self.model.insert((deadline, self.registrations), (number, put_off));
    }

    /// Chooses a timer that is registered: its place in the model, and its number.
    fn choose(&self, index: usize) -> Option<((u64, usize), usize)> {
        let index = index.checked_rem(self.model.len())?;
        self.model.iter().nth(index).map(|(&key, &(number, _))| (key, number))
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Start(count, delay) => {
                let deadline = self.now.saturating_add(delay);
                for _ in 0..count {
                    let number = self.next_number;
                    self.next_number += 1;
                    self.handles.insert(number, Box::pin(Timer::new(self.timers)));
                    let ready = self.poll(number, deadline);
                    assert_eq!(ready, delay == 0, "ready at once if and only if it is due");
                    if !ready {
                        self.enter(deadline, number, false);
                    }
                }
            }
            Operation::Drop(index) => {
                if let Some((key, number)) = self.choose(index) {
                    self.handles.remove(&number);
                    self.model.remove(&key);
                }
            }
            Operation::Reset(index, delay) => {
                if let Some((key, number)) = self.choose(index) {
                    let deadline = self.now.saturating_add(delay);
                    self.handles.get_mut(&number).unwrap().as_mut().reset(deadline);
                    if deadline != key.0 {
                        self.model.remove(&key);
                        self.enter(deadline, number, deadline > key.0);
                    }
                }
            }
            Operation::Poll(index) => {
                if let Some(((deadline, _), number)) = self.choose(index) {
                    assert!(!self.poll(number, deadline), "it is not due yet");
                }
            }
            Operation::Advance(ticks) => self.fire(self.now + ticks),
            Operation::Park => {
                if let Some(next) = self.timers.next(self.now) {
                    assert!(next > self.now, "what is due has been fired");
                    // The clock of this test ends before a word would wrap.
                    self.fire(next.min(self.now + (1 << 50)));
                }
            }
            Operation::Jump => {
                if let Some(earliest) = self.timers.earliest() {
                    self.fire(earliest.min(self.now + (1 << 50)));
                }
            }
        }
    }

    /// Advances the clock, and compares what fires.
    fn fire(&mut self, now: u64) {
        self.now = now;
        let later = self.model.split_off(&(now + 1, 0));
        let due = mem::replace(&mut self.model, later);
        assert_eq!(self.timers.fire(now), due.len());

        let fired = mem::take(&mut *self.log.lock().unwrap());
        let due: BTreeMap<_, _> = due
            .into_iter()
            .map(|((deadline, registration), (number, put_off))| {
                (number, (deadline, registration, put_off))
            })
            .collect();
        assert_eq!(fired.iter().collect::<BTreeSet<_>>(), due.keys().collect(), "at {now}");
        assert!(fired.is_sorted_by_key(|number| due[number].0), "not by deadline");
        let in_order: Vec<_> = fired.iter().map(|number| due[number]).filter(|it| !it.2).collect();
        assert!(in_order.is_sorted(), "not by registration");
        for number in fired {
            assert!(self.poll(number, 0), "fired, so ready");
            self.handles.remove(&number);
        }
    }

    fn check(&self) {
        assert_eq!(self.timers.len(), self.model.len());
        let earliest = self.model.keys().next().map(|&(deadline, _)| deadline);
        assert_eq!(self.timers.earliest(), earliest);
        // It may be too early, even if there is nothing any more, but not too late.
        if let Some(earliest) = earliest {
            assert!(self.timers.next(self.now).expect("there are timers") <= earliest);
        }
        assert!(self.log.lock().unwrap().is_empty(), "woken before its time");
    }
}

proptest! {
    #[test]
    fn timers_behave_like_an_ordered_map(operations in operations()) {
        let timers = Timers::new();
        let mut test = Test::new(&timers);
        for operation in operations {
            test.apply(operation);
            test.check();
        }
        let registered: Vec<_> = test.model.values().map(|&(number, _)| number).collect();
        timers.close();
        let mut woken = mem::take(&mut *test.log.lock().unwrap());
        woken.sort_unstable();
        let mut expected = registered;
        expected.sort_unstable();
        prop_assert_eq!(woken, expected);
        prop_assert!(timers.is_empty());
        drop(test.handles);
        prop_assert_eq!(Arc::strong_count(&test.log), 1, "a waker was leaked");
    }
}
