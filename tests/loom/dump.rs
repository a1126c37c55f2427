//! Dumps, against all that changes what they list.

use std::{
    collections::HashSet,
    sync::Arc as StdArc,
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use jenny::loom_internals::place::Place;
use jenny_core::{
    platform::Unpark,
    scheduler::{
        Tick, WorkerDump,
        local::{self as local_scheduler, Config as LocalConfig, Handle, Worker},
        stealing::{self, Config},
    },
    task::{Id, Tracer},
};
use loom::{sync::Arc, thread};

use crate::{
    harness::{Bounds, check},
    local::{self, run, spawn_asleep},
    platform::{Modelled, Parker},
    task::{Queue, Waits, ready, result, run_until_idle, spawn},
};

/// Unparks whoever waits for the answers. Its `Arc` is std's: what loom watches the drop of may not
/// be in it.
struct Bell(Parker);

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        self.0.unparker().unpark();
    }
}

/// Waits until `poll` is ready; a lost wake is a deadlock.
pub(crate) fn wait(mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let parker = Parker::new();
    let waker = Waker::from(StdArc::new(Bell(parker.clone())));
    while poll(&mut Context::from_waker(&waker)).is_pending() {
        parker.park();
    }
}

/// The ids that were listed; no id twice.
pub(crate) fn ids(dumps: Vec<WorkerDump>) -> HashSet<Id> {
    let mut ids = HashSet::new();
    for task in dumps.into_iter().filter_map(|dump| dump.tasks).flatten() {
        assert!(ids.insert(task.id), "{} is listed twice", task.id);
    }
    ids
}

/// Ticks and parks until the scheduler has stopped.
macro_rules! run_on {
    ($worker:expr, $parker:expr) => {
        $worker.enter(|entered| {
            loop {
                match entered.tick() {
                    Tick::Ran => {}
                    Tick::Idle => $parker.park(),
                    Tick::Stopped | Tick::HandedOff => return,
                }
            }
        })
    };
}

/// Has two workers tick in turn until both have stopped.
fn stop(handle: &stealing::Handle<Modelled>, mut workers: [stealing::Worker<Modelled>; 2]) {
    handle.close();
    let tick = |worker: &mut stealing::Worker<_>| worker.enter(|entered| entered.tick());
    while workers.each_mut().map(tick) != [Tick::Stopped; 2] {}
}

/// A task that waits is listed, one that ends meanwhile may be, and the answer arrives.
#[test]
fn answer_against_completion_and_sleep() {
    check("dump: answer against completion and sleep", Bounds::preemptions(2), || {
        let parker = Parker::new();
        let (handle, worker) =
            local_scheduler::new(Modelled::new(0), parker.unparker(), LocalConfig::default());
        let worker = thread::spawn(move || run_on!(worker, parker));
        let (future, _, _) = Waits::<1>::new();
        let waiting = handle.spawn(future);
        let ending = handle.spawn(ready());
        assert!(handle.start_dump());
        wait(|context| handle.poll_dump(context));
        let ids = ids(handle.end_dump());
        assert!(ids.contains(&waiting.id()));
        assert!(ids.iter().all(|id| [waiting.id(), ending.id()].contains(id)));
        handle.close();
        worker.join().unwrap();
        assert!(result(waiting).unwrap_err().is_cancelled());
        drop(ending);
    });
}

/// What was spawned before is listed, also if that was on a third thread.
#[test]
fn answer_after_a_spawn_elsewhere() {
    check("dump: answer after a spawn elsewhere", Bounds::preemptions(3), || {
        let (handle, mut worker, parker) = local::new();
        let asker = handle.clone();
        let asker = thread::spawn(move || {
            let spawner = asker.clone();
            let spawner = thread::spawn(move || spawner.spawn(Waits::<1>::new().0));
            let waiting = spawner.join().unwrap();
            assert!(asker.start_dump());
            waiting
        });
        // Whether or not it has been asked by now.
        let _ = worker.enter(|entered| entered.tick());
        let waiting = asker.join().unwrap();
        let _ = worker.enter(|entered| entered.tick());
        assert_eq!(ids(handle.end_dump()), HashSet::from([waiting.id()]));
        handle.close();
        drop(handle);
        run(&mut worker, &parker, || false);
        assert!(result(waiting).unwrap_err().is_cancelled());
    });
}

/// Whoever asks is answered, or told that the worker has gone.
#[test]
fn answer_against_shutdown() {
    check("dump: answer against shutdown", Bounds::preemptions(3), || {
        let parker = Parker::new();
        let (handle, worker) =
            local_scheduler::new(Modelled::new(0), parker.unparker(), LocalConfig::default());
        let (future, _, _) = Waits::<1>::new();
        let waiting = handle.spawn(future);
        let asker = {
            let (handle, waiting) = (handle.clone(), waiting.id());
            thread::spawn(move || {
                assert!(handle.start_dump());
                wait(|context| handle.poll_dump(context));
                assert!(ids(handle.end_dump()).iter().all(|id| *id == waiting));
            })
        };
        handle.close();
        drop(handle);
        run_on!(worker, parker);
        drop(worker);
        asker.join().unwrap();
        assert!(result(waiting).unwrap_err().is_cancelled());
    });
}

/// A task that nobody has polled is listed once, although another worker looks for something to take
/// before and after its own answer.
#[test]
fn answer_against_theft() {
    check("dump: answer against theft", Bounds::preemptions(1), || {
        let parkers = [Parker::new(), Parker::new()];
        let unparkers = parkers.each_ref().map(Parker::unparker);
        let (handle, workers) = stealing::new(Modelled::new(0), unparkers, Config::default());
        let [mut owner, mut thief] = <[_; 2]>::try_from(workers).unwrap();
        let waiting = handle.spawn(Waits::<1>::new().0);
        let thief = thread::spawn(move || {
            // Whether or not it has been asked by now, it takes what it may.
            let _ = thief.enter(|entered| entered.tick());
            thief
        });
        assert!(handle.start_dump());
        let _ = owner.enter(|entered| entered.tick());
        let mut thief = thief.join().unwrap();
        let _ = thief.enter(|entered| entered.tick());
        assert_eq!(ids(handle.end_dump()), HashSet::from([waiting.id()]));
        stop(&handle, [owner, thief]);
        assert!(result(waiting).unwrap_err().is_cancelled());
    });
}

/// A task that nobody has a handle or a waker of ends on another worker while its owner lists it.
/// Whoever completes it relies on being alone with it.
#[test]
fn answer_against_completion_elsewhere() {
    check("dump: answer against completion elsewhere", Bounds::preemptions(2), || {
        let parkers = [Parker::new(), Parker::new()];
        let unparkers = parkers.each_ref().map(Parker::unparker);
        let config = Config { lifo_slot: false, ..Config::default() };
        let (handle, workers) = stealing::new(Modelled::new(0), unparkers, config);
        let [mut owner, mut thief] = <[_; 2]>::try_from(workers).unwrap();
        owner.enter(|_| drop(handle.spawn(ready())));
        let thief = thread::spawn(move || {
            let _ = thief.enter(|entered| entered.tick());
            thief
        });
        assert!(handle.start_dump());
        let _ = owner.enter(|entered| entered.tick());
        assert!(ids(handle.end_dump()).len() <= 1);
        stop(&handle, [owner, thief.join().unwrap()]);
    });
}

/// Has all the time in the world, and takes no stacks.
struct Patient;

impl Tracer for Patient {
    fn has_time(&self) -> bool {
        true
    }

    fn await_point(&self, _: Id) {}
}

/// Asks for a traced dump and has it answered, on the worker's thread.
fn trace(handle: &Handle<Modelled>, worker: &mut Worker<Modelled>) -> HashSet<Id> {
    assert!(handle.start_traced_dump(Box::new(Patient)));
    loop {
        let _ = worker.enter(|entered| entered.tick());
        let mut context = Context::from_waker(Waker::noop());
        if handle.poll_dump(&mut context).is_ready() {
            return ids(handle.end_dump());
        }
    }
}

/// A poll that nobody has woken the task for, and a wake before, during or after it: there is a poll
/// that sees what the waker wrote.
#[test]
fn trace_against_wake() {
    check("dump: trace against wake", Bounds::preemptions(3), || {
        let (handle, mut worker, parker) = local::new();
        let ([announcement], waker, join) = spawn_asleep!(handle, worker);
        let other = thread::spawn(move || {
            announcement.make();
            waker.wake();
        });
        // It may have ended in the traced poll.
        assert!(trace(&handle, &mut worker).iter().all(|id| *id == join.id()));
        run(&mut worker, &parker, || join.is_finished());
        other.join().unwrap();
        assert!(result(join).is_ok());
        handle.close();
        run(&mut worker, &parker, || false);
    });
}

/// The future is dropped once, whether the abort or the traced poll claims the task, and whichever
/// thread has the last reference.
#[test]
fn trace_against_abort() {
    check("dump: trace against abort", Bounds::preemptions(3), || {
        let (handle, mut worker, parker) = local::new();
        let ([_], waker, join) = spawn_asleep!(handle, worker);
        let abort = join.abort_handle();
        let other = thread::spawn(move || abort.abort());
        assert!(trace(&handle, &mut worker).iter().all(|id| *id == join.id()));
        run(&mut worker, &parker, || join.is_finished());
        other.join().unwrap();
        drop(waker);
        assert!(result(join).unwrap_err().is_cancelled());
        handle.close();
        run(&mut worker, &parker, || false);
    });
}

/// A thread of the blocking pool goes from job to job. Whoever looks finds one of them whole, or none.
#[test]
fn a_job_after_another() {
    check("dump: a look at one job after another", Bounds::ALL, || {
        let queue = Queue::new();
        let (first, _) = spawn(&queue, ready());
        let (second, _) = spawn(&queue, ready());
        let spawned = [&first, &second].map(|task| (task.id(), task.spawned_at()));
        assert!(spawned[0].0 != spawned[1].0 && spawned[0].1 != spawned[1].1);
        let place = Arc::new(Place::new(Instant::now()));
        let runs = Arc::clone(&place);
        let worker = thread::spawn(move || {
            for task in [&first, &second] {
                runs.start(task);
                runs.end();
            }
            [first, second]
        });
        if let Some(job) = place.read() {
            assert!(spawned.contains(&(job.id, job.spawned_at)), "{job:?} is neither");
        }
        for task in worker.join().unwrap() {
            drop(run_until_idle(task));
        }
        assert!(place.is_free() && place.read().is_none());
    });
}
