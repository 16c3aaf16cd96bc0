//! Plots as SVG text: axes, curves, bands, dots. Colours are classes, so that the page's style sheet decides them.

use std::fmt::Write as _;

const WIDTH: f64 = 580.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;
/// Points of a curve that are drawn; of more every so manyth is.
const POINTS: usize = 600;

/// How values become places.
#[derive(Debug, Clone, Copy)]
pub enum Scale {
    Linear,
    Log,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    pub from: f64,
    pub to: f64,
    pub scale: Scale,
    pub label: String,
}

impl Axis {
    #[must_use]
    pub fn linear(from: f64, to: f64, label: &str) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self { from, to, scale: Scale::Linear, label: label.to_owned() }
    }

    /// Whole powers of ten around the values.
    #[must_use]
    pub fn log(from: f64, to: f64, label: &str) -> Self {
        let from = 10_f64.powf(from.max(1e-3).log10().floor());
        let to = 10_f64.powf(to.max(from * 10.0).log10().ceil());
        Self { from, to, scale: Scale::Log, label: label.to_owned() }
    }

    /// 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value.max(1e-9) / self.from).log10() / (self.to / self.from).log10(),
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let raw = (self.to - self.from) / 5.0;
                let power = 10_f64.powf(raw.log10().floor());
                let step = [1.0, 2.0, 2.5, 5.0, 10.0]
                    .iter()
                    .map(|factor| factor * power)
                    .find(|step| *step >= raw * 0.999)
                    .unwrap_or(raw);
                let first = (self.from / step).ceil();
                (0..20)
                    .map(|n| (first + f64::from(n)) * step)
                    .take_while(|at| *at <= self.to * 1.0001)
                    .collect()
            }
            Scale::Log => {
                let decades = (self.to / self.from).log10().round();
                (0..=20_i32)
                    .take_while(|n| f64::from(*n) <= decades)
                    .map(|n| self.from * 10_f64.powi(n))
                    .collect()
            }
        }
    }
}

/// A plot being drawn.
#[derive(Debug)]
pub struct Plot {
    x: Axis,
    y: Axis,
    height: f64,
    body: String,
    legend: Vec<(String, String)>,
    title: String,
}

impl Plot {
    #[must_use]
    pub fn new(title: &str, x: Axis, y: Axis, height: f64) -> Self {
        Self { x, y, height, body: String::new(), legend: Vec::new(), title: title.to_owned() }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT),
            self.height - BOTTOM - self.y.share(y) * (self.height - TOP - BOTTOM),
        )
    }

    /// A curve; `class` names its colour.
    pub fn line(&mut self, class: &str, name: &str, points: &[(f64, f64)]) {
        if points.is_empty() {
            return;
        }
        let path = self.path(points);
        let _ = write!(self.body, "<path class=\"line {class}\" d=\"{path}\"/>");
        if !name.is_empty() {
            self.legend.push((class.to_owned(), name.to_owned()));
        }
    }

    /// The area between two curves over the same places.
    pub fn band(&mut self, class: &str, name: &str, low: &[(f64, f64)], high: &[(f64, f64)]) {
        if low.is_empty() || high.is_empty() {
            return;
        }
        let back: Vec<(f64, f64)> = low.iter().rev().copied().collect();
        let path = format!("{}{}Z", self.path(high), self.path(&back).replacen('M', "L", 1));
        let _ = write!(self.body, "<path class=\"band {class}\" d=\"{path}\"/>");
        self.legend.push(("soft-".to_owned() + class, name.to_owned()));
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let every = points.len().div_ceil(POINTS).max(1);
        let last = points.len() - 1;
        let mut path = String::new();
        for (n, point) in points.iter().enumerate().filter(|(n, _)| n % every == 0 || *n == last) {
            let (x, y) = self.at(*point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if n == 0 { 'M' } else { 'L' });
        }
        path
    }

    /// A dot, with words that show when it is pointed at.
    pub fn dot(&mut self, class: &str, point: (f64, f64), words: &str) {
        let (x, y) = self.at(point);
        let words = escape(words);
        let _ = write!(
            self.body,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{words}</title></circle>"
        );
    }

    /// A short upright stroke.
    pub fn stroke(&mut self, class: &str, x: f64, y: f64, half: f64, words: &str) {
        let ((x, low), (_, high)) = (self.at((x, y - half)), self.at((x, y + half)));
        let words = escape(words);
        let _ = write!(
            self.body,
            "<path class=\"stroke {class}\" d=\"M{x:.1} {low:.1}L{x:.1} {high:.1}\"><title>{words}</title></path>"
        );
    }

    pub fn legend(&mut self, class: &str, name: &str) {
        self.legend.push((class.to_owned(), name.to_owned()));
    }

    /// With a number for each place on the upright axis.
    #[must_use]
    pub fn finish(self) -> String {
        let ticks: Vec<(f64, String)> = self.y.ticks().into_iter().map(|at| (at, number(at))).collect();
        self.finish_with(&ticks, 0.0)
    }

    /// With words for places on the upright axis, which take so much room more.
    #[must_use]
    pub fn finish_with(self, ticks: &[(f64, String)], room: f64) -> String {
        let (right, bottom) = (WIDTH - RIGHT, self.height - BOTTOM);
        let mut svg = format!(
            "<svg viewBox=\"{} 0 {} {}\" role=\"img\" aria-label=\"{}\">",
            -room,
            WIDTH + room,
            self.height,
            escape(&self.title)
        );
        for at in self.x.ticks() {
            let (x, _) = self.at((at, self.y.from));
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 15.0,
                number(at)
            );
        }
        for (at, words) in ticks {
            let (_, y) = self.at((self.x.from, *at));
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                escape(words)
            );
        }
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            self.height - 6.0,
            escape(&self.x.label)
        );
        if !self.y.label.is_empty() {
            let middle = f64::midpoint(TOP, bottom);
            let _ = write!(
                svg,
                "<text class=\"label\" transform=\"translate(12 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                escape(&self.y.label)
            );
        }
        svg.push_str(&self.body);
        svg.push_str("</svg>");
        if !self.legend.is_empty() {
            svg.push_str("<ul class=\"legend\">");
            for (class, name) in &self.legend {
                let _ = write!(svg, "<li><i class=\"{class}\"></i>{}</li>", escape(name));
            }
            svg.push_str("</ul>");
        }
        svg
    }
}

fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 10_000.0 {
        format!("{}k", number(value / 1000.0))
    } else if magnitude >= 100.0 || (value - value.round()).abs() < 1e-9 {
        format!("{value:.0}")
    } else if magnitude >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Text as it may stand in HTML and SVG, also within quotation marks.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
