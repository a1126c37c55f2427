//! Cortex-M: semihosting and SysTick.

use core::{
    arch::asm,
    fmt::{self, Write},
};

use cortex_m_rt::ExceptionFrame;
use cortex_m_semihosting::{debug, hio};

use crate::Exit;

pub use cortex_m_rt::entry;

/// Prints on the host.
pub fn print(text: fmt::Arguments<'_>) {
    if let Ok(mut host) = hio::hstdout() {
        // A host that does not listen is no reason to stop.
        let _ = host.write_fmt(text);
    }
}

/// Ends the program, and QEMU with it.
pub fn exit(how: Exit) -> ! {
    debug::exit(match how {
        Exit::Success => debug::EXIT_SUCCESS,
        Exit::Failure => debug::EXIT_FAILURE,
    });
    loop {
        cortex_m::asm::wfi();
    }
}

/// What the processor refuses to do. The handler that it would have otherwise stays there, in silence.
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("hard fault at {:#x}", frame.pc());
}

/// Sleeps until an interrupt is pending, masked or not.
pub fn wait_for_interrupt() {
    cortex_m::asm::wfi();
}

/// Makes a function the handler of the [`timer`]'s interrupt.
#[macro_export]
macro_rules! on_timer {
    ($handler:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn SysTick() {
            $handler()
        }
    };
}

/// Makes a function the handler of the [`timer`]'s interrupt, and tells it which instruction was
/// interrupted.
#[macro_export]
macro_rules! on_timer_at {
    ($handler:expr) => {
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn SysTick() {
            // The processor has put the interrupted registers on the stack, of which the program
            // counter is the seventh.
            core::arch::naked_asm!(
                "mov r0, sp",
                "ldr r0, [r0, #24]",
                "push {{r4, lr}}",
                "bl {}",
                "pop {{r4, pc}}",
                sym handle_at
            )
        }

        extern "C" fn handle_at(instruction: usize) {
            $handler(instruction)
        }
    };
}

/// Takes exactly so many instructions more than `spin(2)` does; at least 2.
pub fn spin(instructions: u32) {
    // SAFETY: counts a register down.
    unsafe {
        asm!(
            "lsrs {n}, {n}, #1",
            // One more if there is a rest.
            "bcc 2f",
            "nop",
            "2: subs {n}, {n}, #1",
            "bne 2b",
            n = inout(reg) instructions => _,
        );
    }
}

/// Makes a function the handler of the [`software_interrupt`].
#[macro_export]
macro_rules! on_software_interrupt {
    ($handler:expr) => {
        // A board's peripheral access crate would have a name for each interrupt.
        #[unsafe(no_mangle)]
        extern "C" fn DefaultHandler() {
            $handler()
        }
    };
}

/// An interrupt that the program itself sets pending.
pub mod software_interrupt {
    use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};

    /// One that no device of these boards uses.
    #[derive(Clone, Copy)]
    struct Free;

    // SAFETY: both boards have an interrupt of this number.
    unsafe impl InterruptNumber for Free {
        fn number(self) -> u16 {
            20
        }
    }

    /// From now on it is taken, at a lower priority than the [`timer`](super::timer)'s.
    pub fn enable() {
        // SAFETY: no critical section relies on priorities.
        unsafe {
            cortex_m::Peripherals::steal().NVIC.set_priority(Free, 0xc0);
            NVIC::unmask(Free);
        }
    }

    /// Sets it pending.
    pub fn pend() {
        NVIC::pend(Free);
    }
}

/// An interrupt at a steady rate.
pub mod timer {
    use cortex_m::peripheral::{SYST, syst::SystClkSource};

    /// Cycles of the processor in a second.
    #[cfg(not(board = "microbit"))]
    pub const HZ: u32 = 12_500_000;
    /// Cycles of the processor in a second.
    #[cfg(board = "microbit")]
    pub const HZ: u32 = 16_000_000;

    /// About so many instructions, of a nanosecond each, in cycles.
    pub const fn ticks(instructions: u32) -> u32 {
        instructions / (1_000_000_000 / HZ)
    }

    fn systick() -> SYST {
        // SAFETY: nobody but this module uses SysTick, and each write to it is a whole register.
        unsafe { cortex_m::Peripherals::steal() }.SYST
    }

    /// Interrupts every so many cycles of the processor, from 2 to 2²⁴, from now on.
    pub fn start(cycles: u32) {
        let mut systick = systick();
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(cycles - 1);
        systick.clear_current();
        systick.enable_counter();
        systick.enable_interrupt();
    }

    /// Interrupts no more.
    pub fn stop() {
        let mut systick = systick();
        systick.disable_interrupt();
        systick.disable_counter();
    }

    /// What [`on_timer!`](crate::on_timer) calls first: SysTick starts its next round by itself.
    pub fn acknowledge() {}
}

/// The serial port of the `lm3s6965evb`.
#[cfg(board = "lm3s6965evb")]
pub mod serial {
    use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};

    const DATA: *mut u32 = 0x4000_c000 as *mut u32;
    const FLAGS: *const u32 = 0x4000_c018 as *const u32;
    const INTERRUPTS: *mut u32 = 0x4000_c038 as *mut u32;

    const NOTHING_RECEIVED: u32 = 1 << 4;
    const CANNOT_SEND: u32 = 1 << 5;
    const RECEIVED: u32 = 1 << 4;

    #[derive(Clone, Copy)]
    struct Uart0;

    // SAFETY: the number of the board's first serial port.
    unsafe impl InterruptNumber for Uart0 {
        fn number(self) -> u16 {
            5
        }
    }

    /// From now on a byte that comes in interrupts.
    pub fn enable_interrupt() {
        // SAFETY: a register of the serial port; no critical section relies on this interrupt.
        unsafe {
            INTERRUPTS.write_volatile(RECEIVED);
            NVIC::unmask(Uart0);
        }
    }

    /// Bytes that come in wait in the port.
    pub fn disable_interrupt() {
        // SAFETY: a register of the serial port.
        unsafe { INTERRUPTS.write_volatile(0) };
    }

    /// Takes a byte that came in. The interrupt is pending until none is left.
    pub fn receive() -> Option<u8> {
        // SAFETY: registers of the serial port, which only the interrupt reads.
        unsafe {
            (FLAGS.read_volatile() & NOTHING_RECEIVED == 0).then(|| DATA.read_volatile() as u8)
        }
    }

    /// Sends bytes, as fast as the port takes them.
    pub fn send(bytes: &[u8]) {
        for &byte in bytes {
            // SAFETY: registers of the serial port.
            unsafe {
                while FLAGS.read_volatile() & CANNOT_SEND != 0 {}
                DATA.write_volatile(byte.into());
            }
        }
    }
}

/// Makes a function the handler of the interrupts of [`serial`].
#[cfg(board = "lm3s6965evb")]
#[macro_export]
macro_rules! on_serial {
    ($handler:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn DefaultHandler() {
            $handler()
        }
    };
}
