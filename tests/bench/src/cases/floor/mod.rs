//! What is left of a case without any runtime: no queue that threads share, no wake but the system's,
//! no choice of who runs. A goal below it is one that the machine forbids.
//!
//! A floor does as little as it may on purpose, by what it knows of its case and a runtime cannot:
//! that a message has come as a whole, that nobody cancels the timer from another thread, which
//! thread is next. It takes a thread or a core where the case is about one: a worker that answers
//! `block_on` and a blocking job have threads of their own, which are awake when they are called.

mod echo;
mod http;
mod stream;
mod tasks;
mod threads;
mod timers;

use super::{Floor, memory, place::Place};
use crate::measure::{cpu, wall};
use crate::peer::Name;
use threads::Partner;

/// A sampler of a body that needs nothing but the number of operations.
macro_rules! bare {
    ($operations:expr, $body:expr) => {
        |effort| {
            let operations = effort.operations($operations);
            Ok(wall((), operations, |(), operations| $body(operations)))
        }
    };
}

pub(super) const BOXES: Floor = Floor {
    what: "the futures in boxes, polled and freed by one thread",
    sampler: bare!(10_000, tasks::spawn_many),
};

pub(super) const BOX: Floor =
    Floor { what: "a future boxed, polled and freed", sampler: bare!(10_000, tasks::spawn_join) };

pub(super) const AROUND: Floor = Floor {
    what: "200 boxed futures, polled around and around by one thread",
    sampler: bare!(40_000, tasks::yields::<200>),
};

pub(super) const RING: Floor = Floor {
    what: "the tasks' futures in boxes, polled by one thread where the tokens are",
    sampler: bare!(40_000, tasks::hops),
};

pub(super) const PARTNER: Floor = Floor {
    what: "two threads that call each other and do not sleep",
    sampler: |effort| {
        let partner = Place::Apart.start(Partner::start)?;
        Ok(Place::call(wall(partner, effort.operations(1000), Partner::round_trips)))
    },
};

pub(super) const PARTNER_ON_THE_SAME_CORE: Floor = Floor {
    what: "two threads on one core that let each other have it",
    sampler: |effort| {
        let partner = Place::Together.start(Partner::on_the_same_core)?;
        Ok(Place::call(wall(partner, effort.operations(1000), Partner::round_trips)))
    },
};

pub(super) const BATCH: Floor = Floor {
    what: "one thread that is called for all 16, answers once and does not sleep",
    sampler: |effort| Ok(wall(Partner::start(), effort.operations(1600), Partner::batches)),
};

pub(super) const CLOCK: Floor =
    Floor { what: "a read of the clock", sampler: bare!(50_000, timers::deadlines) };

pub(super) const PENDING: Floor = Floor {
    what: "a read of the clock and a box for a deadline, a waker and two links",
    sampler: bare!(1_000_000, timers::pending),
};

pub(super) const ECHO_1: Floor = Floor {
    what: "both ends driven by one thread with epoll",
    sampler: bare!(2000, echo::echo::<1, 1>),
};

pub(super) const ECHO_64: Floor = Floor {
    what: "both ends of 32 connections driven by each of two threads with epoll",
    sampler: bare!(6400, echo::echo::<64, 2>),
};

pub(super) const STREAM: Floor = Floor {
    what: "two threads that sleep in their sockets",
    sampler: bare!(64_000, stream::throughput),
};

pub(super) const HTTP: Floor =
    Floor { what: "hyper's futures polled by two threads with epoll", sampler: http::hello };

pub(super) const TICK: Floor = Floor {
    what: "epoll_wait with a time-out",
    sampler: |effort| {
        Ok(cpu(threads::nothing_to_wait_for()?, effort.operations(200), threads::ticks))
    },
};

pub(super) const WAKE_UP_P50: Floor = Floor {
    what: "a thread that sleeps in a channel of the standard library",
    sampler: |effort| Ok(threads::wake_up(effort.operations(200), 0.50)),
};

pub(super) const WAKE_UP_P99: Floor =
    Floor { sampler: |effort| Ok(threads::wake_up(effort.operations(200), 0.99)), ..WAKE_UP_P50 };

pub(super) const THREADS: Floor = Floor {
    what: "two threads that sleep",
    sampler: |_| Ok(memory::sampler("runtime", Name::Floor)),
};
