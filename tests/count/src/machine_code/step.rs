//! The parent that steps, and the child that lets itself be stepped.

use std::{collections::HashMap, env, io, mem, process::Command, ptr};

use crate::decode::{Kind, kind};

/// What the measured thread has executed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) instructions: u64,
    pub(crate) rmw: u64,
    pub(crate) fences: u64,
}

/// The longest instruction.
const LONGEST: usize = 15;

const BEGIN: libc::c_int = libc::SIGUSR1;
const END: libc::c_int = libc::SIGUSR2;

/// In the child: the parent steps this thread from here on.
pub(crate) fn begin() {
    // SAFETY: no memory is passed. The request concerns this thread only.
    let traced = unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, ptr::null_mut::<u8>(), ptr::null_mut::<u8>())
    };
    assert_eq!(traced, 0, "the parent may trace: {}", io::Error::last_os_error());
    stop(BEGIN);
}

/// In the child: the parent has seen enough.
pub(crate) fn end() {
    stop(END);
}

fn stop(signal: libc::c_int) {
    // SAFETY: the parent takes the signal away.
    unsafe { libc::raise(signal) };
}

/// Runs a path in a child and counts what its measured thread executes.
pub(crate) fn count(runtime: &str, path: &str) -> Counts {
    let program = env::current_exe().expect("the program has a path");
    let mut child = Command::new(program).args(["--run", runtime, path]).spawn().expect("a child");
    let thread = wait(-1, BEGIN);
    let (mut counts, mut known) = (Counts::default(), HashMap::new());
    loop {
        let at = instruction_pointer(thread);
        match *known.entry(at).or_insert_with(|| kind(&code(thread, at))) {
            Kind::Rmw => counts.rmw += 1,
            Kind::Fence => counts.fences += 1,
            Kind::Plain => {}
        }
        counts.instructions += 1;
        request(libc::PTRACE_SINGLESTEP, thread);
        if stopped_by(thread) == END {
            break;
        }
    }
    request(libc::PTRACE_DETACH, thread);
    assert!(child.wait().expect("the child ends").success());
    counts
}

/// Waits until a thread is stopped by the signal.
fn wait(thread: libc::pid_t, signal: libc::c_int) -> libc::pid_t {
    let mut status = 0;
    // SAFETY: the status is a place for it.
    let stopped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    let by = libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status));
    assert_eq!(by, Some(signal), "the child stops where it should begin");
    stopped
}

fn stopped_by(thread: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: the status is a place for it.
    let stopped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    assert!(stopped == thread && libc::WIFSTOPPED(status), "the child is being stepped");
    libc::WSTOPSIG(status)
}

fn request(what: libc::c_uint, thread: libc::pid_t) {
    // SAFETY: no memory is passed, and no signal.
    let done = unsafe { libc::ptrace(what, thread, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) };
    assert_eq!(done, 0, "a stopped thread obeys: {}", io::Error::last_os_error());
}

fn instruction_pointer(thread: libc::pid_t) -> u64 {
    let offset = mem::offset_of!(libc::user, regs) + mem::offset_of!(libc::user_regs_struct, rip);
    peek(libc::PTRACE_PEEKUSER, thread, offset as u64)
}

fn code(thread: libc::pid_t, at: u64) -> [u8; LONGEST] {
    let words = [0, 8].map(|offset| peek(libc::PTRACE_PEEKTEXT, thread, at + offset).to_ne_bytes());
    let mut code = [0; LONGEST];
    code.copy_from_slice(&words.as_flattened()[..LONGEST]);
    code
}

fn peek(what: libc::c_uint, thread: libc::pid_t, address: u64) -> u64 {
    // SAFETY: the address is the child's, and the system checks it.
    let word = unsafe { libc::ptrace(what, thread, address, ptr::null_mut::<u8>()) };
    word.cast_unsigned()
}
