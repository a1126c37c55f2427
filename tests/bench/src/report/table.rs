//! The figures as text.

use super::{Report, Row, Verdict};
use crate::peer::Name;
use crate::stats::Ratio;

/// Right-aligned if positive, left-aligned if negative.
const WIDTHS: [isize; 17] = [-25, 6, -16, 6, -11, 6, 6, 6, -16, 11, 11, 11, 11, -6, 8, 8, 8];

fn columns<T: AsRef<str>>(cells: [T; WIDTHS.len()]) -> String {
    let pad = |(cell, width): (&T, isize)| {
        let (text, columns) = (cell.as_ref(), width.unsigned_abs());
        if width < 0 { format!("{text:<columns$}") } else { format!("{text:>columns$}") }
    };
    let cells: Vec<_> = cells.iter().zip(WIDTHS).map(pad).collect();
    cells.join("  ").trim_end().to_owned()
}

/// Two lines over those of [`line`].
pub(crate) fn heading() -> String {
    let above = [
        "", "jenny/", "", "", "", "floor/", "CPU", "jenny/", "", "median", "", "", "", "",
        "CPU ns", "", "",
    ];
    let below = [
        "case", "Tokio", "95 %", "goal", "", "Tokio", "ratio", "smol", "95 %", "jenny", "Tokio",
        "smol", "floor", "", "jenny", "Tokio", "smol",
    ];
    format!("{}\n{}", columns(above), columns(below))
}

pub(crate) fn line(row: &Row) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or("-".to_owned());
    let ratio = |ratio: Option<Ratio>| or_dash(ratio.map(|ratio| format!("{:.3}", ratio.median)));
    let range = |ratio: Option<Ratio>| ratio.map(interval).unwrap_or_default();
    let to = |peer| row.of(peer).map(|figures| figures.ratio);
    let median = |peer| or_dash(row.of(peer).map(|figures| format!("{:.1}", figures.median)));
    let cpu_nanos = |peer| {
        let nanos = row.of(peer).and_then(|figures| figures.cpu_nanos);
        or_dash(nanos.map(|nanos| format!("{nanos:.0}")))
    };
    columns([
        row.case.to_owned(),
        ratio(to(Name::Tokio)),
        range(to(Name::Tokio)),
        row.goal(),
        row.verdict.text().to_owned(),
        ratio(row.floor.map(|floor| floor.ratio)),
        ratio(row.of(Name::Tokio).and_then(|tokio| tokio.cpu_ratio)),
        ratio(to(Name::Smol)),
        range(to(Name::Smol)),
        median(Name::Jenny),
        median(Name::Tokio),
        median(Name::Smol),
        median(Name::Floor),
        row.unit.symbol().to_owned(),
        cpu_nanos(Name::Jenny),
        cpu_nanos(Name::Tokio),
        cpu_nanos(Name::Smol),
    ])
}

fn interval(ratio: Ratio) -> String {
    format!("{:.3} to {:.3}", ratio.low, ratio.high)
}

/// How many goals are met, and which are not.
pub(crate) fn summary(report: &Report) -> String {
    let list = |title: &str, is_in: fn(&&Row) -> bool| {
        let cases: Vec<_> = report.rows.iter().filter(is_in).map(|row| row.case).collect();
        if cases.is_empty() { String::new() } else { format!("\n{title}: {}", cases.join(", ")) }
    };
    let met = report.rows.iter().filter(|row| row.verdict.is_met()).count();
    let mut text = format!("{met} of {} goals met", report.rows.len());
    text += &list("missed", |row| !row.verdict.is_met() && row.verdict != Verdict::BelowFloor);
    text += &list("missed, and below the floor", |row| row.verdict == Verdict::BelowFloor);
    text +=
        &list("behind smol", |row| row.of(Name::Smol).is_some_and(|smol| smol.ratio.median > 1.0));
    text
}

pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "| case | jenny / Tokio | 95 % | goal | | floor / Tokio | CPU time | jenny / smol | 95 % |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &report.rows {
        let ratio = |peer| match row.of(peer) {
            Some(figures) => format!("{:.2} | {}", figures.ratio.median, interval(figures.ratio)),
            None => "- | ".to_owned(),
        };
        let cpu = row.of(Name::Tokio).and_then(|tokio| tokio.cpu_ratio);
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            row.case,
            ratio(Name::Tokio),
            row.goal(),
            row.verdict.text(),
            row.floor.map_or(String::new(), |floor| format!("{:.2}", floor.ratio.median)),
            cpu.map_or("-".to_owned(), |ratio| format!("{:.2}", ratio.median)),
            ratio(Name::Smol),
        );
    }
    text
}
