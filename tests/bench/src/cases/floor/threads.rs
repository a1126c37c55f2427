//! Threads that sleep and wake each other, with nothing to hand over.

use std::hint;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::super::blocking::BATCH;
use super::super::idle::latency;
use crate::measure::Sampler;

/// A thread that waits until it is called, and then calls its caller, the thread that started it.
/// Neither sleeps between two turns, so it does not matter how long the system takes to wake a thread.
pub(super) struct Partner {
    turn: Arc<AtomicU8>,
    /// What either does between two looks.
    between: fn(),
    thread: Option<JoinHandle<()>>,
}

const CALLER: u8 = 0;
const PARTNER: u8 = 1;
const NOBODY: u8 = 2;

impl Partner {
    pub(super) fn start() -> Self {
        Self::with(hint::spin_loop)
    }

    /// Each lets the other have the core that they share.
    pub(super) fn on_the_same_core() -> Self {
        Self::with(thread::yield_now)
    }

    fn with(between: fn()) -> Self {
        let (turn, caller) = (Arc::new(AtomicU8::new(CALLER)), thread::current());
        let its_turn = Arc::clone(&turn);
        let thread = thread::spawn(move || {
            while wait_while(CALLER, &its_turn, between) == PARTNER {
                its_turn.store(CALLER, Release);
                caller.unpark();
            }
        });
        Self { turn, between, thread: Some(thread) }
    }

    pub(super) fn round_trips(&self, operations: u64) {
        for _ in 0..operations {
            self.give_turn_to(PARTNER);
            wait_while(PARTNER, &self.turn, self.between);
        }
    }

    /// One thread that is called once for each batch of jobs.
    pub(super) fn batches(&self, operations: u64) {
        self.round_trips(operations / BATCH);
    }

    fn give_turn_to(&self, whom: u8) {
        self.turn.store(whom, Release);
        self.thread.as_ref().expect("only the drop takes it").thread().unpark();
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.give_turn_to(NOBODY);
        self.thread.take().expect("dropped once").join().expect("no panic");
    }
}

/// Waits until it is somebody else's turn, and says whose. While the peers are measured, it sleeps.
fn wait_while(whose: u8, turn: &AtomicU8, between: fn()) -> u8 {
    const LOOKS: u32 = 20_000;
    let mut looked = 0;
    loop {
        let now = turn.load(Acquire);
        if now != whose {
            return now;
        }
        if looked < LOOKS {
            looked += 1;
            between();
        } else {
            thread::park();
        }
    }
}

/// From the wake of a thread that sleeps to what it does next.
pub(super) fn wake_up(operations: u64, q: f64) -> Sampler {
    let (wake, woken) = mpsc::channel::<Instant>();
    let (answer, answers) = mpsc::channel();
    // It ends when the sampler goes.
    thread::spawn(move || {
        woken.into_iter().try_for_each(|sent| answer.send(sent.elapsed().as_nanos() as u64))
    });
    latency(operations, q, answers, move |sent| wake.send(sent).expect("the thread lives"))
}

/// A wait that sockets could end, a millisecond at a time.
pub(super) fn ticks(epoll: &OwnedFd, operations: u64) {
    const MILLISECOND: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    for _ in 0..operations {
        let mut events = Vec::with_capacity(1);
        let waited = epoll::wait(epoll, spare_capacity(&mut events), Some(&MILLISECOND));
        assert_eq!(waited, Ok(0), "nothing is there to be ready");
    }
}

pub(super) fn nothing_to_wait_for() -> io::Result<OwnedFd> {
    Ok(epoll::create(epoll::CreateFlags::CLOEXEC)?)
}
