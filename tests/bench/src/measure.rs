//! Takes samples of all peers, and of the floor, in turns.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::cases::Case;
use crate::peer::Name;

/// What one run of a case gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// In the unit of the case.
    pub(crate) value: f64,
    /// Processor time of the whole process per operation, in nanoseconds: what spinning and extra
    /// threads cost.
    pub(crate) cpu_nanos: Option<f64>,
    /// Each latency on its own, in nanoseconds, where the value is a quantile of them.
    pub(crate) latencies: Vec<u64>,
}

impl Sample {
    pub(crate) fn of(value: f64) -> Self {
        Self { value, ..Self::default() }
    }
}

/// Runs a case once, on the peer that it has built.
pub(crate) type Sampler = Box<dyn FnMut() -> io::Result<Sample>>;

/// In the order of [`Name::PEERS`]; `None` where a peer has no such thing.
pub(crate) type Samplers = [Option<Sampler>; Name::PEERS.len()];

/// Samples in the order of [`Name::ALL`], all taken next to each other.
pub(crate) type Round = [Option<Sample>; Name::ALL.len()];

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// A tenth of the operations: a smoke test, not a measurement.
    pub(crate) quick: bool,
}

impl Effort {
    /// A case that takes longer than this stops after [`FEW_ROUNDS`](Self::FEW_ROUNDS).
    const PATIENCE: Duration = Duration::from_secs(12);
    const FEW_ROUNDS: usize = 11;

    pub(crate) fn operations(self, operations: u64) -> u64 {
        if self.quick { operations / 10 } else { operations }
    }

    fn rounds(self, at_most: Option<usize>) -> usize {
        match at_most {
            None => self.rounds,
            Some(rounds) if self.quick => self.rounds.min(rounds / 4).max(1),
            Some(rounds) => self.rounds.min(rounds),
        }
    }
}

/// Rounds follow each other so that each peer is as often first, second and last, and as often next
/// to each other one, and none comes twice in a row: a drift of the machine, and what the one before
/// has left in the caches, fall on all alike.
const ORDERS: [[Name; Name::PEERS.len()]; 6] = {
    use Name::{Jenny, Smol, Tokio};
    [
        [Jenny, Tokio, Smol],
        [Tokio, Jenny, Smol],
        [Jenny, Smol, Tokio],
        [Smol, Tokio, Jenny],
        [Tokio, Smol, Jenny],
        [Smol, Jenny, Tokio],
    ]
};

/// Who is measured in a round. The floor has each place among the peers in turn.
fn turns(round: usize) -> impl Iterator<Item = Name> {
    let peers = ORDERS[round % ORDERS.len()];
    let (before, after) = peers.split_at(round % (peers.len() + 1));
    [before, &[Name::Floor], after].concat().into_iter()
}

/// Every peer's runtime lives from the first round to the last, the idle ones asleep.
pub(crate) fn run(
    case: &Case,
    effort: Effort,
    mut progress: impl FnMut(usize, usize),
) -> io::Result<Vec<Round>> {
    let [jenny, tokio, smol] = (case.peers)(effort)?;
    let floor = case.floor.as_ref().map(|floor| (floor.sampler)(effort)).transpose()?;
    let mut samplers = [jenny, tokio, smol, floor];
    if case.warm_up {
        // Threads, caches and the allocator.
        for sampler in samplers.iter_mut().flatten() {
            sampler()?;
        }
    }
    let (start, wanted) = (Instant::now(), effort.rounds(case.rounds));
    let mut rounds = Vec::new();
    while rounds.len() < wanted
        && (rounds.len() < Effort::FEW_ROUNDS || start.elapsed() < Effort::PATIENCE)
    {
        progress(rounds.len(), wanted);
        let mut round = Round::default();
        for peer in turns(rounds.len()) {
            if let Some(sampler) = &mut samplers[peer as usize] {
                round[peer as usize] = Some(sampler()?);
            }
        }
        rounds.push(round);
    }
    Ok(rounds)
}

/// The time that an operation takes.
pub(crate) fn wall<P: 'static>(runtime: P, operations: u64, body: fn(&P, u64)) -> Sampler {
    Box::new(move || {
        let (elapsed, cpu) = timed(|| body(&runtime, operations));
        let per_operation = |time: Duration| nanos(time) / operations as f64;
        let cpu_nanos = Some(per_operation(cpu));
        Ok(Sample { value: per_operation(elapsed), cpu_nanos, latencies: Vec::new() })
    })
}

/// The processor time that an operation takes, for cases which wait most of the time.
pub(crate) fn cpu<P: 'static>(runtime: P, operations: u64, body: fn(&P, u64)) -> Sampler {
    let mut wall = wall(runtime, operations, body);
    Box::new(move || {
        wall().map(|sample| Sample { value: sample.cpu_nanos.unwrap_or(0.0), ..sample })
    })
}

/// Runs it, and gives the time and the processor time that it took.
pub(crate) fn timed(run: impl FnOnce()) -> (Duration, Duration) {
    let (start, cpu) = (Instant::now(), cpu_time());
    run();
    (start.elapsed(), cpu_time().saturating_sub(cpu))
}

pub(crate) fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_peer_has_a_better_place() {
        let sequence: Vec<Name> = ORDERS.into_iter().flatten().chain([ORDERS[0][0]]).collect();
        assert!(sequence.windows(2).all(|pair| pair[0] != pair[1]), "none follows itself");
        for peer in Name::PEERS {
            for place in 0..3 {
                let count = ORDERS.iter().filter(|order| order[place] == peer).count();
                assert_eq!(count, 2, "{peer} in place {place}");
            }
            for other in Name::PEERS.into_iter().filter(|other| *other != peer) {
                let follows = sequence.windows(2).filter(|pair| **pair == [other, peer]).count();
                assert_eq!(follows, 3, "{peer} after {other}");
            }
        }
    }

    #[test]
    fn the_floor_has_every_place_and_moves_nobody() {
        for place in 0..4 {
            let rounds = (0..12).filter(|&round| turns(round).nth(place) == Some(Name::Floor));
            assert_eq!(rounds.count(), 3);
        }
        for round in 0..12 {
            assert!(turns(round).filter(|name| *name != Name::Floor).eq(ORDERS[round % 6]));
        }
    }
}
