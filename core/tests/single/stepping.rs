//! An interrupt at every instruction of the way into sleep, by the processor's own single step; at some
//! of them in a debug build.

use std::{cell::Cell, mem, ptr, sync::Once};

use jenny_core::single::{Board, Executor, Idle, TaskPool, ThreadMode};

use crate::machine::{self, Signal};

thread_local! {
    /// The instruction at which the interrupt comes, counted down.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static CAME: Cell<bool> = const { Cell::new(false) };
    static SIGNAL: Cell<Option<&'static Signal>> = const { Cell::new(None) };
}

const TRAP_FLAG: u64 = 1 << 8;

/// From here on each instruction of this thread ends in a trap.
fn start_stepping() {
    // SAFETY: sets one flag, which the handler clears.
    unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
}

fn stop_stepping() {
    // SAFETY: clears that flag.
    unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
}

fn wake() {
    CAME.set(true);
    SIGNAL.get().expect("set before the first step").raise();
}

extern "C" fn trap(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    LEFT.set(LEFT.get() - 1);
    if LEFT.get() == 0 {
        // SAFETY: the kernel passes the context of the interrupted thread.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG as i64;
        machine::raise(wake);
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a handler for a signal that nobody else uses. It may interrupt anything, and touches
        // only cells, and the executor, which is made for that.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = trap as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            assert_eq!(libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()), 0);
        }
    });
}

/// Sleeps until the interrupt, which comes here if it has not come before.
struct Stepped;

impl Board for Stepped {
    fn wait(&self, _: Idle<'_>) {
        stop_stepping();
        assert!(!CAME.get(), "asleep after the wake: it was lost");
        // Pending under the mask, as the end of WFI.
        machine::raise(wake);
    }

    fn thread_mode(&self) -> &ThreadMode {
        machine::thread_mode()
    }
}

/// Runs the scenario with the interrupt one instruction later each time, until it comes in the sleep.
/// Returns how many instructions there are.
fn at_every_instruction(scenario: impl Fn(&'static Executor<Stepped>, &'static Signal)) -> u64 {
    install();
    let executor: &'static Executor<Stepped> = Box::leak(Box::new(Executor::new(Stepped)));
    let signal = Signal::leaked();
    SIGNAL.set(Some(signal));
    // All of them in a release build, where they are few.
    for instruction in (1..).step_by(if cfg!(debug_assertions) { 37 } else { 1 }) {
        CAME.set(false);
        LEFT.set(instruction);
        scenario(executor, signal);
        if LEFT.get() > 0 {
            return instruction;
        }
    }
    unreachable!("the sleep ends every scenario")
}

/// Waits for the signal; the steps begin when the first poll has left its waker.
async fn stepped(signal: &'static Signal) {
    let mut wait = std::pin::pin!(signal.wait());
    let mut stepping = false;
    std::future::poll_fn(|context| {
        let polled = wait.as_mut().poll(context);
        if polled.is_pending() && !mem::replace(&mut stepping, true) {
            start_stepping();
        }
        polled.map(drop)
    })
    .await;
    stop_stepping();
}

#[test]
fn the_root_future_misses_no_wake() {
    let instructions = at_every_instruction(|executor, signal| executor.block_on(stepped(signal)));
    println!("{instructions} instructions");
    assert!(instructions > 50, "only {instructions} instructions were stepped");
}

#[test]
fn a_task_misses_no_wake() {
    static POOL: TaskPool<512, 1> = TaskPool::new();
    let instructions = at_every_instruction(|executor, signal| {
        let task = POOL.spawn(executor, stepped(signal)).expect("the last one has ended");
        executor.block_on(task).unwrap();
    });
    println!("{instructions} instructions");
    assert!(instructions > 50, "only {instructions} instructions were stepped");
}
