//! Every case as a dot with its interval, on a logarithmic axis of ratios.

use super::svg::{Anchor, Scale, Svg, short};
use super::{Floor, Report, Row, Verdict};
use crate::cases::Goal;
use crate::peer::Name;

const WIDTH: f64 = 900.0;
/// Of the names on the left, and of the figures on the right.
const MARGINS: (f64, f64) = (200.0, 80.0);
const ROW: f64 = 20.0;
const HEAD: f64 = 88.0;

/// A file of its own.
pub(crate) fn picture(report: &Report) -> String {
    let (svg, size) = draw(report);
    svg.alone(size, LABEL)
}

/// A part of the page.
pub(super) fn inline(report: &Report) -> String {
    let (svg, size) = draw(report);
    svg.inline(size, LABEL)
}

const LABEL: &str = "Ratio of jenny to Tokio and to smol in each case";

fn draw(report: &Report) -> (Svg, (f64, f64)) {
    let groups = groups(report);
    let rows: usize = groups.iter().map(|(_, rows)| rows.len() + 1).sum();
    let bottom = HEAD + rows as f64 * ROW + 6.0;
    let scale = scale(report);
    let mut svg = Svg::default();
    legend(&mut svg);
    for tick in scale.ticks() {
        let x = scale.at(tick);
        let class = if tick == 1.0 { "axis" } else { "grid" };
        svg.line((x, HEAD - 4.0), (x, bottom), class);
        svg.text((x, HEAD - 10.0), Anchor::Middle, "muted", &short(tick));
    }
    let mut y = HEAD;
    for (title, rows) in groups {
        y += ROW;
        svg.text((8.0, y - 5.0), Anchor::Start, "title", title);
        for row in rows {
            y += ROW;
            svg.group(&tip(row), |svg| dots(svg, row, &scale, y - ROW / 2.0));
        }
    }
    (svg, (WIDTH, bottom + 8.0))
}

fn legend(svg: &mut Svg) {
    let y = 20.0;
    svg.text((8.0, y), Anchor::Start, "title", "jenny's time over the peer's: left is better");
    svg.dot((400.0, y - 4.0), 4.5, "jenny");
    svg.text((410.0, y), Anchor::Start, "", "over Tokio's");
    svg.dot((500.0, y - 4.0), 4.5, "missed");
    svg.text((510.0, y), Anchor::Start, "", "… above the goal");
    svg.diamond((630.0, y - 4.0), 5.0, "goal");
    svg.text((642.0, y), Anchor::Start, "", "the goal, if not 1");
    svg.dot((768.0, y - 4.0), 3.5, "smol hollow thin");
    svg.text((778.0, y), Anchor::Start, "", "over smol's");
    let y = y + 22.0;
    svg.dot((500.0, y - 4.0), 4.5, "floor");
    svg.text((510.0, y), Anchor::Start, "", "… a goal below the floor");
    floor(svg, 672.0, y - 4.0);
    svg.text((680.0, y), Anchor::Start, "", "the floor: no runtime at all");
}

/// The rows by group, in order. What is there only for a curve is left to the curve.
fn groups(report: &Report) -> Vec<(&'static str, Vec<&Row>)> {
    let mut groups: Vec<(_, Vec<_>)> = Vec::new();
    let for_a_curve = |row: &&Row| row.curve.is_some() && row.goal.is_parity();
    for row in report.rows.iter().filter(|row| !for_a_curve(row)) {
        match groups.last_mut() {
            Some((title, rows)) if *title == row.group => rows.push(row),
            _ => groups.push((row.group, vec![row])),
        }
    }
    groups
}

/// Wide enough for every median; an interval may end at the edge, and a floor be beyond it.
fn scale(report: &Report) -> Scale {
    let peers = report.rows.iter().flat_map(|row| [row.of(Name::Tokio), row.of(Name::Smol)]);
    let medians = peers.flatten().map(|figures| figures.ratio.median);
    let (low, high) =
        medians.fold((0.1_f64, 1.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    Scale {
        values: (low * 0.8, high * 1.4),
        places: (MARGINS.0, WIDTH - MARGINS.1),
        logarithmic: true,
    }
}

fn dots(svg: &mut Svg, row: &Row, scale: &Scale, y: f64) {
    let (left, right) = scale.places;
    svg.text((left - 10.0, y + 4.0), Anchor::End, "", row.case);
    svg.line((left, y), (right, y), "grid");
    if let Some(smol) = row.of(Name::Smol) {
        let y = y + 4.0;
        svg.line((scale.at(smol.ratio.low), y), (scale.at(smol.ratio.high), y), "smol thin");
        svg.dot((scale.at(smol.ratio.median), y), 3.0, "smol hollow thin");
    }
    let Some(tokio) = row.of(Name::Tokio) else { return };
    let class = class(row.verdict);
    let y = y - 3.0;
    if let Some(Floor { ratio, .. }) = row.floor {
        floor(svg, scale.at(ratio.median), y);
    }
    let interval = format!("{class} wide");
    svg.line((scale.at(tokio.ratio.low), y), (scale.at(tokio.ratio.high), y), &interval);
    svg.dot((scale.at(tokio.ratio.median), y), 4.5, class);
    if !row.goal.is_parity() {
        svg.diamond((scale.at(goal_as_ratio(row, tokio.median)), y), 5.0, "goal");
    }
    let text = format!("{:.2}", tokio.ratio.median);
    svg.text((WIDTH - 12.0, y + 7.0), Anchor::End, class, &text);
}

/// A wall that no runtime gets behind.
fn floor(svg: &mut Svg, x: f64, y: f64) {
    svg.bar((x - 1.0, y - 6.0), (2.0, 12.0), "floor");
}

/// Of the dot and of the page's table.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met | Verdict::MetPerhaps => "jenny",
        Verdict::Missed | Verdict::MissedPerhaps => "missed",
        Verdict::BelowFloor => "floor",
    }
}

/// Where a goal in bytes or milliseconds stands on the axis.
fn goal_as_ratio(row: &Row, tokio: f64) -> f64 {
    match row.goal {
        Goal::OfTokio(ratio) => ratio,
        Goal::AtMost(value) => value / tokio,
    }
}

fn tip(row: &Row) -> String {
    let mut tip = format!("{}: {}\n", row.case, row.what);
    for figures in &row.figures {
        let (peer, ratio) = (figures.peer, figures.ratio);
        tip += &format!("{peer}: {:.1} {}", figures.median, row.unit.symbol());
        if peer != Name::Jenny {
            tip += &format!(", ratio {:.3} ({:.3} to {:.3})", ratio.median, ratio.low, ratio.high);
        }
        tip.push('\n');
    }
    if let Some(Floor { what, ratio }) = row.floor {
        tip += &format!("floor: {what}; {:.3} of Tokio\n", ratio.median);
    }
    tip + &format!("goal {}: {}", row.goal(), row.verdict.text())
}
