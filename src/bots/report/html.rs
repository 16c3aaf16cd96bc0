//! The page of a run: one file, nothing loaded from anywhere, no script.

use super::outcome::Outcome;
use super::summary::{METRICS, Summary, fairness, metric, together};
use super::svg::{Axis, Plot, escape};
use super::{Ending, Report, Second};
use crate::bots::card::Step;
use crate::bots::spread::{Spread, jain, quantile};
use std::fmt::Write as _;

/// The figures at the top.
const TILES: [(&str, &str); 10] = [
    ("first-frame-p95", "first frame, 95 %"),
    ("fps-p50", "frames a second, median"),
    ("missing-frames", "frames missing"),
    ("late-frames", "frames late"),
    ("freezes-200ms", "freezes over 200 ms"),
    ("loss", "packets lost"),
    ("glass-p50", "glass to glass, median"),
    ("input-p50", "input to picture, median"),
    ("kbps-p50", "video a viewer, median"),
    ("fairness-min", "fairness, least"),
];
/// Seconds of a run in a plot over time.
const MOST_SECONDS: usize = 7_200;

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let summary = &report.summary;
    let (class, line) = match report.ending() {
        Ending::Passed => ("passed", report.ending_line()),
        Ending::Failed => ("failed", report.ending_line()),
        Ending::Void => ("void", report.ending_line()),
    };
    let sessions = summary.sessions().len();
    let title =
        format!("{} bots on {sessions} {}", summary.bots.len(), plural(sessions, "session", "sessions"));
    let mut page = String::with_capacity(256 * 1024);
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Playgate: {title}</title><style>{}</style><main><header><div><h1>{title}</h1>\
         <p class=\"soft\">{}, {} full, {} light, begun {}, {:.0} s</p></div><p class=\"soft\">{} cores, {}<br>{}, playgate {} \
         ({}), load {}</p></header><p class=\"ending {class}\">{}</p>",
        include_str!("page.css"),
        escape(&report.game),
        summary.full(),
        summary.bots.len() - summary.full(),
        report.begun,
        report.took.as_secs_f64(),
        report.machine.cores,
        escape(&report.machine.processor),
        escape(&report.machine.system),
        report.machine.version,
        report.machine.profile,
        escape(&report.machine.load),
        escape(&line),
    );
    tiles(&mut page, summary);
    page.push_str("<div class=\"plots\">");
    figure(
        &mut page,
        "Getting in",
        "From setting out to each step: a stroke for every bot, the thick one is the median.",
        joins(summary),
    );
    figure(
        &mut page,
        "Between two pictures",
        "Share of gaps up to a length; whole frames, or decoded ones of full bots.",
        gaps(summary),
    );
    figure(
        &mut page,
        "Delays",
        "Share of frames and inputs up to a delay. Packets: behind the best seen of that stream. Glass and input: absolute.",
        delays(summary),
    );
    figure(
        &mut page,
        "Bitrate over time",
        "Video to a viewer, UDP payload, second by second.",
        over_time(summary, "kbit/s", |second| f64::from(second.bytes) * 8.0 / 1000.0),
    );
    figure(
        &mut page,
        "Frames a second over time",
        "Shown by full bots, whole for light ones.",
        over_time(summary, "frames/s", |second| f64::from(second.frames)),
    );
    figure(
        &mut page,
        "Fairness over time",
        "Jain's index of the bytes to a session's viewers in a second: 1 is equal. Mean of the sessions, and the least.",
        fairness_over_time(summary),
    );
    page.push_str("</div>");
    expectations(&mut page, report);
    session_table(&mut page, summary);
    figures(&mut page, summary);
    bots(&mut page, summary);
    plan(&mut page, report);
    page.push_str("</main></html>\n");
    page
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

fn tiles(page: &mut String, summary: &Summary) {
    page.push_str("<div class=\"tiles\">");
    for (name, words) in TILES {
        let Some((metric, value)) = metric(name).and_then(|metric| Some((metric, (metric.of)(summary)?)))
        else {
            continue;
        };
        let _ = write!(
            page,
            "<div class=\"tile\"><b>{}</b><span class=\"soft\">{words}</span></div>",
            metric.unit.show(value)
        );
    }
    page.push_str("</div>");
}

fn figure(page: &mut String, title: &str, words: &str, plot: Option<String>) {
    let Some(plot) = plot else { return };
    let _ = write!(page, "<figure><h2>{title}</h2><figcaption>{words}</figcaption>{plot}</figure>");
}

fn joins(summary: &Summary) -> Option<String> {
    let steps: Vec<(Step, Vec<f64>)> = Step::ALL
        .into_iter()
        .map(|step| (step, summary.step(step)))
        .filter(|(_, times)| !times.is_empty())
        .collect();
    let all = || steps.iter().flat_map(|(_, times)| times.iter().copied());
    let (least, most) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    let rows = steps.len() as f64;
    let x = Axis::log(least.max(0.5), most, "milliseconds since the bot set out");
    let mut plot = Plot::new("Join steps", x, Axis::linear(0.0, rows, ""), 60.0 + 30.0 * rows);
    let mut ticks = Vec::new();
    for (row, (step, times)) in steps.iter().enumerate() {
        let y = rows - row as f64 - 0.5;
        for time in times {
            plot.stroke("a", *time, y, 0.22, &format!("{}: {time:.0} ms", step.name()));
        }
        if let Some(median) = quantile(times.clone(), 0.5) {
            plot.stroke("b median", median, y, 0.38, &format!("{}, median: {median:.0} ms", step.name()));
        }
        ticks.push((y, step.name().to_owned()));
    }
    plot.legend("a", "a bot");
    plot.legend("b", "median");
    Some(plot.finish_with(&ticks, 40.0))
}

fn curves(title: &str, label: &str, curves: &[(&str, &str, &Spread)]) -> Option<String> {
    let filled: Vec<_> = curves.iter().filter(|(_, _, spread)| spread.count() > 0).collect();
    let ms = |share: f64| {
        let values = filled.iter().filter_map(move |(_, _, spread)| spread.quantile(share));
        values.map(|time| time.as_secs_f64() * 1000.0).collect::<Vec<_>>()
    };
    let most = ms(1.0).into_iter().reduce(f64::max)?;
    let least = ms(0.02).into_iter().reduce(f64::min)?;
    let mut plot =
        Plot::new(title, Axis::log(least.max(0.1), most, label), Axis::linear(0.0, 1.0, "share"), 280.0);
    for (class, name, spread) in filled {
        plot.line(class, &format!("{name} ({})", spread.count()), &spread.curve());
    }
    Some(plot.finish())
}

fn gaps(summary: &Summary) -> Option<String> {
    curves("Gaps between pictures", "milliseconds", &[("a", "gap", &summary.gaps)])
}

fn delays(summary: &Summary) -> Option<String> {
    curves(
        "Delays",
        "milliseconds",
        &[
            ("a", "first packet of a frame", &summary.first_delay),
            ("b", "last packet of a frame", &summary.last_delay),
            ("c", "glass to glass", &summary.glass),
            ("d", "input to picture", &summary.input),
        ],
    )
}

/// Median of the bots, and the band from the tenth to the ninetieth of a hundred.
fn over_time(summary: &Summary, label: &str, value: fn(&Second) -> f64) -> Option<String> {
    let begun = |bot: &Outcome| bot.seconds.iter().position(|second| second.bytes > 0);
    let last = |bot: &Outcome| bot.seconds.iter().rposition(|second| second.bytes > 0);
    let end = summary.bots.iter().filter_map(last).max()?.min(MOST_SECONDS);
    let (mut low, mut middle, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..end {
        let watching = summary
            .bots
            .iter()
            .filter(|bot| begun(bot).is_some_and(|from| from < at) && last(bot).is_some_and(|to| at < to));
        let values: Vec<f64> = watching.filter_map(|bot| bot.seconds.get(at)).map(value).collect();
        let x = at as f64;
        if let (Some(l), Some(m), Some(h)) =
            (quantile(values.clone(), 0.1), quantile(values.clone(), 0.5), quantile(values, 0.9))
        {
            low.push((x, l));
            middle.push((x, m));
            high.push((x, h));
        }
    }
    let most = high.iter().map(|(_, y)| *y).reduce(f64::max)?;
    let x = Axis::linear(0.0, end as f64, "seconds since the run began");
    let mut plot = Plot::new(label, x, Axis::linear(0.0, most * 1.08, label), 260.0);
    plot.band("a", "10 to 90 of 100 viewers", &low, &high);
    plot.line("a", "median", &middle);
    Some(plot.finish())
}

fn fairness_over_time(summary: &Summary) -> Option<String> {
    let sessions = summary.sessions();
    let many = sessions.iter().filter(|bots| bots.len() > 1);
    let windows: Vec<_> = many.filter_map(|bots| Some((bots, together(bots)?))).collect();
    let from = windows.iter().map(|(_, (from, _))| *from).min()?;
    let to = windows.iter().map(|(_, (_, to))| *to).max()?.min(MOST_SECONDS);
    let (mut mean, mut least) = (Vec::new(), Vec::new());
    for at in from..to {
        let open = windows.iter().filter(|(_, (from, to))| (*from..*to).contains(&at));
        let values: Vec<f64> = open
            .filter_map(|(bots, _)| {
                let bytes =
                    bots.iter().map(|bot| bot.seconds.get(at).map_or(0.0, |second| f64::from(second.bytes)));
                jain(&bytes.collect::<Vec<f64>>())
            })
            .collect();
        if let Some(smallest) = values.iter().copied().reduce(f64::min) {
            mean.push((at as f64, values.iter().sum::<f64>() / values.len() as f64));
            least.push((at as f64, smallest));
        }
    }
    let smallest = least.iter().map(|(_, y)| *y).reduce(f64::min)?;
    let floor = if smallest > 0.9 { 0.9 } else { 0.0 };
    let x = Axis::linear(0.0, to as f64, "seconds since the run began");
    let mut plot = Plot::new("Fairness", x, Axis::linear(floor, 1.0, "Jain's index"), 260.0);
    plot.line("b", "least fair session", &least);
    plot.line("a", "mean of the sessions", &mean);
    Some(plot.finish())
}

fn expectations(page: &mut String, report: &Report) {
    if report.verdicts.is_empty() {
        return;
    }
    page.push_str("<section><h2>Expectations</h2><table><tr><th>expected<th>measured<th>");
    for verdict in &report.verdicts {
        let (class, word) = if verdict.held { ("held", "held") } else { ("broken", "did not hold") };
        let _ = write!(
            page,
            "<tr><td><code>{}</code><td>{}<td class=\"{class}\">{word}",
            escape(&verdict.text),
            escape(&verdict.value)
        );
    }
    page.push_str("</table></section>");
}

fn session_table(page: &mut String, summary: &Summary) {
    page.push_str(
        "<section><h2>Sessions</h2><table><tr><th>session<th class=\"n\">bots<th class=\"n\">first frame, slowest\
         <th class=\"n\">frames/s, least<th class=\"n\">missing<th class=\"n\">late<th class=\"n\">freezes &gt; 200 ms\
         <th class=\"n\">lost<th class=\"n\">kbit/s, mean<th class=\"n\">fairness",
    );
    for (number, bots) in summary.sessions().iter().enumerate() {
        let sum = |pick: fn(&Outcome) -> u64| bots.iter().map(|bot| pick(bot)).sum::<u64>();
        let first = bots.iter().filter_map(|bot| bot.first_frame).max();
        let fps = bots.iter().map(|bot| bot.fps()).reduce(f64::min);
        let kbps = bots.iter().map(|bot| bot.kbps()).sum::<f64>() / bots.len().max(1) as f64;
        let _ = write!(
            page,
            "<tr><td>{number}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}\
             <td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{kbps:.0}<td class=\"n\">{}",
            bots.len(),
            first.map_or_else(dash, |time| format!("{} ms", time.as_millis())),
            fps.map_or_else(dash, |fps| format!("{fps:.1}")),
            sum(|bot| bot.totals.missing),
            sum(|bot| bot.totals.late),
            sum(|bot| bot.totals.freezes[2]),
            sum(|bot| bot.totals.lost),
            fairness(bots).map_or_else(dash, |index| format!("{index:.4}")),
        );
    }
    page.push_str("</table></section>");
}

fn figures(page: &mut String, summary: &Summary) {
    page.push_str("<section><details><summary>All figures</summary><table><tr><th>name<th class=\"n\">value<th>what it is");
    for metric in METRICS {
        let value = (metric.of)(summary).map_or_else(dash, |value| metric.unit.show(value));
        let _ = write!(
            page,
            "<tr><td><code>{}</code><td class=\"n\">{value}<td class=\"w\">{}",
            metric.name,
            escape(metric.means)
        );
    }
    page.push_str("</table></details></section>");
}

fn bots(page: &mut String, summary: &Summary) {
    page.push_str(
        "<section><details><summary>Every bot</summary><table><tr><th class=\"n\">bot<th>session<th>who<th>mode\
         <th class=\"n\">first frame<th class=\"n\">frames<th class=\"n\">frames/s<th class=\"n\">missing<th class=\"n\">late\
         <th class=\"n\">frozen<th class=\"n\">lost<th class=\"n\">repaired<th class=\"n\">kbit/s<th class=\"n\">reconnects<th>",
    );
    for bot in &summary.bots {
        let _ = write!(
            page,
            "<tr><td class=\"n\">{}<td>{}<td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{:.1}\
             <td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{} ms<td class=\"n\">{}<td class=\"n\">{}\
             <td class=\"n\">{:.0}<td class=\"n\">{}<td class=\"w broken\">{}",
            bot.index,
            bot.session,
            bot.kind_name(),
            bot.mode_name(),
            bot.first_frame.map_or_else(dash, |time| format!("{} ms", time.as_millis())),
            bot.frames(),
            bot.fps(),
            bot.totals.missing,
            bot.totals.late,
            bot.totals.frozen.as_millis(),
            bot.totals.lost,
            bot.totals.repaired,
            bot.kbps(),
            bot.reconnects(),
            escape(bot.error.as_deref().unwrap_or_default()),
        );
    }
    page.push_str("</table></details></section>");
}

fn plan(page: &mut String, report: &Report) {
    page.push_str("<section><details><summary>The run</summary><table>");
    for (key, value) in &report.plan {
        let _ = write!(page, "<tr><td>{key}<td class=\"w\"><code>{}</code>", escape(value));
    }
    let drops = report.drops.map_or_else(|| "unknown".to_owned(), |drops| drops.to_string());
    let _ = write!(page, "<tr><td>dropped at the bots' own sockets<td>{drops}</table></details></section>");
}

fn dash() -> String {
    "–".to_owned()
}
