//! Runs a case on both peers in turns.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::cases::Case;
use crate::peer::{Jenny, Peer, Tokio};

/// What one run of a case took, per operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) nanos: f64,
    /// Processor time of the whole process: what spinning and extra threads cost.
    pub(crate) cpu_nanos: f64,
}

/// Samples that were taken next to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) jenny: Sample,
    pub(crate) tokio: Sample,
}

/// ABBA, so that a drift of the machine and the order within a pair fall on both alike. Both
/// runtimes live from the first run to the last, the idle one asleep.
pub(crate) fn run(
    case: &Case,
    pairs: usize,
    mut progress: impl FnMut(usize),
) -> io::Result<Vec<Pair>> {
    let jenny = Jenny::build(case.flavor)?;
    let tokio = Tokio::build(case.flavor)?;
    let sample_jenny = || sample(case.operations, || (case.jenny)(&jenny, case.operations));
    let sample_tokio = || sample(case.operations, || (case.tokio)(&tokio, case.operations));
    // Threads, caches and the allocator warm up unmeasured.
    sample_jenny();
    sample_tokio();

    let pair = |number| {
        progress(number);
        if number % 2 == 0 {
            let jenny = sample_jenny();
            Pair { jenny, tokio: sample_tokio() }
        } else {
            let tokio = sample_tokio();
            Pair { jenny: sample_jenny(), tokio }
        }
    };
    Ok((0..pairs).map(pair).collect())
}

fn sample(operations: u64, run: impl FnOnce()) -> Sample {
    let (start, cpu) = (Instant::now(), cpu_time());
    run();
    let per_operation = |time: Duration| time.as_nanos() as f64 / operations as f64;
    Sample {
        nanos: per_operation(start.elapsed()),
        cpu_nanos: per_operation(cpu_time().saturating_sub(cpu)),
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
