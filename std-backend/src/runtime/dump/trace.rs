//! Stacks of the places where tasks wait.
//!
//! The core polls a task with a waker that reports its clones (`jenny_core::task::Tracer`). At each
//! one the stack is recorded, unresolved, on the thread of the worker; names and lines are looked up
//! by whoever prints the trace. A recorded stack is that of a thread. What is the task's own lies
//! between two functions that are known by their names: above the one that polls it, and below the
//! waker's.

use std::{
    backtrace::Backtrace,
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use jenny_core::task::{Id, Tracer};
use parking_lot::Mutex;

use crate::primitives::contain;

/// How long a dump goes on with polling tasks for their traces.
pub(super) const TRACING: Duration = Duration::from_millis(200);

/// Held while stacks are taken, and while names are looked up. The standard library has a lock for
/// both, in which a worker would wait for somebody else's look-up; the first one takes a second.
pub(super) static STACKS: Mutex<()> = Mutex::new(());

/// How many stacks are taken of one task.
const STACKS_PER_TASK: usize = 64;

/// The function that polls the task's future.
const BELOW: &str = "__jenny_poll_traced";
/// The waker's functions, from which the stack is taken.
const ABOVE: [&str; 2] = ["__jenny_clone_traced", "__jenny_wake_traced"];
/// How the future calls them: these functions, or whatever is in this file.
const WAKER: [&str; 2] = ["<core::task::wake::Waker", "core::task::wake::Waker"];
const WAKER_FILE: &str = "/core/src/task/wake.rs";

/// Where a task waits, as a stack of calls.
///
/// [`Display`](fmt::Display) writes a line for each call, from the task's future to the innermost
/// one, each further to the right than the one that made it. A task that waits for several futures at
/// once has several branches. The first trace that a program prints has to read the program's debug
/// information, which may take a while. The lines are as good as that is: with line tables only, an
/// async function may be called `{async_fn#0}` and has to be found by its place; with nothing but
/// symbols there are no places, and functions that were inlined are missing.
///
/// There is nothing to write if the task was not waiting, if the dump was [taken without
/// traces](crate::runtime::Handle::dump_without_traces), or if its time was up before the task's
/// turn came.
#[derive(Debug, Default)]
pub struct Trace {
    stacks: Vec<Backtrace>,
}

/// A call in a stack: its function, and the place in the source.
type Call = String;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked_up = STACKS.lock();
        let stacks: Vec<_> = self.stacks.iter().map(|stack| calls(&stack.to_string())).collect();
        drop(looked_up);
        branches(f, &stacks.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0)
    }
}

/// Writes stacks that have their first `depth` calls in common.
fn branches(f: &mut fmt::Formatter<'_>, stacks: &[&[Call]], depth: usize) -> fmt::Result {
    for branch in stacks.chunk_by(|one, other| one.first() == other.first()) {
        let Some(call) = branch[0].first() else { continue };
        writeln!(f, "{:1$}{call}", "", 2 * depth)?;
        branches(f, &branch.iter().map(|stack| &stack[1..]).collect::<Vec<_>>(), depth + 1)?;
    }
    Ok(())
}

/// The task's own calls in a stack, the outermost first.
///
/// The text is that of [`Backtrace`]: a line for each function, innermost first and mostly with a
/// number, and below it one that begins with `at`, where the place is known.
fn calls(stack: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in stack.lines().map(str::trim) {
        match (line.strip_prefix("at "), calls.last_mut()) {
            (Some(place), Some(call)) => *call = format!("{call} at {place}"),
            _ => {
                let name = line.trim_start_matches(|c: char| c.is_ascii_digit());
                calls.push(name.strip_prefix(": ").unwrap_or(line).to_owned());
            }
        }
    }
    if let Some(below) = calls.iter().position(|call| call.contains(BELOW)) {
        calls.truncate(below);
    }
    let is_above = |call: &Call| ABOVE.iter().any(|name| call.contains(name));
    let above = calls.iter().rposition(is_above).map_or(0, |last| last + 1);
    let is_waker =
        |call: &Call| call.contains(WAKER_FILE) || WAKER.iter().any(|name| call.starts_with(name));
    let own = calls.drain(above..).skip_while(is_waker);
    let mut own: Vec<_> = own.collect();
    own.reverse();
    own
}

/// The traces of a dump, while they are taken.
pub(super) struct Traces {
    until: Instant,
    taken: Mutex<HashMap<Id, Trace>>,
}

impl Traces {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { until: Instant::now() + TRACING, taken: Mutex::default() })
    }

    /// For a scheduler.
    pub(super) fn tracer(self: &Arc<Self>) -> Box<dyn Tracer> {
        Box::new(Watch(Arc::clone(self)))
    }

    pub(super) fn take(&self) -> HashMap<Id, Trace> {
        std::mem::take(&mut self.taken.lock())
    }
}

struct Watch(Arc<Traces>);

impl Tracer for Watch {
    fn has_time(&self) -> bool {
        Instant::now() < self.0.until
    }

    fn await_point(&self, task: Id) {
        // A panic would be the task's.
        contain(|| {
            if !self.has_time() {
                return;
            }
            let stack = Backtrace::force_capture();
            let mut taken = self.0.taken.lock();
            let stacks = &mut taken.entry(task).or_default().stacks;
            if stacks.len() < STACKS_PER_TASK {
                stacks.push(stack);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "   0: std::backtrace::Backtrace::create
   1: jenny_core::task::trace::__jenny_clone_traced
             at ./core/src/task/trace.rs:50:5
   2: <core::task::wake::Waker as core::clone::Clone>::clone
   3: <leaf::Leaf as core::future::future::Future>::poll
             at ./src/leaf.rs:3:9
      app::inlined::{{closure}}
             at ./src/main.rs:7:1
   4: app::outer::{{closure}}
   5: __jenny_poll_traced<app::outer::{async_fn_env#0}>
   6: std::panicking::catch_unwind
";

    #[test]
    fn what_is_not_the_tasks_is_cut_off() {
        let expected = [
            "app::outer::{{closure}}",
            "app::inlined::{{closure}} at ./src/main.rs:7:1",
            "<leaf::Leaf as core::future::future::Future>::poll at ./src/leaf.rs:3:9",
        ];
        assert_eq!(calls(STACK), expected);
    }

    #[test]
    fn a_stack_without_names_stays_as_it_is() {
        assert_eq!(calls("   0: <unknown>\n   1: <unknown>\n"), ["<unknown>"; 2]);
    }

    #[test]
    fn stacks_share_what_they_have_in_common() {
        struct Shown(Vec<Vec<Call>>);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                branches(f, &self.0.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0)
            }
        }
        let stack = |calls: &str| calls.split(' ').map(str::to_owned).collect();
        let shown = Shown(vec![stack("a b c"), stack("a b d e"), stack("a f")]).to_string();
        assert_eq!(shown, "a\n  b\n    c\n    d\n      e\n  f\n");
    }
}
