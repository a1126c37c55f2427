//! What an observer is told, and in which order.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use jenny_core::task::{Id, Observer, Spawned, TaskMeta};

use crate::{
    alloc::no_leaks,
    probe::{result, yield_now},
    rig::{Dice, Kind, Rig},
    toy::Toy,
};

type Log = Arc<Mutex<Vec<(&'static str, Id, Option<String>)>>>;

/// Writes everything down, and panics afterwards if it is told to.
struct Scribe {
    log: Log,
    panics: bool,
}

impl Scribe {
    fn note(&self, what: &'static str, task: &TaskMeta<'_>) {
        assert!(task.spawned_at().file().ends_with("observer.rs"));
        self.log.lock().unwrap().push((what, task.id(), task.name().map(String::from)));
        assert!(!self.panics, "the observer's own");
    }
}

impl Observer for Scribe {
    fn spawned(&self, task: &TaskMeta<'_>) {
        self.note("spawned", task);
    }

    fn before_poll(&self, task: &TaskMeta<'_>) {
        self.note("before", task);
    }

    fn after_poll(&self, task: &TaskMeta<'_>) {
        self.note("after", task);
    }

    fn panicked(&self, task: &TaskMeta<'_>) {
        self.note("panicked", task);
    }

    fn terminated(&self, task: &TaskMeta<'_>) {
        self.note("terminated", task);
    }
}

fn observed(kind: Kind, panics: bool) -> (Rig, Log) {
    let log = Log::default();
    let scribe = Scribe { log: Arc::clone(&log), panics };
    let toy = Toy::new(1, true);
    (Rig::with(kind, toy, |config| config.observer = Some(Box::new(scribe))), log)
}

/// What happened to one task.
fn story(log: &Log, of: Id) -> Vec<&'static str> {
    log.lock().unwrap().iter().filter(|(_, id, _)| *id == of).map(|(what, ..)| *what).collect()
}

#[test]
fn every_step_is_told_in_order_whether_or_not_the_observer_panics() {
    for kind in Kind::ALL {
        for panics in [false, true] {
            no_leaks(|| {
                let (mut rig, log) = observed(kind, panics);
                let mut dice = Dice::new(0);
                let yields = rig.handle.spawn(yield_now());
                let fails = rig.handle.spawn(async { panic!("the task's own") });
                let aborted = rig.handle.spawn(pending::<()>());
                aborted.abort();
                let left = rig.handle.spawn(pending::<()>());
                let ids = [yields.id(), fails.id(), aborted.id(), left.id()];
                rig.settle(&mut dice);
                assert!(result(yields).is_ok() && result(fails).unwrap_err().is_panic());
                assert!(result(aborted).unwrap_err().is_cancelled());
                assert_eq!(
                    ids.map(|id| story(&log, id).join(" ")),
                    [
                        "spawned before after before after terminated",
                        "spawned before after panicked terminated",
                        "spawned terminated",
                        "spawned before after",
                    ],
                    "{kind:?}"
                );
                rig.stop(&mut dice);
                assert_eq!(story(&log, ids[3]).last(), Some(&"terminated"));
                let late = rig.handle.spawn(async {});
                assert_eq!(story(&log, late.id()), ["spawned", "terminated"]);
                drop((left, late));
            });
        }
    }
}

#[test]
fn a_name_comes_along() {
    for kind in Kind::ALL {
        no_leaks(|| {
            let (mut rig, log) = observed(kind, false);
            let handle = rig.handle.clone();
            let spawned = Spawned::here().named(Some("weaver"));
            let named = handle.spawn_as(async {}, spawned);
            let unnamed = rig.inside(0, || handle.spawn(async {}));
            rig.settle(&mut Dice::new(0));
            let name =
                |of| log.lock().unwrap().iter().find(|(_, id, _)| *id == of).unwrap().2.clone();
            assert_eq!((name(named.id()).as_deref(), name(unnamed.id())), (Some("weaver"), None));
            drop((named, unnamed));
            rig.stop(&mut Dice::new(0));
        });
    }
}
