//! As much of SVG as the pictures need. Colours are classes, so that one style sheet serves light
//! and dark.

use std::fmt::Write as _;

/// For the page and for pictures that stand alone.
pub(crate) const STYLE: &str = "\
:root{--back:#fff;--text:#1f2328;--muted:#636c76;--grid:#d8dee4;\
--jenny:#0b7a6b;--tokio:#6f42c1;--smol:#b35900;--missed:#c5302b;--floor:#6e7781}\
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--muted:#9198a1;\
--grid:#30363d;--jenny:#3ddbc3;--tokio:#bc9bff;--smol:#f0a04b;--missed:#ff7b72;\
--floor:#848d97}}\
svg text{font:12px system-ui,sans-serif;fill:var(--text)}\
svg .back{fill:var(--back)}svg .muted{fill:var(--muted)}svg .title{font-weight:600;font-size:13px}\
svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--muted)}\
svg .line{fill:none;stroke-width:2}svg .wide{stroke-width:3}\
svg .thin{stroke-width:1.5}svg .goal{fill:none;stroke:var(--text);stroke-width:1.5}\
svg .hollow{fill:var(--back)}\
svg .jenny{fill:var(--jenny);stroke:var(--jenny)}svg .tokio{fill:var(--tokio);stroke:var(--tokio)}\
svg .smol{fill:var(--smol);stroke:var(--smol)}svg .missed{fill:var(--missed);stroke:var(--missed)}\
svg .floor{fill:var(--floor);stroke:var(--floor)}\
svg .line.jenny,svg .line.tokio,svg .line.smol,svg .line.floor{fill:none}svg .smol.hollow{fill:var(--back)}\
svg text.jenny,svg text.tokio,svg text.smol,svg text.missed,svg text.floor{stroke:none}";

/// Where a text stands to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture under construction.
#[derive(Debug, Default)]
pub(crate) struct Svg(String);

impl Svg {
    pub(crate) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{}</text>"#,
            escape(text)
        ));
    }

    pub(crate) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.push(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        ));
    }

    pub(crate) fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        self.push(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" class="{class}"/>"#
        ));
    }

    pub(crate) fn diamond(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        self.push(format_args!(
            r#"<path d="M{x:.1} {:.1}l{radius} {radius}l-{radius} {radius}l-{radius} -{radius}z" class="{class}"/>"#,
            y - radius
        ));
    }

    pub(crate) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str) {
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" class="{class}"/>"#
        ));
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        let mut list = String::new();
        for (x, y) in points {
            write!(list, "{x:.1},{y:.1} ").expect("a string");
        }
        self.push(format_args!(r#"<polyline points="{}" class="line {class}"/>"#, list.trim_end()));
    }

    /// What `draw` draws, with a text that shows under the mouse.
    pub(crate) fn group(&mut self, tip: &str, draw: impl FnOnce(&mut Self)) {
        self.push(format_args!("<g><title>{}</title>", escape(tip)));
        draw(self);
        self.push(format_args!("</g>"));
    }

    /// For a page with [`STYLE`]. The label is for those who hear it.
    pub(crate) fn inline(&self, (width, height): (f64, f64), label: &str) -> String {
        format!(
            r#"<svg viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{}">{}</svg>"#,
            escape(label),
            self.0
        )
    }

    pub(crate) fn alone(&self, (width, height): (f64, f64), label: &str) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{}"><style>{STYLE}</style><rect width="100%" height="100%" class="back"/>{}</svg>
"#,
            escape(label),
            self.0
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.0.write_fmt(element).expect("a string");
        self.0.push('\n');
    }
}

/// For text and for attributes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Maps values to places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) values: (f64, f64),
    pub(crate) places: (f64, f64),
    pub(crate) logarithmic: bool,
}

impl Scale {
    /// Values beyond the scale are drawn at its end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let bent = |value: f64| if self.logarithmic { value.ln() } else { value };
        let part = (bent(value.clamp(low, high)) - bent(low)) / (bent(high) - bent(low));
        self.places.0 + part * (self.places.1 - self.places.0)
    }

    /// Round values: on a logarithmic scale 1, 2 and 5 times a power of ten, on a short one more,
    /// otherwise about five steps.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.values;
        let inside = |value: &f64| (low * 0.999..=high * 1.001).contains(value);
        if self.logarithmic {
            let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let steps =
                powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
            return steps.filter(inside).collect();
        }
        let rough = (high - low) / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        (0..=(high / step) as u32).map(|tick| f64::from(tick) * step).filter(inside).collect()
    }
}

/// Without the digits that say nothing.
pub(crate) fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 || value == value.round() => format!("{value:.0}"),
        _ if value >= 0.1 => {
            format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.3}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_bends_and_clamps() {
        let scale = Scale { values: (0.01, 1.0), places: (0.0, 100.0), logarithmic: true };
        assert!((scale.at(0.1) - 50.0).abs() < 1e-9);
        assert_eq!((scale.at(0.0001), scale.at(7.0)), (0.0, 100.0));
        let upside_down = Scale { values: (0.0, 10.0), places: (50.0, 0.0), logarithmic: false };
        assert_eq!(upside_down.at(5.0), 25.0);
    }

    #[test]
    fn ticks_are_round() {
        let logarithmic = Scale { values: (0.01, 2.0), places: (0.0, 1.0), logarithmic: true };
        let texts: Vec<_> = logarithmic.ticks().into_iter().map(short).collect();
        assert_eq!(texts, ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]);
        let linear = Scale { values: (0.0, 105.0), places: (0.0, 1.0), logarithmic: false };
        assert_eq!(linear.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    }

    #[test]
    fn text_cannot_break_out() {
        let mut svg = Svg::default();
        svg.text((0.0, 0.0), Anchor::Start, "", "a < b & \"c\"");
        assert!(svg.inline((1.0, 1.0), "").contains("a &lt; b &amp; &quot;c&quot;"));
    }
}
