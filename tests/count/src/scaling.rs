//! Throughput on many cores, from what is counted. `tests/count/README.md` has the argument.
//!
//! An operation takes `local` nanoseconds where it has the machine to itself, and writes `misses`
//! times to lines that other cores write as well, `hottest` of them to one and the same. On `n` cores
//! such a write waits `t(n)` for the line. So `n` cores do no more than `n / (local + misses · t)`,
//! and, because a line is in one place at a time, no more than `1 / (hottest · t)`.

use std::{fmt::Write, fs};

use jenny_count::cases;

const CORES: [u32; 7] = [2, 4, 8, 16, 32, 64, 128];

/// Nanoseconds for an instruction where nothing is waited for: 1.7 instructions in a cycle of 3 GHz.
const INSTRUCTION: f64 = 0.2;

/// What an operation takes.
struct Work {
    name: &'static str,
    /// Nanoseconds on one core.
    local: f64,
    misses: f64,
    hottest: f64,
}

/// Tokio, with the writes as read from the source of 1.53. The times are the published one of a remote
/// spawn by one thread (tokio #8483), and the instructions that `machine-code` counts among workers.
const TOKIO: [Work; 3] = [
    // Task id, handle twice, count twice, added; the last two pairs are on one line each.
    Work {
        name: "Tokio: spawn + join, worker",
        local: 2419.0 * INSTRUCTION,
        misses: 6.0,
        hottest: 2.0,
    },
    // Between locking the inject queue and unlocking it: lock, predecessor, tail, length, unlock.
    Work { name: "Tokio: spawn from outside", local: 617.0, misses: 11.0, hottest: 5.0 },
    // The shards leave the counters.
    Work {
        name: "Tokio, sharded (#8483): spawn from outside",
        local: 617.0,
        misses: 6.0,
        hottest: 1.0,
    },
];

/// jenny's paths: the name to print, the counted case, the case in `instructions.toml`.
const JENNY: [(&str, &str, &str); 3] = [
    ("jenny: spawn + join, worker", "spawn + join, worker", "worker: spawn, run, join"),
    (
        "jenny: spawn from outside",
        "spawn from outside, busy workers",
        "worker: spawn from outside, run",
    ),
    // Without the runtime around it: what is left to gain.
    ("jenny-core: spawn, worker", "spawn, worker", "worker: spawn, run, join"),
];

/// Published: threads, and milliseconds for 12,800 remote spawns on 64 cores, before and with shards
/// (tokio #8483).
const PUBLISHED: [(u32, f64, f64); 7] = [
    (1, 7.90, 7.90),
    (2, 11.41, 7.81),
    (4, 20.70, 6.65),
    (8, 32.51, 6.30),
    (16, 30.63, 6.15),
    (32, 30.16, 5.28),
    (64, 27.85, 5.04),
];
const SPAWNS: f64 = 12_800.0;

/// Published: connections a second on one epoll instance, each with two registrations and two
/// deregistrations, and on eight (tokio #8450).
const CONNECTIONS: (f64, f64) = (87e3, 211e3);

impl Work {
    /// Operations a second.
    fn throughput(&self, cores: u32, transfer: f64) -> f64 {
        // A line that was here last time need not come.
        let wait = transfer * (1.0 - 1.0 / f64::from(cores));
        let alone = f64::from(cores) / (self.local + self.misses * wait);
        let by_line = 1.0 / (self.hottest * wait).max(f64::MIN_POSITIVE);
        1e9 * alone.min(by_line)
    }
}

/// The transfer time that fits the published plateaus best: the mean of the logarithms.
fn transfer() -> f64 {
    let [_, stock, sharded] = &TOKIO;
    let plateau = PUBLISHED.iter().filter(|(threads, ..)| *threads >= 8);
    let logs: Vec<f64> = plateau
        .flat_map(|&(threads, before, after)| {
            let share = 1.0 - 1.0 / f64::from(threads);
            [before / stock.hottest, after / sharded.hottest]
                .map(|ms| (ms * 1e6 / SPAWNS / share).ln())
        })
        .collect();
    (logs.iter().sum::<f64>() / logs.len() as f64).exp()
}

fn instructions(path: &str) -> f64 {
    let table = include_str!("../instructions.toml");
    let line = table.lines().find(|line| line.starts_with(&format!("{path:?}")));
    let number = line.and_then(|line| line.rsplit_once('=')).map(|(_, number)| number.trim());
    number.and_then(|number| number.parse().ok()).expect("a path of instructions.toml")
}

fn jenny() -> impl Iterator<Item = Work> {
    JENNY.iter().map(|&(name, case, path)| {
        let case = cases::all().find(|of| of.name == case).expect("a case");
        let counts = (case.run)(1830);
        Work {
            name,
            local: instructions(path) * INSTRUCTION,
            misses: counts.per_operation(counts.writes_shared),
            hottest: counts.per_operation(counts.hottest_line()),
        }
    })
}

/// Prints the model, and draws it if there is a name for the picture.
pub(crate) fn main(picture: Option<&str>) {
    let transfer = transfer();
    println!("transfer of a line that all cores write: {transfer:.0} ns, fitted\n");
    println!(
        "| threads | published, ns | model | with shards, published | model |\n|---|---|---|---|---|"
    );
    let [_, stock, sharded] = &TOKIO;
    for (threads, before, after) in PUBLISHED {
        let model = |work: &Work| 1e9 / work.throughput(threads, transfer);
        println!(
            "| {threads} | {:.0} | {:.0} | {:.0} | {:.0} |",
            before * 1e6 / SPAWNS,
            model(stock),
            after * 1e6 / SPAWNS,
            model(sharded)
        );
    }
    let works: Vec<Work> = TOKIO.into_iter().chain(jenny()).collect();
    print_curves(&works, transfer);
    let (one, _) = CONNECTIONS;
    println!(
        "\nOne epoll instance took {one:.0} connections a second with four calls of epoll_ctl each \
         (tokio #8450); jenny makes two: {:.0} at most, until there are several drivers.",
        2.0 * one
    );
    if let Some(file) = picture {
        fs::write(file, draw(&works, transfer)).expect("the picture can be written");
    }
}

fn print_curves(works: &[Work], transfer: f64) {
    print!("\n| million operations a second | local, ns | shared writes | to one line |");
    CORES.iter().for_each(|cores| print!(" {cores} |"));
    println!("\n|---|---|---|---|{}", "---|".repeat(CORES.len()));
    for work in works {
        let Work { name, local, misses, hottest } = work;
        print!("| {name} | {local:.0} | {misses:.2} | {hottest:.2} |");
        CORES.iter().for_each(|&cores| print!(" {:.1} |", work.throughput(cores, transfer) / 1e6));
        println!();
    }
}

/// A picture with a logarithmic axis each.
fn draw(works: &[Work], transfer: f64) -> String {
    const COLOURS: [&str; 6] = ["#c0392b", "#e67e22", "#f1c40f", "#2471a3", "#17a589", "#7d3c98"];
    let (left, top, width, height) = (60.0, 20.0, 560.0, 340.0);
    let x = |cores: u32| left + width * (f64::from(cores).log2() - 1.0) / 6.0;
    // From 0.1 to 1000 million.
    let y = |per_second: f64| top + height * (1.0 - (per_second.log10() - 5.0) / 4.0);
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 540' font-family='sans-serif' \
         font-size='12'><rect width='640' height='540' fill='white'/>\n",
    );
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(svg, "{text}").expect("a string grows");
    for (power, label) in
        [(5, "0.1 M/s"), (6, "1 M/s"), (7, "10 M/s"), (8, "100 M/s"), (9, "1 G/s")]
    {
        let y = y(10_f64.powi(power));
        line(format_args!(
            "<path d='M{left} {y:.1}h{width}' stroke='#ddd'/><text x='5' y='{y:.1}'>{label}</text>"
        ));
    }
    for cores in CORES {
        line(format_args!("<text x='{:.1}' y='380' text-anchor='middle'>{cores}</text>", x(cores)));
    }
    line(format_args!("<text x='340' y='400' text-anchor='middle'>cores</text>"));
    for (number, (work, colour)) in works.iter().zip(COLOURS).enumerate() {
        let points: Vec<_> = CORES
            .iter()
            .map(|&cores| format!("{:.1},{:.1}", x(cores), y(work.throughput(cores, transfer))))
            .collect();
        let below = 425 + 18 * number;
        line(format_args!(
            "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2.5'/>\
             <path d='M60 {}h30' stroke='{colour}' stroke-width='2.5'/><text x='100' y='{below}'>{}</text>",
            points.join(" "),
            below - 4,
            work.name
        ));
    }
    svg.push_str("</svg>\n");
    svg
}
