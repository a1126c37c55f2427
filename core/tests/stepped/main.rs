//! Both schedulers, stepped by hand on one thread in an order that the test chooses.
//!
//! No thread is started: workers take turns, "another thread" is code outside of `enter`, and parking
//! is a flag that only an unpark clears. So every outcome repeats, a lost wake shows as a worker that
//! is never stepped again, and a leak as an allocation that this thread has not given back. The same
//! tests run under Miri with strict provenance:
//!
//! ```text
//! MIRIFLAGS=-Zmiri-strict-provenance cargo +nightly miri test -p jenny-core --test stepped
//! ```

// A model checker's atomics work only inside its own models (`tests/loom`).
#![cfg(not(jenny_loom))]

mod alloc;
mod appetite;
mod budget;
mod combinations;
mod dump;
mod handoff;
mod journey;
mod observer;
mod owned;
mod pinned;
mod probe;
mod queues;
mod random;
mod reentrance;
mod rescue;
mod rig;
mod sharing;
mod shutdown;
mod toy;
