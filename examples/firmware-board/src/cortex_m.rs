//! Cortex-M: semihosting and SysTick.

use core::fmt::{self, Write};

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

/// An interrupt at a steady rate.
pub mod timer {
    use cortex_m::peripheral::{SYST, syst::SystClkSource};

    fn systick() -> SYST {
        // SAFETY: nobody but this module uses SysTick, and each write to it is a whole register.
        unsafe { cortex_m::Peripherals::steal() }.SYST
    }

    /// Interrupts every so many cycles of the processor, at most 2²⁴, from now on.
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
