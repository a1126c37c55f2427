//! The end of a scheduler that has one worker.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use jenny_core::{
    platform::Platform,
    scheduler::{Tick, local::Entered},
};

use crate::park::{Driver, Parker, Unparker};

/// Cancels all tasks of a scheduler that has been closed, on the worker's thread.
pub fn stop<P, D>(worker: &Entered<'_, P>, parker: &mut Parker<D>)
where
    P: Platform<Unpark = Unparker<D>>,
    D: Driver,
{
    loop {
        match worker.tick() {
            Tick::Ran => _ = parker.turn_now(),
            // Some thread has a task in its hands and is about to bring it.
            Tick::Idle => parker.park(),
            Tick::Stopped | Tick::HandedOff => return,
        }
    }
}
