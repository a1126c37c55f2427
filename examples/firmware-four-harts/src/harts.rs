//! The board: what jenny asks of it, how its harts start, and an alarm for each.

use core::arch::global_asm;

use jenny_core::smp::{Board, Core, Section};
use riscv::{
    interrupt::Interrupt,
    register::{mhartid, mie, mstatus},
};

pub const HARTS: usize = 4;

/// QEMU's `virt` with four harts.
pub struct Virt;

static CORES: [Core<Virt>; HARTS] = [const { Core::new() }; HARTS];

// SAFETY: each hart has its number, 0 to 3; the bit that is cleared keeps all handlers out; the one
// handler that wakes, the timer's, uses `in_interrupt`.
unsafe impl Board for Virt {
    fn cores() -> &'static [Core<Self>] {
        &CORES
    }

    fn this() -> usize {
        mhartid::read()
    }

    fn interrupt(core: usize) {
        software_interrupt(core, true);
    }

    fn mask() -> bool {
        let unmasked = mstatus::read().mie();
        riscv::interrupt::disable();
        unmasked
    }

    fn unmask() {
        // SAFETY: there are handlers for all interrupts that are enabled.
        unsafe { riscv::interrupt::enable() };
    }

    fn wait() {
        riscv::asm::wfi();
    }
}

/// An interrupt from another hart ends WFI, and that is all.
#[riscv_rt::core_interrupt(Interrupt::MachineSoft)]
fn on_interrupt() {
    software_interrupt(Virt::this(), false);
}

fn software_interrupt(hart: usize, pending: bool) {
    const MSIP: *mut u32 = 0x200_0000 as *mut u32;
    assert!(hart < HARTS);
    // SAFETY: the CLINT's register for this hart.
    in_order(|| unsafe { MSIP.add(hart).write_volatile(pending.into()) });
}

/// Writes to a device, after what was written to memory before, and before what comes next there. Nothing
/// else orders the two: a hart could look whether it may sleep, and only then acknowledge an interrupt
/// that came after the look.
fn in_order(write: impl FnOnce()) {
    riscv::asm::fence();
    write();
    riscv::asm::fence();
}

/// Sets the alarm of a hart; `u64::MAX` takes it away. Its timer interrupts from this tick of
/// [`timer::now`](firmware_board::timer::now) on. From any hart.
pub fn set_alarm(hart: usize, at: u64) {
    const COMPARE: *mut u64 = 0x200_4000 as *mut u64;
    assert!(hart < HARTS);
    // SAFETY: the CLINT's register for this hart.
    in_order(|| unsafe { COMPARE.add(hart).write_volatile(at) });
}

/// Takes away what alarms there are, which is for one hart to do before any runs a task that sets one.
pub(crate) fn clear_alarms() {
    (0..HARTS).for_each(|hart| set_alarm(hart, u64::MAX));
}

/// From now on this hart takes interrupts, from the others and of its timer.
pub(crate) fn accept_interrupts() {
    // SAFETY: there are handlers, and no critical section is held.
    unsafe {
        mie::set_msoft();
        mie::set_mtimer();
        mstatus::set_mie();
    }
}

// All harts come here out of reset. Hart 0 goes on and makes the memory ready; the others wait for
// the software interrupt that `start_others` sends. Interrupts are masked: it stays pending.
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
pub(crate) fn start_others() {
    (1..HARTS).for_each(Virt::interrupt);
}

/// The critical section of the heap, the printing, and `critical_section::Mutex`: one for all harts.
struct AllHarts;

critical_section::set_impl!(AllHarts);

static SECTION: Section<Virt> = Section::new();

// SAFETY: a `Section` excludes all cores and their handlers, and nests.
unsafe impl critical_section::Impl for AllHarts {
    unsafe fn acquire() -> u8 {
        SECTION.acquire()
    }

    unsafe fn release(before: u8) {
        // SAFETY: passed on from the caller.
        unsafe { SECTION.release(before) };
    }
}
