//! Two fences that order each other, of which one costs nothing and the other pays for both.
//!
//! Two threads that each store to one place and then load from the other's, with a fence between the
//! two, cannot both miss the other's store. If the fences are [`light`] and [`heavy`], that holds, too:
//! the heavy one has the system make each processor that runs a thread of this process execute a full
//! fence. So a thread that goes the same way millions of times gets along without, at the expense of one
//! that comes now and then.
//!
//! After D. Dice, H. Huang and M. Yang, "Asymmetric Dekker Synchronization" (2001); the system call is
//! membarrier(2), `MEMBARRIER_CMD_PRIVATE_EXPEDITED`.

#[cfg(all(target_os = "linux", not(any(miri, jenny_loom))))]
pub(crate) use self::linux::*;
#[cfg(not(all(target_os = "linux", not(any(miri, jenny_loom)))))]
pub(crate) use self::symmetric::*;

#[cfg(all(target_os = "linux", not(any(miri, jenny_loom))))]
mod linux {
    use std::{
        ffi::{c_int, c_long},
        process,
        sync::{
            OnceLock,
            atomic::{Ordering, compiler_fence},
        },
    };

    const NO_FLAGS: c_int = 0;

    /// Whether the system has a heavy fence. The first call may take some milliseconds where the process
    /// has several threads already.
    pub(crate) fn prepare() -> bool {
        static IS_REGISTERED: OnceLock<bool> = OnceLock::new();
        *IS_REGISTERED
            .get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
    }

    /// The fence of the side that shall pay nothing.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The fence of the other side, after [`prepare`] has returned true. False if the system refuses it:
    /// a filter may have come since.
    #[cold]
    pub(crate) fn try_heavy() -> bool {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0
    }

    /// As [`try_heavy`], for who cannot go on without.
    #[cold]
    pub(crate) fn heavy() {
        if !try_heavy() {
            // Who relies on it cannot go on. The system promises that it works once it is registered.
            eprintln!(
                "jenny: the system refuses the call membarrier, which it has allowed before: a filter \
                 of system calls has to let it pass"
            );
            process::abort();
        }
    }

    fn membarrier(command: c_int) -> c_long {
        // SAFETY: it takes three numbers, and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, NO_FLAGS, NO_FLAGS) }
    }
}

/// Both sides pay: under a model checker, where it is the same in meaning; and nobody uses it where a
/// system has no heavy fence.
#[cfg(not(all(target_os = "linux", not(any(miri, jenny_loom)))))]
mod symmetric {
    use crate::primitives::{Ordering, fence};

    pub(crate) fn prepare() -> bool {
        cfg!(jenny_loom)
    }

    #[inline(always)]
    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn try_heavy() -> bool {
        heavy();
        true
    }
}
