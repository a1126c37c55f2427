//! Lines over workers, over threads, and over latencies; bars of memory.

use super::svg::{Anchor, Scale, Svg, short};
use super::{Report, Row};
use crate::cases::{Point, Unit};
use crate::peer::Name;

/// Of the picture, and of the margins around the plot.
const SIZE: (f64, f64) = (440.0, 260.0);
const MARGINS: Margins = Margins { left: 48.0, right: 16.0, top: 46.0, bottom: 40.0 };

struct Margins {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// A line for each peer.
struct Chart<'a> {
    title: &'a str,
    across: &'a str,
    up: &'a str,
    /// Where the horizontal axis has its marks; it is logarithmic.
    marks: Option<Vec<f64>>,
    lines: Vec<(Name, Vec<(f64, f64)>)>,
}

impl Chart<'_> {
    fn draw(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let across =
            points().fold((f64::MAX, f64::MIN), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
        let highest = points().fold(0.0_f64, |high, (_, y)| high.max(*y));
        let (left, right) = (MARGINS.left, SIZE.0 - MARGINS.right);
        let (top, bottom) = (MARGINS.top, SIZE.1 - MARGINS.bottom);
        let x = Scale { values: across, places: (left, right), logarithmic: true };
        let y = Scale { values: (0.0, highest * 1.05), places: (bottom, top), logarithmic: false };

        let mut svg = Svg::default();
        svg.text((8.0, 16.0), Anchor::Start, "title", self.title);
        svg.text((8.0, 34.0), Anchor::Start, "muted", self.up);
        for tick in y.ticks() {
            svg.line((left, y.at(tick)), (right, y.at(tick)), "grid");
            svg.text((left - 6.0, y.at(tick) + 4.0), Anchor::End, "muted", &short(tick));
        }
        for mark in self.marks.clone().unwrap_or_else(|| x.ticks()) {
            svg.line((x.at(mark), bottom), (x.at(mark), bottom + 4.0), "axis");
            svg.text((x.at(mark), bottom + 17.0), Anchor::Middle, "muted", &short(mark));
        }
        svg.line((left, bottom), (right, bottom), "axis");
        svg.text(((left + right) / 2.0, SIZE.1 - 6.0), Anchor::Middle, "muted", self.across);
        for (place, (peer, points)) in (1..).zip(self.lines.iter().rev()) {
            let class = class(*peer);
            let points: Vec<_> =
                points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
            svg.polyline(&points, class);
            if self.marks.is_some() {
                points.iter().for_each(|point| svg.dot(*point, 3.5, class));
            }
            let at = (SIZE.0 - 60.0 * f64::from(place), 34.0);
            svg.text(at, Anchor::Start, class, &peer.to_string());
        }
        svg.inline(SIZE, self.title)
    }
}

fn class(peer: Name) -> &'static str {
    match peer {
        Name::Jenny => "jenny",
        Name::Tokio => "tokio",
        Name::Smol => "smol",
        Name::Floor => "floor",
    }
}

/// Throughput over workers and threads, for each curve of which there are at least two points.
pub(super) fn scaling(report: &Report) -> Vec<String> {
    let mut curves: Vec<(Point, Vec<(Point, &Row)>)> = Vec::new();
    for row in &report.rows {
        let Some(point) = row.curve else { continue };
        match curves.iter_mut().find(|(first, _)| first.curve == point.curve) {
            Some((_, points)) => points.push((point, row)),
            None => curves.push((point, vec![(point, row)])),
        }
    }
    curves.retain(|(_, points)| points.len() > 1);
    let chart = |(first, mut points): (Point, Vec<(Point, &Row)>)| {
        points.sort_by_key(|(point, _)| point.at);
        let line = |peer| {
            let place = |(point, row): &(Point, &Row)| {
                Some((f64::from(point.at), 1e3 / row.of(peer)?.median))
            };
            (peer, points.iter().filter_map(place).collect())
        };
        Chart {
            title: first.curve,
            across: first.over,
            up: "millions per second",
            marks: Some(points.iter().map(|(point, _)| f64::from(point.at)).collect()),
            lines: Name::PEERS.map(line).into(),
        }
        .draw()
    };
    curves.into_iter().map(chart).collect()
}

/// The latencies of the last case that has some: how many were shorter, and how they are spread.
pub(super) fn latencies(report: &Report) -> Vec<String> {
    let has = |row: &&Row| row.figures.iter().any(|figures| !figures.latencies.is_empty());
    let Some(row) = report.rows.iter().rev().find(has) else { return Vec::new() };
    let lines = |shape: fn(&[u64]) -> Vec<(f64, f64)>| {
        row.figures.iter().map(|figures| (figures.peer, shape(&figures.latencies))).collect()
    };
    let across = "microseconds from the wake to the poll";
    let chart = |title, up, lines| Chart { title, across, up, marks: None, lines }.draw();
    vec![
        chart("Waking a parked runtime", "percent that took less", lines(cumulated)),
        chart("The same, as a histogram", "percent of all", lines(histogram)),
    ]
}

/// In percent, at each of the quantiles that a screen can show. Of sorted nanoseconds.
fn cumulated(sorted: &[u64]) -> Vec<(f64, f64)> {
    const STEPS: usize = 250;
    let at = |step: usize| (sorted.len() - 1) * step / STEPS;
    // The last quarter of a percent is for the figures: one outlier would squeeze all the rest.
    (0..STEPS).map(|step| (micros(sorted[at(step)]), 100.0 * step as f64 / STEPS as f64)).collect()
}

/// In percent. Of sorted nanoseconds.
fn histogram(sorted: &[u64]) -> Vec<(f64, f64)> {
    /// Steps per doubling.
    const FINE: f64 = 8.0;
    let sorted = &sorted[..sorted.len() - sorted.len() / 250];
    let step = |nanos: u64| (micros(nanos).log2() * FINE).floor() as i32;
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let mut counts = vec![0_u32; (step(last) - step(first) + 1) as usize];
    sorted.iter().for_each(|&nanos| counts[(step(nanos) - step(first)) as usize] += 1);
    let share = |count: u32| 100.0 * f64::from(count) / sorted.len() as f64;
    let middle = |bucket: usize| ((f64::from(step(first)) + bucket as f64 + 0.5) / FINE).exp2();
    counts.iter().enumerate().map(|(bucket, &count)| (middle(bucket), share(count))).collect()
}

fn micros(nanos: u64) -> f64 {
    nanos.max(1) as f64 / 1e3
}

/// Bars for the cases that are measured in bytes, each as long as the largest of its case allows.
pub(super) fn memory(report: &Report) -> Option<String> {
    const BAR: f64 = 14.0;
    const WIDTH: f64 = 900.0;
    let rows: Vec<_> = report.rows.iter().filter(|row| row.unit == Unit::Bytes).collect();
    if rows.is_empty() {
        return None;
    }
    let (mut svg, mut y) = (Svg::default(), 8.0);
    for row in rows {
        svg.text((8.0, y + 12.0), Anchor::Start, "title", row.what);
        y += 20.0;
        let largest =
            row.figures.iter().fold(0.0_f64, |largest, figures| largest.max(figures.median));
        for figures in &row.figures {
            let width = figures.median / largest * (WIDTH - 220.0);
            svg.text((90.0, y + 11.0), Anchor::End, "", &figures.peer.to_string());
            svg.bar((100.0, y), (width, BAR - 2.0), class(figures.peer));
            let text = format!("{} B", short(figures.median));
            svg.text((106.0 + width, y + 11.0), Anchor::Start, "", &text);
            y += BAR;
        }
        y += 10.0;
    }
    Some(svg.inline((WIDTH, y), "Resident memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_counts_everything_once() {
        let sorted: Vec<u64> = (0..200).map(|n| 1000 + 97 * n).collect();
        let sum: f64 = histogram(&sorted).iter().map(|(_, share)| share).sum();
        assert!((sum - 100.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn cumulated_rises() {
        let sorted: Vec<u64> = (1..=1000).map(|n| n * n).collect();
        let line = cumulated(&sorted);
        assert!(line.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1));
        assert_eq!(line[0], (0.001, 0.0));
    }
}
