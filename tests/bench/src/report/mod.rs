//! What was measured, for people and for programs.

pub(crate) mod curves;
pub(crate) mod html;
pub(crate) mod ratios;
pub(crate) mod svg;
pub(crate) mod table;

use std::fs;
use std::thread;

use serde::Serialize;

use crate::cases::{Case, Goal, Group, Point, Unit};
use crate::measure::{Effort, Round, Sample};
use crate::peer::Name;
use crate::stats::{Ratio, median, min};

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    /// With their versions.
    pub(crate) peers: Vec<String>,
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
}

/// One case on all peers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) case: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    pub(crate) rounds: usize,
    pub(crate) goal: Goal,
    pub(crate) verdict: Verdict,
    pub(crate) floor: Option<Floor>,
    pub(crate) curve: Option<Point>,
    /// jenny's first, the floor's last.
    pub(crate) figures: Vec<Figures>,
}

/// How far down a runtime could get.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floor {
    pub(crate) what: &'static str,
    /// The floor's value over Tokio's.
    pub(crate) ratio: Ratio,
}

/// One peer's values, in the unit of the case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) peer: Name,
    /// jenny's value over this one's: below one, jenny is better.
    pub(crate) ratio: Ratio,
    /// The same of the processor time, which other work on the machine disturbs less.
    pub(crate) cpu_ratio: Option<Ratio>,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) cpu_nanos: Option<f64>,
    /// In nanoseconds, of all rounds, sorted.
    #[serde(skip)]
    pub(crate) latencies: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    /// The median is below, the interval is not.
    MetPerhaps,
    /// The median is above, the interval is not.
    MissedPerhaps,
    Missed,
    /// Missed, and the whole interval of the floor is above the goal, too. A floor that jenny or Tokio
    /// is below is none.
    BelowFloor,
}

impl Verdict {
    fn new(goal: f64, reached: Ratio, floor: Option<Ratio>) -> Self {
        let floor = floor.filter(|floor| floor.median <= reached.median.min(1.0));
        match (reached.median <= goal, reached.low <= goal && goal < reached.high) {
            (true, false) => Self::Met,
            (true, true) => Self::MetPerhaps,
            _ if floor.is_some_and(|floor| floor.low > goal) => Self::BelowFloor,
            (false, true) => Self::MissedPerhaps,
            (false, false) => Self::Missed,
        }
    }

    pub(crate) fn is_met(self) -> bool {
        matches!(self, Self::Met | Self::MetPerhaps)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::MetPerhaps => "met?",
            Self::MissedPerhaps => "missed?",
            Self::Missed => "missed",
            Self::BelowFloor => "below floor",
        }
    }
}

/// Of two of those who were measured, round by round. Empty if one of them never was.
fn pairs(rounds: &[Round], one: Name, other: Name) -> Vec<(&Sample, &Sample)> {
    rounds
        .iter()
        .filter_map(|round| Some((round[one as usize].as_ref()?, round[other as usize].as_ref()?)))
        .collect()
}

/// What goals are about: the values over Tokio's, or the values.
fn reached(goal: Goal, rounds: &[Round], by: Name) -> Option<Ratio> {
    let pairs = pairs(rounds, by, Name::Tokio);
    (!pairs.is_empty()).then(|| {
        Ratio::of(pairs.iter().map(|(sample, tokio)| match goal {
            Goal::OfTokio(_) => (sample.value, tokio.value),
            Goal::AtMost(_) => (sample.value, 1.0),
        }))
    })
}

impl Figures {
    fn new(peer: Name, rounds: &[Round]) -> Option<Self> {
        let pairs = pairs(rounds, Name::Jenny, peer);
        if pairs.is_empty() {
            return None;
        }
        let samples = || pairs.iter().map(|(_, sample)| *sample);
        let mut values: Vec<f64> = samples().map(|sample| sample.value).collect();
        // Of jenny and of the peer.
        let cpu: Vec<(f64, f64)> = pairs
            .iter()
            .filter_map(|(jenny, peer)| Some((jenny.cpu_nanos?, peer.cpu_nanos?)))
            .collect();
        let mut latencies: Vec<u64> =
            samples().flat_map(|sample| sample.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        Some(Self {
            peer,
            ratio: Ratio::of(pairs.iter().map(|(jenny, peer)| (jenny.value, peer.value))),
            cpu_ratio: (!cpu.is_empty()).then(|| Ratio::of(cpu.iter().copied())),
            min: min(values.iter().copied()),
            median: median(&mut values),
            cpu_nanos: (!cpu.is_empty())
                .then(|| median(&mut cpu.iter().map(|(_, peer)| *peer).collect::<Vec<_>>())),
            latencies,
        })
    }
}

impl Row {
    pub(crate) fn new(group: &Group, case: &Case, rounds: &[Round]) -> Self {
        let figures: Vec<_> =
            Name::ALL.iter().filter_map(|&peer| Figures::new(peer, rounds)).collect();
        let (Goal::OfTokio(goal) | Goal::AtMost(goal)) = case.goal;
        let reached = |by| reached(case.goal, rounds, by);
        let jenny = reached(Name::Jenny).expect("jenny and Tokio have every case");
        let verdict = Verdict::new(goal, jenny, reached(Name::Floor));
        let floor = case.floor.as_ref().and_then(|floor| {
            let ratio = self::reached(Goal::OfTokio(goal), rounds, Name::Floor)?;
            Some(Floor { what: floor.what, ratio })
        });
        Self {
            group: group.title,
            case: case.name,
            what: case.what,
            unit: case.unit,
            rounds: rounds.len(),
            goal: case.goal,
            verdict,
            floor,
            curve: case.curve,
            figures,
        }
    }

    pub(crate) fn of(&self, peer: Name) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.peer == peer)
    }

    /// The goal, with its unit where it is not a ratio.
    pub(crate) fn goal(&self) -> String {
        match self.goal {
            Goal::OfTokio(ratio) => format!("{ratio:.2}"),
            Goal::AtMost(value) => format!("{value:.0} {}", self.unit.symbol()),
        }
    }
}

impl Report {
    pub(crate) fn of_this_machine(effort: Effort) -> Self {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = information
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown processor", |(_, name)| name);
        let version = |peer: Name| Some(format!("{peer} {}", version(peer.package()?)));
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor.to_owned(),
            peers: Name::ALL.into_iter().filter_map(version).collect(),
            quick: effort.quick,
            rows: Vec::new(),
        }
    }

    pub(crate) fn introduction(&self) -> String {
        let quick = if self.quick { "; a smoke test, not a measurement" } else { "" };
        format!("{} on {} cores of {}{quick}", self.peers.join(", "), self.cores, self.processor)
    }
}

/// Of a package in the workspace's lock file; smol is named by its executor.
fn version(package: &str) -> &'static str {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| **line != name);
    let version =
        lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.unwrap_or("of an unknown version")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::cases::GROUPS;

    /// A report of every case, jenny at half of Tokio's values and at the double of smol's, the
    /// floor at three tenths of Tokio's.
    static REPORT: LazyLock<Report> = LazyLock::new(|| {
        let sample = |value: f64, drift: u64| Sample {
            value: value * drift as f64,
            cpu_nanos: Some(value),
            latencies: (1..=100).map(|nanos| nanos * 1000 * drift).collect(),
        };
        let rounds: Vec<Round> = (1..=9)
            .map(|drift| [20.0, 40.0, 10.0, 12.0].map(|value| Some(sample(value, drift))))
            .collect();
        let mut report = Report::of_this_machine(Effort { rounds: 9, quick: false });
        for group in GROUPS {
            report.rows.extend(group.cases.iter().map(|case| {
                let mut rounds = rounds.clone();
                if case.floor.is_none() {
                    rounds.iter_mut().for_each(|round| round[Name::Floor as usize] = None);
                }
                Row::new(group, case, &rounds)
            }));
        }
        report
    });

    #[test]
    fn rows_compare_within_rounds() {
        let row = REPORT.rows.iter().find(|row| row.case == "skynet").expect("a row per case");
        let exactly = |median| Ratio { median, low: median, high: median };
        assert_eq!(row.of(Name::Tokio).map(|tokio| tokio.ratio), Some(exactly(0.5)));
        assert_eq!(row.of(Name::Smol).and_then(|smol| smol.cpu_ratio), Some(exactly(2.0)));
        assert_eq!(row.of(Name::Jenny).map(|jenny| (jenny.min, jenny.median)), Some((20.0, 100.0)));
        assert_eq!(row.of(Name::Jenny).map(|jenny| jenny.latencies.len()), Some(900));
    }

    #[test]
    fn verdict_knows_doubt() {
        let verdict = |median, low, high| Verdict::new(0.5, Ratio { median, low, high }, None);
        assert_eq!(verdict(0.4, 0.3, 0.5), Verdict::Met);
        assert_eq!(verdict(0.5, 0.4, 0.6), Verdict::MetPerhaps);
        assert_eq!(verdict(0.6, 0.4, 0.7), Verdict::MissedPerhaps);
        assert_eq!(verdict(0.7, 0.6, 0.8), Verdict::Missed);
    }

    #[test]
    fn a_goal_below_the_floor_is_one_that_the_whole_interval_forbids() {
        let missed = Ratio { median: 0.6, low: 0.4, high: 0.7 };
        let verdict = |low| Verdict::new(0.5, missed, Some(Ratio { median: 0.55, low, high: 0.6 }));
        assert_eq!(verdict(0.5), Verdict::MissedPerhaps);
        assert_eq!(verdict(0.51), Verdict::BelowFloor);
        let above = Some(Ratio { median: 0.65, low: 0.6, high: 0.7 });
        assert_eq!(Verdict::new(0.5, missed, above), Verdict::MissedPerhaps, "jenny is below it");
        let floor = Some(Ratio { median: 0.9, low: 0.8, high: 1.0 });
        assert_eq!(Verdict::new(0.7, missed, floor), Verdict::Met, "no floor is as low as that");
    }

    #[test]
    fn the_floor_stands_next_to_tokio() {
        let row = |name| REPORT.rows.iter().find(|row| row.case == name).expect("a row per case");
        let exactly = |median| Ratio { median, low: median, high: median };
        assert_eq!(row("tcp_echo_1").floor.map(|floor| floor.ratio), Some(exactly(0.3)));
        assert!(row("skynet").floor.is_none());
        // Goals of 0.85, met, of 0.25, below, and of 0.33, above three tenths.
        let verdict = |name| row(name).verdict;
        assert_eq!(verdict("tcp_echo_1"), Verdict::Met);
        assert_eq!(verdict("sleep_cancel"), Verdict::BelowFloor);
        assert_eq!(verdict("sleep_1m_pending"), Verdict::Missed);
    }

    #[test]
    fn absolute_goals_do_not_look_at_tokio() {
        let verdict = |name| REPORT.rows.iter().find(|row| row.case == name).map(|row| row.verdict);
        // A median of 100 of 112 bytes, the interval is wider; 100 of 15 milliseconds.
        assert_eq!(verdict("memory_task_16"), Some(Verdict::MetPerhaps));
        assert_eq!(verdict("stuck_worker"), Some(Verdict::Missed));
    }

    #[test]
    fn a_peer_without_the_case_is_left_out() {
        let case = &GROUPS[0].cases[0];
        let round: Round = [Some(Sample::of(1.0)), Some(Sample::of(4.0)), None, None];
        let row = Row::new(&GROUPS[0], case, &[round]);
        assert!(row.of(Name::Smol).is_none());
        assert!(table::line(&row).contains("0.250"));
    }

    #[test]
    fn every_output_has_every_case() {
        let json = serde_json::to_string(&*REPORT).expect("plain data");
        let outputs = [html::page(&REPORT), table::markdown(&REPORT), json];
        for case in GROUPS.iter().flat_map(|group| group.cases) {
            for output in &outputs {
                assert!(output.contains(case.name), "{}", case.name);
            }
        }
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let (heading, line) = (table::heading(), table::line(&REPORT.rows[0]));
        let below = heading.lines().last().expect("two lines");
        assert_eq!(below.chars().count(), line.chars().count(), "{heading}\n{line}");
        assert_eq!(below.find("goal").map(|at| &line[at..at + 4]), Some("0.15"));
    }

    #[test]
    fn the_picture_leaves_curves_to_the_page() {
        let picture = ratios::picture(&REPORT);
        assert!(picture.contains("spawn_many_local_w4"), "it has a goal");
        assert!(!picture.contains("spawn_many_local_w8"));
    }

    #[test]
    fn page_is_whole_and_self_contained() {
        let page = html::page(&REPORT);
        for outside in
            ["http:", "https:", "src=", "href=", "<script", "url(", "@import", "NaN", "inf"]
        {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("prefers-color-scheme:dark"));
        well_formed(page.strip_prefix("<!doctype html>").expect("a doctype"));
        well_formed(&ratios::picture(&REPORT));
    }

    #[test]
    fn a_part_of_the_cases_makes_a_page_too() {
        let mut report = REPORT.clone();
        report.rows.retain(|row| row.case == "tcp_echo_1");
        report.rows[0].figures.iter_mut().for_each(|figures| figures.latencies.clear());
        let page = html::page(&report);
        assert!(page.contains("tcp_echo_1") && !page.contains("Over workers"));
    }

    /// Every element that opens closes, in order.
    fn well_formed(text: &str) {
        const VOID: [&str; 1] = ["meta"];
        let mut open = Vec::new();
        for tag in text.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or(tag);
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        for peer in Name::PEERS {
            let version = version(peer.package().expect("a peer is a crate"));
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{peer}: {version}");
        }
    }
}
