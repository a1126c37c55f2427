//! What happens to runtimes. All of these run at the same time.

use std::{sync::Arc, thread, time::Duration};

use jenny::{
    runtime::{Builder, Handle, Runtime, RuntimeFlavor},
    task::{JoinHandle, JoinSet, block_in_place, yield_now},
};
use jenny_tests::Rng;

use crate::{
    strangers::{Parcel, Strangers},
    tasks::{Expect, Output, Script, closure, judge},
};

const BATCH: usize = 64;

/// How many threads the pool of each runtime has at most.
pub(crate) const POOL: usize = 4;

pub(crate) type Pending = Vec<(JoinHandle<Output>, Expect)>;

fn multi_thread(workers: usize, lends: bool) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.block_on_runs_tasks(lends);
    builder.worker_threads(workers).max_blocking_threads(POOL).enable_all().build().unwrap()
}

fn current_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    // So short that threads of the pool give up as often as they find something.
    builder.max_blocking_threads(POOL).thread_keep_alive(Duration::from_micros(20));
    builder.enable_all().build().unwrap()
}

/// A runtime that lives on, flooded by several threads, each in a `block_on` of its own.
pub(crate) fn flood(strangers: &Arc<Strangers>, mut rng: Rng, runtime: Flavour, batches: usize) {
    const THREADS: usize = 3;
    let runtime = runtime.build();
    let blocks = runtime.handle().runtime_flavor() != RuntimeFlavor::CurrentThread;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (mut rng, runtime) = (rng.fork(), &runtime);
            scope.spawn(move || {
                for _ in 0..batches / THREADS {
                    let handle = runtime.handle();
                    // From outside, and from inside.
                    let mut pending = Pending::new();
                    spawn_some(handle, strangers, &mut rng, false, &mut pending);
                    runtime.block_on(async {
                        spawn_some(handle, strangers, &mut rng, false, &mut pending);
                        if blocks && rng.one_in(8) {
                            block_in_place(|| handle.block_on(yield_now()));
                        }
                        settle(pending, &mut rng).await;
                        if rng.one_in(4) {
                            gather(strangers, &mut rng).await;
                        }
                    });
                }
            });
        }
    });
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Flavour {
    CurrentThread,
    MultiThread(usize),
    /// As `MultiThread`, and whoever waits in `block_on` runs tasks.
    Lending(usize),
}

impl Flavour {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        match rng.below(7) {
            0 | 1 => Self::CurrentThread,
            lending @ (5 | 6) => Self::Lending(lending - 4),
            workers => Self::MultiThread(workers - 1),
        }
    }

    pub(crate) fn build(self) -> Runtime {
        match self {
            Self::CurrentThread => current_thread(),
            Self::MultiThread(workers) => multi_thread(workers, false),
            Self::Lending(workers) => multi_thread(workers, true),
        }
    }
}

/// Runtimes that end while their tasks run, while other threads spawn on them and wait for them.
pub(crate) fn churn(strangers: &Arc<Strangers>, mut rng: Rng, runtimes: usize) {
    for _ in 0..runtimes {
        let runtime = Flavour::any(&mut rng).build();
        thread::scope(|scope| {
            for _ in 0..rng.below(3) {
                let (mut rng, handle) = (rng.fork(), runtime.handle().clone());
                scope.spawn(move || visit(&handle, strangers, &mut rng));
            }
            let mut pending = Pending::new();
            spawn_some(runtime.handle(), strangers, &mut rng, true, &mut pending);
            if rng.one_in(2) {
                runtime.block_on(async {
                    for _ in 0..rng.below(20) {
                        yield_now().await;
                    }
                });
            }
            let handle = runtime.handle().clone();
            end(runtime, &mut rng);
            // What the shutdown left behind has an end, too.
            spawn_some(&handle, strangers, &mut rng, true, &mut pending);
            handle.block_on(settle(pending, &mut rng));
        });
    }
}

/// Uses a runtime that may end at any moment.
fn visit(handle: &Handle, strangers: &Arc<Strangers>, rng: &mut Rng) {
    if rng.one_in(8) {
        return besiege(handle, strangers, rng);
    }
    for _ in 0..rng.below(4) {
        let mut pending = Pending::new();
        spawn_some(handle, strangers, rng, true, &mut pending);
        handle.block_on(settle(pending, rng));
    }
}

/// Spawns without a pause, so that the end comes in the middle of it.
fn besiege(handle: &Handle, strangers: &Arc<Strangers>, rng: &mut Rng) {
    for _ in 0..2_000 {
        let join = handle.spawn(Script::new(strangers, rng));
        if join.is_finished() {
            // Refused: it is over.
            return;
        }
    }
}

pub(crate) fn end(runtime: Runtime, rng: &mut Rng) {
    match rng.below(6) {
        0 => runtime.shutdown_background(),
        1 => runtime.shutdown_timeout(Duration::from_micros(rng.below(2_000) as u64)),
        2 => {
            // Inside another runtime, where nothing may wait.
            current_thread().block_on(async { runtime.shutdown_background() });
        }
        _ => drop(runtime),
    }
}

/// Spawns scripts and closures. `ends`: their runtime may end before they do.
fn spawn_some(
    handle: &Handle,
    strangers: &Arc<Strangers>,
    rng: &mut Rng,
    ends: bool,
    pending: &mut Pending,
) {
    for _ in 0..rng.below(BATCH) {
        if rng.one_in(16) {
            let job = handle.spawn_blocking(closure(rng.fork()));
            pending.push((job, Expect { cancelled: ends, panicked: true }));
            continue;
        }
        let script = Script::new(strangers, rng);
        let aborted = rng.one_in(8);
        let expect = script.expect(ends || aborted);
        let join = handle.spawn(script);
        if aborted {
            match rng.below(3) {
                0 => join.abort(),
                1 => strangers.send(Parcel::Abort(join.abort_handle())),
                _ => {
                    strangers.send(Parcel::Abort(join.abort_handle()));
                    join.abort_handle().abort();
                }
            }
        }
        match rng.below(8) {
            0 => drop(join),
            1 => strangers.send(Parcel::Join(join)),
            _ => pending.push((join, expect)),
        }
    }
}

/// Tasks in a set, which come out as they end.
async fn gather(strangers: &Arc<Strangers>, rng: &mut Rng) {
    let mut set = JoinSet::new();
    let mut expect = Expect { cancelled: false, panicked: true };
    for _ in 0..rng.below(BATCH) {
        set.spawn(Script::new(strangers, rng));
        if rng.one_in(8) {
            let aborted = set.spawn(Script::new(strangers, rng));
            strangers.send(Parcel::Abort(aborted));
            expect.cancelled = true;
        }
        if rng.one_in(4)
            && let Some(result) = set.try_join_next()
        {
            judge(result, expect);
        }
    }
    for _ in 0..rng.below(set.len() + 1) {
        judge(set.join_next().await.unwrap(), expect);
    }
    match rng.below(4) {
        0 => set.detach_all(),
        1 => {
            set.abort_all();
            expect.cancelled = true;
            while let Some(result) = set.join_next().await {
                judge(result, expect);
            }
        }
        _ => {}
    }
}

/// Waits for tasks, in any order, and lets some go.
pub(crate) async fn settle(mut pending: Pending, rng: &mut Rng) {
    while !pending.is_empty() {
        let any = rng.below(pending.len());
        let (join, expect) = pending.swap_remove(any);
        if rng.one_in(16) {
            drop(join);
        } else {
            judge(join.await, expect);
        }
    }
}
