//! What the processor refuses to do ends the program, and says where.

#![no_std]
#![no_main]

use core::arch::asm;

use firmware_board as board;

#[board::entry]
fn main() -> ! {
    // SAFETY: nothing is behind an instruction that there is not.
    unsafe {
        #[cfg(target_arch = "arm")]
        asm!("udf #0", options(noreturn));
        #[cfg(not(target_arch = "arm"))]
        asm!("unimp", options(noreturn));
    }
}
