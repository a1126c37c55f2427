//! Four harts without an operating system, and how the programs in `src/bin` run on them.

#![no_std]

mod bell;
pub mod clock;
mod harts;

use core::sync::atomic::{AtomicUsize, Ordering::AcqRel};

use firmware_board as board;
use jenny_core::{
    scheduler::stealing::Config,
    smp::{self, Board},
};

pub use self::{
    bell::Bell,
    harts::{HARTS, Virt, set_alarm},
};

pub type Handle = smp::Handle<Virt>;
pub type Spawner = smp::Spawner<Virt>;

static STOPPED: AtomicUsize = AtomicUsize::new(0);

/// Runs `conduct` as a task that may move, and on each hart what `stay` spawns there, until a task
/// closes the scheduler. All that `main` does, which every hart enters; only the hart that stops last
/// comes back.
pub fn run<F>(conduct: impl FnOnce(Handle) -> F, stay: impl FnOnce(Spawner))
where
    F: Future<Output: Send> + Send + 'static,
{
    if hart() == 0 {
        board::heap!(1024 * 1024);
        harts::clear_alarms();
        // Interrupts the others, which may begin at once.
        let handle = smp::start::<Virt>(Config::default());
        handle.spawn(conduct(handle.clone()));
        harts::start_others();
    }
    harts::accept_interrupts();
    smp::run::<Virt>(stay);

    // Ordering: the last to come has everybody's counts.
    if STOPPED.fetch_add(1, AcqRel) + 1 < HARTS {
        loop {
            riscv::asm::wfi();
        }
    }
}

/// The hart that this runs on.
pub fn hart() -> usize {
    Virt::this()
}
