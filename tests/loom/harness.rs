//! How a model is explored, and what models share.
//!
//! | variable | meaning |
//! |---|---|
//! | `JENNY_LOOM_PREEMPTIONS` | replaces every model's own bound of preemptions; `none` explores all |
//! | `JENNY_LOOM_SECONDS` | stops a model after so long and says so; without it none is stopped |

use std::{
    cell::Cell,
    env, panic,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jenny_core::lock::RawLock;

/// How far a model is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The largest number of times that a thread is interrupted in one execution; `None` for any.
    /// Most bugs need two.
    pub(crate) preemptions: Option<usize>,
    /// The largest number of decisions in one execution.
    pub(crate) branches: usize,
}

impl Bounds {
    /// Every execution.
    pub(crate) const ALL: Self = Self { preemptions: None, branches: 5_000 };

    /// Every execution with at most so many preemptions.
    pub(crate) const fn preemptions(bound: usize) -> Self {
        Self { preemptions: Some(bound), ..Self::ALL }
    }

    fn adjusted(self) -> Self {
        let preemptions = match env::var("JENNY_LOOM_PREEMPTIONS").as_deref() {
            Err(_) => self.preemptions,
            Ok("none") => None,
            Ok(bound) => Some(bound.parse().expect("JENNY_LOOM_PREEMPTIONS: a number or `none`")),
        };
        Self { preemptions, ..self }
    }
}

/// Explores a model and prints how many executions that took.
///
/// # Panics
/// As soon as one execution panics, deadlocks, races or leaks.
pub(crate) fn check(name: &str, bounds: Bounds, model: impl Fn() + Sync + Send + 'static) {
    explore(name, bounds, model, Arc::default());
}

/// Explores a model that is wrong on purpose: it shows that the others could fail.
///
/// # Panics
/// If no execution does.
pub(crate) fn check_fails(name: &str, bounds: Bounds, model: impl Fn() + Sync + Send + 'static) {
    let executions = Arc::default();
    let counted = Arc::clone(&executions);
    let explored = panic::AssertUnwindSafe(|| explore(name, bounds, model, counted));
    assert!(silently(|| panic::catch_unwind(explored)).is_err(), "loom {name}: nothing failed");
    println!("loom {name}: failed as it should, execution {}", executions.load(Ordering::Relaxed));
}

/// Calls a closure without a word of its panics, which would be taken for those of other models.
fn silently<R>(closure: impl FnOnce() -> R) -> R {
    // The threads of a model all run on the one that explores it.
    thread_local!(static SILENT: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                print(info);
            }
        }));
    });
    SILENT.set(true);
    let result = closure();
    SILENT.set(false);
    result
}

fn explore(
    name: &str,
    bounds: Bounds,
    model: impl Fn() + Sync + Send + 'static,
    executions: Arc<AtomicUsize>,
) {
    let bounds = bounds.adjusted();
    let seconds = env::var("JENNY_LOOM_SECONDS")
        .ok()
        .map(|limit| Duration::from_secs(limit.parse().expect("JENNY_LOOM_SECONDS: a number")));

    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bounds.preemptions;
    builder.max_branches = bounds.branches;
    builder.max_duration = seconds;
    // Loom looks at the clock only at its checkpoints.
    builder.checkpoint_interval = 1_000;

    let start = Instant::now();
    let counter = Arc::clone(&executions);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });

    let executions = executions.load(Ordering::Relaxed);
    let elapsed = start.elapsed();
    let extent = match bounds.preemptions {
        _ if seconds.is_some_and(|limit| elapsed >= limit) => "not all, out of time".to_owned(),
        Some(bound) => format!("all with up to {bound} preemptions"),
        None => "all".to_owned(),
    };
    println!("loom {name}: {executions} executions ({extent}) in {:.1} s", elapsed.as_secs_f32());
}

/// A lock that the model checker sees.
#[derive(Debug)]
pub(crate) struct Lock(loom::sync::Mutex<()>);

// SAFETY: loom's mutex excludes and orders as a mutex does, and its guard unlocks on unwinding.
unsafe impl RawLock for Lock {
    fn new() -> Self {
        Self(loom::sync::Mutex::new(()))
    }

    fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        let _guard = self.0.lock().expect("another closure panicked, and the model with it");
        critical()
    }
}
