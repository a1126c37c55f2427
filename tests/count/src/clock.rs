//! Every clock read of the process, whoever makes it: this function comes before libc's.

use std::{
    mem,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed},
};

type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

static READS: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());

/// How often a clock has been read.
pub(crate) fn reads() -> u64 {
    READS.load(Relaxed)
}

/// # Safety
/// As for libc's: `time` points to memory for the answer.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    READS.fetch_add(1, Relaxed);
    let mut next = NEXT.load(Relaxed);
    if next.is_null() {
        // SAFETY: the name ends with a zero.
        next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr()) };
        assert!(!next.is_null(), "libc has a clock");
        NEXT.store(next, Relaxed);
    }
    // SAFETY: libc's function of this name has this type.
    let next = unsafe { mem::transmute::<*mut libc::c_void, ClockGettime>(next) };
    // SAFETY: passed on from the caller.
    unsafe { next(clock, time) }
}
