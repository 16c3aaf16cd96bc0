//! The plot: CPU per packet, delay and memory against the number of viewers, one line a server.
//!
//! Scales are logarithmic, because servers differ by factors. Colours stand on light and dark grounds; the file follows
//! the reader's choice of those and needs nothing from outside.

use crate::load::Load;
use crate::run::Measured;
use crate::servers::Kind;
use crate::stats::{Point, Results};
use std::fmt::{Error, Write};

const WIDTH: f64 = 1080.0;
const HEIGHT: f64 = 400.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 340.0;
/// Of one panel, its axis labels included.
const PANEL: f64 = WIDTH / 3.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}\
.title{font-weight:600;font-size:13px}\
.small{font-size:11px;fill:#57606a}.striped{stroke:#54aeff;fill:#54aeff}\
.grid{stroke:#d0d7de;stroke-width:1}\
.line{fill:none;stroke-width:2}\
.second{stroke-dasharray:5 4;stroke-width:1.5}\
.floor{stroke:#6e7781;fill:#6e7781}\
.relay{stroke:#0969da;fill:#0969da}\
.webrtc{stroke:#bc4c00;fill:#bc4c00}\
.pion{stroke:#1a7f37;fill:#1a7f37}\
.janus{stroke:#cf222e;fill:#cf222e}\
.janus-tuned{stroke:#8250df;fill:#8250df}.baseline{stroke:#57606a;fill:#57606a}.striped{stroke:#54aeff;fill:#54aeff}\
path.line{fill:none}\
@media (prefers-color-scheme:dark){\
text{fill:#e6edf3}.small{fill:#9198a1}.grid{stroke:#3d444d}\
.floor{stroke:#9198a1;fill:#9198a1}.relay{stroke:#4493f8;fill:#4493f8}.webrtc{stroke:#f0883e;fill:#f0883e}\
.pion{stroke:#3fb950;fill:#3fb950}.janus{stroke:#ff7b72;fill:#ff7b72}\
.janus-tuned{stroke:#ab7df8;fill:#ab7df8}.baseline{stroke:#8c959f;fill:#8c959f}.striped{stroke:#79c0ff;fill:#79c0ff}path.line{fill:none}}";

/// One diagram.
struct Panel {
    title: &'static str,
    unit: &'static str,
    /// Drawn whole, and dashed.
    first: fn(&Measured) -> f64,
    second: Option<fn(&Measured) -> f64>,
    shows: fn(&Point) -> bool,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "CPU per packet delivered",
        unit: "\u{b5}s",
        first: |median| median.cpu_us,
        second: None,
        shows: |_| true,
    },
    Panel {
        title: "Delay to the last viewer: p50, p99 dashed",
        unit: "ms",
        first: |median| median.p50_ms,
        second: Some(|median| median.p99_ms),
        shows: |_| true,
    },
    Panel {
        title: "Memory per viewer",
        unit: "KiB",
        first: |median| median.rss_kib,
        second: None,
        // The floor has no viewers; one viewer's share is a server's own start.
        shows: |point| point.kind != Kind::Floor && point.load.viewers > 1,
    },
];

pub(crate) fn render(results: &Results) -> Result<String, Error> {
    // Of the loads with the most packets a frame; the comparison at two packets is the table's alone.
    let all = results.loads();
    let packets = all.iter().map(|load| load.packets).max().unwrap_or(0);
    let loads: Vec<Load> = all.into_iter().filter(|load| load.packets == packets && !load.feedback).collect();
    let mut svg = String::new();
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="CPU, delay and memory of WebRTC relays against the number of viewers">"#
    )?;
    writeln!(svg, "<style>{STYLE}</style>")?;
    legend(&mut svg, results)?;
    for (at, panel) in PANELS.iter().enumerate() {
        draw(&mut svg, panel, results, &loads, PANEL * at as f64)?;
    }
    writeln!(
        svg,
        r#"<text class="small" x="{LEFT}" y="{:.0}">{packets} packets a frame, 60 frames/s, AES-128-GCM; {}, {} cores; medians of {} rounds</text>"#,
        HEIGHT - 10.0,
        escape(&results.facts.cpu),
        results.facts.cores,
        results.rounds
    )?;
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

fn legend(svg: &mut String, results: &Results) -> Result<(), Error> {
    let mut x = LEFT;
    for kind in Kind::ALL.into_iter().filter(|kind| results.points.iter().any(|point| point.kind == *kind)) {
        let class = class(kind);
        writeln!(svg, r#"<path class="line {class}" d="M{x:.0} 22h22"/>"#)?;
        writeln!(svg, r#"<text x="{:.0}" y="26">{}</text>"#, x + 28.0, kind.name())?;
        x += 48.0 + 7.5 * kind.name().len() as f64;
    }
    Ok(())
}

fn draw(svg: &mut String, panel: &Panel, results: &Results, loads: &[Load], left: f64) -> Result<(), Error> {
    let value = |point: &Point, pick: fn(&Measured) -> f64| {
        let value = pick(&point.median);
        ((panel.shows)(point) && value.is_finite() && value > 0.0).then_some(value)
    };
    let picks: Vec<_> = [Some(panel.first), panel.second].into_iter().flatten().collect();
    let values: Vec<f64> = results
        .points
        .iter()
        .filter(|point| loads.contains(&point.load))
        .flat_map(|point| picks.iter().filter_map(|pick| value(point, *pick)))
        .collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    writeln!(svg, r#"<text class="title" x="{:.0}" y="64">{}</text>"#, left + LEFT, panel.title)?;
    if high == 0.0 {
        return Ok(());
    }
    let (bottom, top) = (below(low), above(high));
    let y = |value: f64| BOTTOM - (value / bottom).ln() / (top / bottom).ln() * (BOTTOM - TOP);
    let (from, to) = (left + LEFT, left + PANEL - RIGHT);
    let step = (to - from) / loads.len().max(1) as f64;
    let x = |at: usize| from + step * (at as f64 + 0.5);
    for tick in ticks(bottom, top) {
        let y = y(tick);
        writeln!(svg, r#"<path class="grid" d="M{from:.1} {y:.1}H{to:.1}"/>"#)?;
        writeln!(
            svg,
            r#"<text class="small" text-anchor="end" x="{:.1}" y="{:.1}">{tick}</text>"#,
            from - 6.0,
            y + 4.0
        )?;
    }
    writeln!(
        svg,
        r#"<text class="small" text-anchor="end" x="{:.1}" y="{:.1}">{}</text>"#,
        from - 6.0,
        TOP - 12.0,
        panel.unit
    )?;
    for (at, load) in loads.iter().enumerate() {
        writeln!(
            svg,
            r#"<text class="small" text-anchor="middle" x="{:.1}" y="{:.1}">{}</text>"#,
            x(at),
            BOTTOM + 18.0,
            load.viewers
        )?;
    }
    writeln!(
        svg,
        r#"<text class="small" text-anchor="middle" x="{:.1}" y="{:.1}">viewers</text>"#,
        f64::midpoint(from, to),
        BOTTOM + 34.0
    )?;
    for kind in Kind::ALL {
        for (number, pick) in picks.iter().enumerate() {
            let places: Vec<(f64, f64)> = loads
                .iter()
                .enumerate()
                .filter_map(|(at, load)| Some((x(at), y(value(results.point(kind, *load)?, *pick)?))))
                .collect();
            let dashed = if number == 0 { "" } else { " second" };
            line(svg, &places, &format!("{}{dashed}", class(kind)))?;
        }
    }
    Ok(())
}

fn line(svg: &mut String, places: &[(f64, f64)], class: &str) -> Result<(), Error> {
    let Some((first, rest)) = places.split_first() else { return Ok(()) };
    let mut path = format!("M{:.1} {:.1}", first.0, first.1);
    for (x, y) in rest {
        write!(path, "L{x:.1} {y:.1}")?;
    }
    writeln!(svg, r#"<path class="line {class}" d="{path}"/>"#)?;
    for (x, y) in places {
        writeln!(svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#)?;
    }
    Ok(())
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Floor => "floor",
        Kind::Relay => "relay",
        Kind::RelayStriped => "striped",
        Kind::Baseline => "baseline",
        Kind::Webrtc => "webrtc",
        Kind::Pion => "pion",
        Kind::Janus => "janus",
        Kind::JanusTuned => "janus-tuned",
    }
}

/// 1, 2 and 5 times the powers of ten, from one to the other.
fn ticks(from: f64, to: f64) -> impl Iterator<Item = f64> {
    (-3..8)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
        // Written as short as it is.
        .map(|tick| (tick * 1000.0).round() / 1000.0)
        .filter(move |tick| (from..=to).contains(tick))
}

fn below(value: f64) -> f64 {
    ticks(0.0, value).last().unwrap_or(value)
}

fn above(value: f64) -> f64 {
    ticks(value, f64::INFINITY).next().unwrap_or(value)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
