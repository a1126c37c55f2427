//! On which cores threads run. Two threads that wake each other are kept apart or together by the
//! system as chance has it, for a whole run, and a wake costs ten times as much in the one as in the
//! other: so a case that is about nothing else has each on its own.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::measure::Sampler;

/// Where the threads of a runtime are, as seen from the thread that calls it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// On another core, if there is one.
    Apart,
    /// On the same core.
    Together,
}

impl Place {
    /// Builds what starts the threads, which inherit the place.
    pub(super) fn start<T>(self, build: impl FnOnce() -> T) -> io::Result<T> {
        let core = match self {
            Self::Apart => 1,
            Self::Together => 0,
        };
        on_core(core, build)
    }

    /// Has the calling thread in its place while it takes a sample.
    pub(super) fn call(mut sampler: Sampler) -> Sampler {
        Box::new(move || on_core(0, &mut sampler)?)
    }
}

/// Runs a closure on one of the cores that this thread may use, or on the only one.
fn on_core<T>(number: usize, run: impl FnOnce() -> T) -> io::Result<T> {
    let all = sched_getaffinity(None)?;
    let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).collect();
    let mut one = CpuSet::new();
    one.set(cores[number.min(cores.len() - 1)]);
    sched_setaffinity(None, &one)?;
    let result = run();
    sched_setaffinity(None, &all)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn cores() -> Vec<usize> {
        let all = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).collect()
    }

    #[test]
    fn threads_are_apart_or_together_and_nobody_stays_there() {
        let before = cores();
        let started = |place: Place| place.start(|| thread::spawn(cores).join().unwrap()).unwrap();
        let (apart, together) = (started(Place::Apart), started(Place::Together));
        assert_eq!((apart.len(), together.len()), (1, 1));
        assert_eq!(apart == together, before.len() == 1);
        assert_eq!(on_core(0, cores).unwrap(), together);
        assert_eq!(cores(), before);
    }
}
