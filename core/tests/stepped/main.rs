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
// Steps of one under Miri's reduced counts, values that are held only to be dropped, and wakes by
// value on purpose.
#![allow(clippy::modulo_one, clippy::waker_clone_wake)]
#![allow(clippy::async_yields_async, unused_assignments, unused_must_use, dead_code)]

mod alloc;
mod budget;
mod combinations;
mod handoff;
mod journey;
mod observer;
mod probe;
mod queues;
mod reentrance;
mod rig;
mod shutdown;
mod toy;
