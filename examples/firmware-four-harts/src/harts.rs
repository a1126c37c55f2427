//! The harts: starting them, sending them interrupts, keeping them apart.

use core::{
    arch::global_asm,
    hint,
    sync::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use riscv::{
    interrupt::Interrupt,
    register::{mhartid, mie, mstatus},
};

pub const HARTS: usize = 4;

// All harts come here out of reset. Hart 0 goes on and makes the memory ready; the others wait for
// the software interrupt that `start` sends. Interrupts are masked: it stays pending.
global_asm!(
    r#"
    .section .init.mp_hook, "ax"
    .global _mp_hook
_mp_hook:
    beqz a0, 2f
    li t0, 8            // the software interrupt, in mie and mip
    csrw mie, t0
1:  wfi
    csrr t1, mip
    and t1, t1, t0
    beqz t1, 1b
    li a0, 0
    ret
2:  li a0, 1
    ret
"#
);

/// Starts the other harts: they enter `main`.
pub fn start_others() {
    (1..HARTS).for_each(interrupt);
}

/// The hart that this code runs on.
#[inline]
pub fn hart() -> usize {
    mhartid::read()
}

/// Interrupts a hart. What comes before is in memory when the interrupt comes.
pub fn interrupt(hart: usize) {
    set_software_interrupt(hart, true);
}

/// From now on this hart takes interrupts from the others.
pub fn accept_interrupts() {
    // SAFETY: there is a handler, and no critical section is held.
    unsafe {
        mie::set_msoft();
        mstatus::set_mie();
    }
}

/// An interrupt from another hart ends WFI, and that is all.
#[riscv_rt::core_interrupt(Interrupt::MachineSoft)]
fn on_interrupt() {
    set_software_interrupt(hart(), false);
}

fn set_software_interrupt(hart: usize, pending: bool) {
    const MSIP: *mut u32 = 0x200_0000 as *mut u32;
    assert!(hart < HARTS);
    riscv::asm::fence();
    // SAFETY: the CLINT's register for this hart.
    unsafe { MSIP.add(hart).write_volatile(pending.into()) };
}

/// Runs the closure with this hart's interrupts masked.
pub fn masked<R>(run: impl FnOnce() -> R) -> R {
    riscv::interrupt::free(run)
}

/// A lock between harts. Held with interrupts masked, so that no handler waits for the code below it.
pub struct SpinLock(AtomicBool);

impl SpinLock {
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    pub fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        masked(|| {
            self.acquire();
            let result = critical();
            self.release();
            result
        })
    }

    fn acquire(&self) {
        // Ordering: Acquire pairs with the Release of whoever held it before.
        while self.0.swap(true, Acquire) {
            hint::spin_loop();
        }
    }

    fn release(&self) {
        self.0.store(false, Release);
    }
}

/// What the heap and the printing use: one lock for all harts, which its holder may take again.
struct AllHarts;

critical_section::set_impl!(AllHarts);

static LOCK: SpinLock = SpinLock::new();
/// The hart that holds `LOCK`, plus 1.
static HOLDER: AtomicUsize = AtomicUsize::new(0);

// SAFETY: masked interrupts keep this hart's handlers out, the lock keeps the other harts out. Only
// the outermost section of the holder masks and locks, and only its end unlocks and unmasks.
unsafe impl critical_section::Impl for AllHarts {
    unsafe fn acquire() -> u8 {
        let unmasked = mstatus::read().mie();
        riscv::interrupt::disable();
        let me = hart() + 1;
        // Ordering: Relaxed; this hart reads its own number only where it has written it itself.
        if HOLDER.load(Relaxed) == me {
            return NESTED;
        }
        LOCK.acquire();
        HOLDER.store(me, Relaxed);
        if unmasked { UNMASK } else { MASKED }
    }

    unsafe fn release(before: u8) {
        if before == NESTED {
            return;
        }
        HOLDER.store(0, Relaxed);
        LOCK.release();
        if before == UNMASK {
            // SAFETY: interrupts were unmasked before this section.
            unsafe { riscv::interrupt::enable() };
        }
    }
}

/// What a critical section found when it began.
const NESTED: u8 = 0;
const MASKED: u8 = 1;
const UNMASK: u8 = 2;
