//! Blocking in the middle of a task.

use crate::context::{self, Running, worker};

/// Runs a closure that blocks, on this thread, in the middle of a task.
///
/// Before it starts, this worker's queue, timers and driver go to another thread, so nobody but this
/// task waits for it. Other futures of the same task (in `join!` or `select!`) do wait. A task that
/// blocks as a whole is better off in [`spawn_blocking`](super::spawn_blocking), which takes no
/// worker from its thread.
///
/// Inside the closure [`Handle::block_on`](crate::runtime::Handle::block_on) may be used. Outside of a
/// runtime, inside another `block_in_place`, and in the future of a `block_on` of a multi-thread
/// runtime, unless that [runs tasks](crate::runtime::Builder::block_on_runs_tasks) just then, the
/// closure is called, and that is all. It is not cancelled by an abort or by a shutdown; the shutdown
/// waits for it, within its time-out.
///
/// # Panics
/// On a current-thread runtime and in a `LocalSet`, whose tasks no other thread can run. A panic of
/// the closure is the task's.
///
/// # Examples
/// ```
/// # #[jenny::main]
/// # async fn main() {
/// let text = jenny::task::block_in_place(|| std::fs::read_to_string("Cargo.toml"));
/// assert!(text.is_ok());
/// # }
/// ```
#[track_caller]
pub fn block_in_place<F, R>(closure: F) -> R
where
    F: FnOnce() -> R,
{
    match context::running() {
        Running::Nothing => return closure(),
        Running::CurrentThread => panic!(
            "`block_in_place` needs a worker of a multi-thread runtime: here all tasks share this \
             thread. Use `spawn_blocking` instead"
        ),
        Running::Root | Running::Worker => {}
    }
    let block = || {
        let _may_block = context::suspend_running();
        closure()
    };
    let Some(worker) = worker::worker() else { return block() };
    let (mut block, mut result) = (Some(block), None);
    worker.go_on_elsewhere(&mut || result = block.take().map(|block| block()));
    result.expect("the closure is called once")
}
