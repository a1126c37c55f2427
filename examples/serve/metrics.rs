//! The runtime's counters in Prometheus' text format.

use std::fmt::{Display, Write};

use jenny::runtime::RuntimeMetrics;

pub(crate) fn prometheus(metrics: &RuntimeMetrics) -> String {
    let mut text = Text::default();
    let workers = metrics.num_workers();
    text.family("jenny_workers", "gauge", "Worker threads of the runtime.");
    text.sample("jenny_workers", workers);
    text.family("jenny_tasks_alive", "gauge", "Tasks that are spawned and not complete.");
    text.sample("jenny_tasks_alive", metrics.num_alive_tasks());

    type PerWorker = fn(&RuntimeMetrics, usize) -> u64;
    let families: [(&str, &str, PerWorker); 3] = [
        ("jenny_worker_polls_total", "Polls of tasks.", RuntimeMetrics::worker_poll_count),
        ("jenny_worker_steals_total", "Tasks stolen.", RuntimeMetrics::worker_steal_count),
        ("jenny_worker_parks_total", "Times asleep.", RuntimeMetrics::worker_park_count),
    ];
    for (name, help, read) in families {
        text.family(name, "counter", help);
        for worker in 0..workers {
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
