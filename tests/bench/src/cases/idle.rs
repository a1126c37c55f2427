//! Runtimes that have little or nothing to do.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{in_task, timer::LONG};
use crate::fairness;
use crate::measure::{Sample, Sampler, cpu};
use crate::peer::{Flavor, Peer};
use crate::stats::quantile;

/// A task that sleeps for a millisecond again and again, among many that sleep for long. An
/// operation is a tick.
pub(super) fn ticker<P: Peer>(runtime: P, operations: u64) -> Sampler {
    const SLEEPERS: usize = 1000;
    for _ in 0..SLEEPERS {
        drop(runtime.spawn_remote(async { P::sleep(60 * LONG).await }));
    }
    cpu(runtime, operations, |runtime, operations| {
        in_task(runtime, async move {
            for _ in 0..operations {
                P::sleep(Duration::from_millis(1)).await;
            }
        });
    })
}

pub(super) fn wake_up_p50<P: Peer>(runtime: P, operations: u64) -> Sampler {
    wake_up(runtime, operations, 0.50)
}

pub(super) fn wake_up_p99<P: Peer>(runtime: P, operations: u64) -> Sampler {
    wake_up(runtime, operations, 0.99)
}

/// From a wake outside a runtime whose workers are parked to the poll of the task that was woken.
fn wake_up<P: Peer>(runtime: P, operations: u64, q: f64) -> Sampler {
    let (wake, woken) = async_channel::unbounded::<Instant>();
    let (answer, answers) = mpsc::channel();
    drop(runtime.spawn_remote(async move {
        // An error: the sampler has gone.
        while let Ok(sent) = woken.recv().await {
            if answer.send(sent.elapsed().as_nanos() as u64).is_err() {
                return;
            }
        }
    }));
    latency(operations, q, answers, move |sent| {
        // It keeps the task, too.
        let _runtime = &runtime;
        wake.try_send(sent).expect("the task lives");
    })
}

/// What is answered, in nanoseconds, by who was asleep when it was woken.
pub(super) fn latency(
    operations: u64,
    q: f64,
    answers: mpsc::Receiver<u64>,
    wake: impl Fn(Instant) + 'static,
) -> Sampler {
    /// Enough for every worker to find nothing and park.
    const PAUSE: Duration = Duration::from_micros(300);
    Box::new(move || {
        let latencies: Vec<u64> = (0..operations)
            .map(|_| {
                thread::sleep(PAUSE);
                wake(Instant::now());
                answers.recv().expect("an answer")
            })
            .collect();
        let mut sorted: Vec<f64> = latencies.iter().map(|&nanos| nanos as f64).collect();
        Ok(Sample { value: quantile(&mut sorted, q), cpu_nanos: None, latencies })
    })
}

/// The longest wait of a timer or a socket beside a task that blocks its worker.
pub(super) fn stuck<P: Peer>(flavor: Flavor) -> Sampler {
    Box::new(move || {
        let longest = fairness::longest_wait_beside_a_stuck_task::<P>(flavor);
        Ok(Sample::of(longest.as_secs_f64() * 1e3))
    })
}
