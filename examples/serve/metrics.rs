//! The runtime's counters in Prometheus' text format.

use std::fmt::{Display, Write};

use jenny::runtime::RuntimeMetrics;

/// A name, its explanation, and where the number is.
type Family<T> = (&'static str, &'static str, T);

type OfRuntime = fn(&RuntimeMetrics) -> u64;
type OfWorker = fn(&RuntimeMetrics, usize) -> u64;

const GAUGES: [Family<OfRuntime>; 5] = [
    ("jenny_workers", "Worker threads of the runtime.", |metrics| metrics.num_workers() as u64),
    ("jenny_tasks_alive", "Tasks that are spawned and have not ended.", |metrics| {
        metrics.num_alive_tasks() as u64
    }),
    ("jenny_inbox_depth", "Tasks from outside that no worker has taken up.", |metrics| {
        metrics.global_queue_depth() as u64
    }),
    ("jenny_blocking_threads", "Threads of the blocking pool.", |metrics| {
        metrics.num_blocking_threads() as u64
    }),
    ("jenny_blocking_queue_depth", "Blocking jobs that wait for a thread.", |metrics| {
        metrics.blocking_queue_depth() as u64
    }),
];

const COUNTERS: [Family<OfRuntime>; 6] = [
    ("jenny_tasks_spawned_total", "Tasks spawned.", RuntimeMetrics::spawned_tasks_count),
    (
        "jenny_remote_schedules_total",
        "Tasks spawned or woken from outside of the workers.",
        RuntimeMetrics::remote_schedule_count,
    ),
    (
        "jenny_budget_yields_total",
        "Polls that ended because the budget was used up.",
        RuntimeMetrics::budget_forced_yield_count,
    ),
    (
        "jenny_io_registrations_total",
        "Sockets registered with the I/O driver.",
        RuntimeMetrics::io_driver_fd_registered_count,
    ),
    (
        "jenny_io_deregistrations_total",
        "Sockets deregistered again.",
        RuntimeMetrics::io_driver_fd_deregistered_count,
    ),
    (
        "jenny_io_events_total",
        "Readiness events from the system.",
        RuntimeMetrics::io_driver_ready_count,
    ),
];

const PER_WORKER: [Family<OfWorker>; 6] = [
    ("jenny_worker_polls_total", "Polls of tasks.", RuntimeMetrics::worker_poll_count),
    ("jenny_worker_steals_total", "Tasks stolen.", RuntimeMetrics::worker_steal_count),
    ("jenny_worker_parks_total", "Times asleep.", RuntimeMetrics::worker_park_count),
    ("jenny_worker_noops_total", "Times woken for nothing.", RuntimeMetrics::worker_noop_count),
    (
        "jenny_worker_overflows_total",
        "Tasks that did not fit the queue.",
        RuntimeMetrics::worker_overflow_count,
    ),
    ("jenny_worker_busy_nanoseconds_total", "Time awake.", |metrics, worker| {
        metrics.worker_total_busy_duration(worker).as_nanos() as u64
    }),
];

pub(crate) fn prometheus(metrics: &RuntimeMetrics) -> String {
    let mut text = Text::default();
    for (kind, families) in [("gauge", &GAUGES[..]), ("counter", &COUNTERS[..])] {
        for (name, help, read) in families {
            text.family(name, kind, help);
            text.sample(name, read(metrics));
        }
    }
    for (name, help, read) in PER_WORKER {
        text.family(name, "counter", help);
        for worker in 0..metrics.num_workers() {
            text.sample(format_args!("{name}{{worker=\"{worker}\"}}"), read(metrics, worker));
        }
    }
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, series: impl Display, value: impl Display) {
        self.line(format_args!("{series} {value}"));
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a String takes everything");
    }
}
