//! What the firmware examples need of a board, the same on each: print, exit, a timer, a heap.
//!
//! | target | board of QEMU | prints and exits through | timer |
//! |---|---|---|---|
//! | `thumbv7m-none-eabi` | `lm3s6965evb`, Cortex-M3 | semihosting | SysTick |
//! | `thumbv6m-none-eabi` | `microbit`, Cortex-M0, 16 KiB of RAM | semihosting | SysTick |
//! | `riscv32imc-unknown-none-elf`, `riscv64imac-unknown-none-elf` | `virt` | serial port, test device | CLINT |
//!
//! On a board of your own this crate is the board's HAL.

#![no_std]
#![deny(missing_docs)]

#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(board = "lm3s6965evb")]
pub use self::cortex_m::serial;
#[cfg(target_arch = "arm")]
pub use self::cortex_m::{entry, exit, print, software_interrupt, spin, timer, wait_for_interrupt};

#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
pub mod riscv;
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
pub use self::riscv::{entry, exit, print, software_interrupt, spin, timer, wait_for_interrupt};

use core::panic::PanicInfo;

pub use embedded_alloc::LlffHeap as Heap;

/// How a program ended, for whoever started QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Exit code 0.
    Success,
    /// Exit code 1.
    Failure,
}

/// Prints a line on the host.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::print(::core::format_args!("{}\n", ::core::format_args!($($argument)*)))
    };
}

/// Gives the program a heap of this many bytes, before its first allocation: in the first line of
/// `main`.
#[macro_export]
macro_rules! heap {
    ($bytes:expr) => {{
        #[global_allocator]
        static HEAP: $crate::Heap = $crate::Heap::empty();
        static mut MEMORY: [u8; $bytes] = [0; $bytes];
        // SAFETY: this line runs once, before the first allocation, and nobody else names MEMORY.
        unsafe { HEAP.init((&raw mut MEMORY).addr(), $bytes) }
    }};
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("{info}");
    exit(Exit::Failure)
}
