//! Threads of no runtime. They are given wakers and handles, and use or drop them when they please,
//! often after the runtime is gone.

use std::{
    sync::{Condvar, Mutex},
    task::Waker,
};

use jenny::task::{AbortHandle, JoinHandle};
use jenny_tests::{Rng, ledger};

use crate::tasks::Output;

/// How many old wakers a stranger keeps.
const MEMORIES: usize = 512;

pub(crate) enum Parcel {
    /// To be woken: the task waits for it.
    Wake(Waker),
    /// To be woken, dropped or kept.
    Play(Waker),
    Abort(AbortHandle),
    Join(JoinHandle<Output>),
}

#[derive(Default)]
pub(crate) struct Strangers {
    mail: Mutex<Mail>,
    arrived: Condvar,
}

#[derive(Default)]
struct Mail {
    parcels: Vec<Parcel>,
    closed: bool,
}

impl Strangers {
    pub(crate) fn send(&self, parcel: Parcel) {
        self.mail.lock().unwrap().parcels.push(parcel);
        self.arrived.notify_one();
    }

    /// No task waits for a stranger any more.
    pub(crate) fn close(&self) {
        self.mail.lock().unwrap().closed = true;
        self.arrived.notify_all();
    }

    /// The life of one stranger.
    pub(crate) fn live(&self, mut rng: Rng) {
        let mut memories: Vec<Waker> = Vec::new();
        while let Some(batch) = self.receive(&mut rng) {
            for parcel in batch {
                open(parcel, &mut memories, &mut rng);
                ledger::step();
            }
        }
        memories.into_iter().for_each(Waker::wake);
    }

    /// Some parcels, in any order.
    fn receive(&self, rng: &mut Rng) -> Option<Vec<Parcel>> {
        let mut mail = self.mail.lock().unwrap();
        while mail.parcels.is_empty() {
            if mail.closed {
                return None;
            }
            mail = self.arrived.wait(mail).unwrap();
        }
        let count = 1 + rng.below(mail.parcels.len().min(32));
        let batch = (0..count).map(|_| {
            let any = rng.below(mail.parcels.len());
            mail.parcels.swap_remove(any)
        });
        Some(batch.collect())
    }
}

fn open(parcel: Parcel, memories: &mut Vec<Waker>, rng: &mut Rng) {
    match parcel {
        Parcel::Wake(waker) => match rng.below(4) {
            0 => {
                waker.wake_by_ref();
                remember(waker, memories, rng);
            }
            1 => {
                let twin = waker.clone();
                waker.wake();
                remember(twin, memories, rng);
            }
            2 => {
                waker.wake_by_ref();
                waker.wake();
            }
            _ => waker.wake(),
        },
        Parcel::Play(waker) => match rng.below(4) {
            0 => waker.wake(),
            1 => drop(waker),
            2 => drop(waker.clone()),
            _ => remember(waker, memories, rng),
        },
        Parcel::Abort(handle) => {
            handle.abort();
            if rng.one_in(4) {
                handle.abort();
            }
        }
        Parcel::Join(handle) => {
            if rng.one_in(2) {
                handle.abort();
            }
            drop(handle);
        }
    }
}

/// Keeps a waker; an older one goes, in one way or another.
fn remember(waker: Waker, memories: &mut Vec<Waker>, rng: &mut Rng) {
    if memories.len() < MEMORIES {
        return memories.push(waker);
    }
    let any = rng.below(MEMORIES);
    let old = std::mem::replace(&mut memories[any], waker);
    match rng.below(3) {
        0 => old.wake(),
        1 => old.wake_by_ref(),
        _ => drop(old),
    }
}
