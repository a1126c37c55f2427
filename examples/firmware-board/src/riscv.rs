//! RISC-V: the `virt` board's serial port, test device and CLINT.

use core::{
    arch::asm,
    fmt::{self, Write},
};

use riscv::register::{mcause, mepc, mtval};

use crate::Exit;

pub use riscv_rt::entry;

const TEST_DEVICE: *mut u32 = 0x10_0000 as *mut u32;
const UART: *mut u8 = 0x1000_0000 as *mut u8;

struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the transmit register of the board's serial port, which is never full.
            unsafe { UART.write_volatile(byte) };
        }
        Ok(())
    }
}

/// Prints on the host.
pub fn print(text: fmt::Arguments<'_>) {
    // A line is printed whole, whatever the other harts print.
    critical_section::with(|_| {
        // `Uart` never fails.
        let _ = Uart.write_fmt(text);
    });
}

/// Ends the program, and QEMU with it.
pub fn exit(how: Exit) -> ! {
    let code = match how {
        Exit::Success => 0x5555,
        Exit::Failure => 0x1_3333,
    };
    // SAFETY: the board's test device, which ends QEMU.
    unsafe { TEST_DEVICE.write_volatile(code) };
    loop {
        riscv::asm::wfi();
    }
}

/// What the processor refuses to do. The handler that it would have otherwise stays there, in silence.
#[unsafe(no_mangle)]
extern "C" fn ExceptionHandler(_: &riscv_rt::TrapFrame) -> ! {
    let (cause, at, value) = (mcause::read().code(), mepc::read(), mtval::read());
    panic!("exception {cause} at {at:#x}, with {value:#x}");
}

/// Sleeps until an interrupt is pending, masked or not.
pub fn wait_for_interrupt() {
    riscv::asm::wfi();
}

/// Makes a function the handler of the [`timer`]'s interrupt.
#[macro_export]
macro_rules! on_timer {
    ($handler:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn MachineTimer() {
            $crate::timer::acknowledge();
            $handler()
        }
    };
}

/// Makes a function the handler of the [`timer`]'s interrupt, and tells it which instruction was
/// interrupted.
#[macro_export]
macro_rules! on_timer_at {
    ($handler:expr) => {
        $crate::on_timer!(|| $handler($crate::riscv::interrupted_instruction()));
    };
}

/// In a handler: which instruction was interrupted.
pub fn interrupted_instruction() -> usize {
    mepc::read()
}

/// Takes exactly so many instructions more than `spin(2)` does; at least 2.
pub fn spin(instructions: u32) {
    // SAFETY: counts a register down.
    unsafe {
        asm!(
            "andi {rest}, {n}, 1",
            "srli {n}, {n}, 1",
            // One more if there is a rest.
            "beqz {rest}, 2f",
            "nop",
            "2: addi {n}, {n}, -1",
            "bnez {n}, 2b",
            n = inout(reg) instructions => _,
            rest = out(reg) _,
        );
    }
}

/// Makes a function the handler of the [`software_interrupt`].
#[macro_export]
macro_rules! on_software_interrupt {
    ($handler:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn MachineSoft() {
            $crate::software_interrupt::acknowledge();
            $handler()
        }
    };
}

/// An interrupt that the program itself sets pending, on hart 0.
pub mod software_interrupt {
    use riscv::register::{mie, mstatus};

    const MSIP: *mut u32 = 0x200_0000 as *mut u32;

    /// From now on it is taken.
    pub fn enable() {
        // SAFETY: who enables it has made its handler with `on_software_interrupt!`.
        unsafe {
            mie::set_msoft();
            mstatus::set_mie();
        }
    }

    /// Sets it pending.
    pub fn pend() {
        // SAFETY: the CLINT's register for hart 0.
        unsafe { MSIP.write_volatile(1) };
    }

    /// What [`on_software_interrupt!`](crate::on_software_interrupt) calls first.
    pub fn acknowledge() {
        // SAFETY: as above.
        unsafe { MSIP.write_volatile(0) };
    }
}

/// An interrupt at a steady rate, for the hart that starts it.
pub mod timer {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use riscv::register::{mhartid, mie, mstatus};

    /// Ticks of the CLINT in a second.
    pub const HZ: u32 = 10_000_000;

    /// About so many instructions, of a nanosecond each, in ticks.
    pub const fn ticks(instructions: u32) -> u32 {
        instructions / (1_000_000_000 / HZ)
    }

    /// Words, two for each value: 32-bit harts cannot write both at once.
    const COMPARE: *mut u32 = 0x200_4000 as *mut u32;
    const TIME: *mut u32 = 0x200_bff8 as *mut u32;

    static PERIOD: AtomicU32 = AtomicU32::new(0);

    fn set(deadline: u64) {
        // SAFETY: the CLINT's compare register of this hart. The high word is out of reach while the
        // low one changes, so that no deadline in between fires.
        unsafe {
            let compare = COMPARE.add(2 * mhartid::read());
            compare.add(1).write_volatile(u32::MAX);
            compare.write_volatile(deadline as u32);
            compare.add(1).write_volatile((deadline >> 32) as u32);
        }
    }

    /// The time since reset, in ticks of the CLINT.
    pub fn now() -> u64 {
        loop {
            // SAFETY: the CLINT's time, which may be read at any time.
            let (high, low, again) = unsafe {
                (TIME.add(1).read_volatile(), TIME.read_volatile(), TIME.add(1).read_volatile())
            };
            if high == again {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }

    /// Interrupts this hart every so many ticks of the CLINT from now on.
    pub fn start(ticks: u32) {
        PERIOD.store(ticks, Relaxed);
        acknowledge();
        // SAFETY: whoever starts a timer has made its handler with `on_timer!`.
        unsafe {
            mie::set_mtimer();
            mstatus::set_mie();
        }
    }

    /// Interrupts this hart no more.
    pub fn stop() {
        set(u64::MAX);
    }

    /// What [`on_timer!`](crate::on_timer) calls first: sets the next deadline.
    pub fn acknowledge() {
        set(now() + u64::from(PERIOD.load(Relaxed)));
    }
}
