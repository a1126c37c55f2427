//! Tasks that may not leave their thread, while other threads wake and abort them.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    thread::{self, ThreadId},
};

use jenny::{
    runtime::{Builder, LocalOptions, Runtime},
    task::{JoinHandle, LocalSet, spawn_local, yield_now},
};

use jenny_tests::{Rng, ledger};

use crate::{
    scenarios::POOL,
    strangers::{Parcel, Strangers},
    tasks::{Expect, Output, Script, judge},
};

/// A script that is not `Send`, and ends the process if it is polled or dropped elsewhere.
pub(crate) struct Bound {
    script: Script,
    home: ThreadId,
    _stays_here: Rc<()>,
}

impl Bound {
    pub(crate) fn new(script: Script) -> Self {
        Self { script, home: thread::current().id(), _stays_here: Rc::new(()) }
    }

    fn check(&self) {
        if self.home != thread::current().id() {
            ledger::die("a local task has left its thread");
        }
    }
}

impl Future for Bound {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        self.check();
        Pin::new(&mut self.script).poll(context)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.check();
    }
}

/// Local sets on a runtime of one's own and on one of others, and local runtimes.
pub(crate) fn locals(strangers: &Arc<Strangers>, mut rng: Rng, shared: &Runtime, rounds: usize) {
    for _ in 0..rounds {
        let rng = &mut rng;
        if rng.one_in(2) {
            in_a_set(strangers, rng, shared);
        } else {
            on_a_local_runtime(strangers, rng);
        }
    }
}

fn in_a_set(strangers: &Arc<Strangers>, rng: &mut Rng, runtime: &Runtime) {
    let set = LocalSet::new();
    let mut joins = Vec::new();
    for _ in 0..rng.below(32) {
        let join = set.spawn_local(Bound::new(Script::bound(strangers, rng)));
        joins.extend(give_away(strangers, rng, join));
    }
    set.block_on(runtime, async {
        for _ in 0..rng.below(8) {
            let join = spawn_local(Bound::new(Script::bound(strangers, rng)));
            joins.extend(give_away(strangers, rng, join));
            yield_now().await;
        }
        settle(joins, rng).await;
    });
    if rng.one_in(4) {
        runtime.block_on(set);
    }
    // Or it is dropped with the tasks that are left.
}

fn on_a_local_runtime(strangers: &Arc<Strangers>, rng: &mut Rng) {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(POOL).enable_all();
    let runtime = builder.build_local(LocalOptions::default()).unwrap();
    let mut joins = Vec::new();
    for _ in 0..rng.below(32) {
        let join = runtime.spawn_local(Bound::new(Script::new(strangers, rng)));
        joins.extend(give_away(strangers, rng, join));
    }
    runtime.block_on(settle(joins, rng));
    if rng.one_in(2) {
        runtime.shutdown_background();
    }
}

/// Lets other threads have some of the handles.
fn give_away(
    strangers: &Strangers,
    rng: &mut Rng,
    join: JoinHandle<Output>,
) -> Option<JoinHandle<Output>> {
    match rng.below(8) {
        0 => strangers.send(Parcel::Join(join)),
        1 => {
            strangers.send(Parcel::Abort(join.abort_handle()));
            return Some(join);
        }
        2 => drop(join),
        _ => return Some(join),
    }
    None
}

/// Waits for some of the tasks, and lets the others go.
async fn settle(joins: Vec<JoinHandle<Output>>, rng: &mut Rng) {
    for join in joins {
        if !rng.one_in(4) {
            judge(join.await, Expect { cancelled: true, panicked: true });
        }
    }
}
