//! The figures as text.

use super::{Report, Row};
use crate::peer::Name;
use crate::stats::Ratio;

/// Two lines over those of [`line`].
pub(crate) fn heading() -> String {
    let line = |cells: [&str; 13]| {
        let [
            case,
            tokio,
            interval,
            goal,
            verdict,
            cpu,
            smol,
            range,
            jenny,
            other,
            third,
            unit,
            rest,
        ] = cells;
        format!(
            "{case:<26} {tokio:>6}  {interval:<16} {goal:>6} {verdict:<7} {cpu:>6}    {smol:>6}  \
             {range:<16} {jenny:>11} {other:>11} {third:>11} {unit:<6} {rest}"
        )
    };
    let above = ["", "jenny/", "", "", "", "CPU", "jenny/", "", "", "median", "", "", "  CPU ns"];
    let below = [
        "case",
        "Tokio",
        "95 %",
        "goal",
        "",
        "ratio",
        "smol",
        "95 %",
        "jenny",
        "Tokio",
        "smol",
        "",
        "   jenny    Tokio     smol",
    ];
    [above, below].map(line).map(|line| line.trim_end().to_owned()).join("\n")
}

pub(crate) fn line(row: &Row) -> String {
    let ratio = |peer| match row.of(peer) {
        Some(figures) => format!("{:>6.3}  {:<16}", figures.ratio.median, interval(figures.ratio)),
        None => format!("{:>6}  {:<16}", "-", ""),
    };
    let median = |peer| match row.of(peer) {
        Some(figures) => format!("{:>11.1}", figures.median),
        None => format!("{:>11}", "-"),
    };
    let cpu_nanos = |peer| match row.of(peer).and_then(|figures| figures.cpu_nanos) {
        Some(nanos) => format!("{nanos:>8.0}"),
        None => format!("{:>8}", "-"),
    };
    let cpu_ratio = row.of(Name::Tokio).and_then(|tokio| tokio.cpu_ratio);
    format!(
        "{:<26} {} {:>6} {:<7} {:>6}    {} {} {} {} {:<6} {} {} {}",
        row.case,
        ratio(Name::Tokio),
        row.goal(),
        row.verdict.text(),
        cpu_ratio.map_or("-".to_owned(), |ratio| format!("{:.3}", ratio.median)),
        ratio(Name::Smol),
        median(Name::Jenny),
        median(Name::Tokio),
        median(Name::Smol),
        row.unit.symbol(),
        cpu_nanos(Name::Jenny),
        cpu_nanos(Name::Tokio),
        cpu_nanos(Name::Smol),
    )
}

fn interval(ratio: Ratio) -> String {
    format!("{:.3} to {:.3}", ratio.low, ratio.high)
}

/// How many goals are met, and which are not.
pub(crate) fn summary(report: &Report) -> String {
    let met = report.rows.iter().filter(|row| row.verdict.is_met()).count();
    let mut text = format!("{met} of {} goals met", report.rows.len());
    let missed = |row: &&Row| !row.verdict.is_met();
    let missed: Vec<_> = report.rows.iter().filter(missed).map(|row| row.case).collect();
    if !missed.is_empty() {
        text += &format!("; missed: {}", missed.join(", "));
    }
    let behind = |row: &&Row| row.of(Name::Smol).is_some_and(|smol| smol.ratio.median > 1.0);
    let behind: Vec<_> = report.rows.iter().filter(behind).map(|row| row.case).collect();
    if !behind.is_empty() {
        text += &format!("\nbehind smol: {}", behind.join(", "));
    }
    text
}

pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "| case | jenny / Tokio | 95 % | goal | | CPU time | jenny / smol | 95 % |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in &report.rows {
        let ratio = |peer| match row.of(peer) {
            Some(figures) => format!("{:.2} | {}", figures.ratio.median, interval(figures.ratio)),
            None => "- | ".to_owned(),
        };
        let cpu = row.of(Name::Tokio).and_then(|tokio| tokio.cpu_ratio);
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            row.case,
            ratio(Name::Tokio),
            row.goal(),
            row.verdict.text(),
            cpu.map_or("-".to_owned(), |ratio| format!("{:.2}", ratio.median)),
            ratio(Name::Smol),
        );
    }
    text
}
