//! The table: a column for each contestant, ratios against the better mode of Selkies.

use crate::case::Condition;
use crate::contestant::Kind;
use crate::goals::Goal;
use crate::results::Results;
use std::fmt::Write;

/// A figure of one case by its name, as the table has it.
type Single = (&'static str, &'static str, &'static str);

const CLEAR: [Single; 16] = [
    ("moving", "shown_share", "pictures shown of those drawn"),
    ("moving", "evenness_ms", "evenness, standard deviation, ms"),
    ("moving", "longest_ms", "longest time without a new picture, ms"),
    ("moving", "server_percent", "server, moving, % of a core"),
    ("moving", "screen_percent", "X server, moving, % of a core"),
    ("moving", "kbps", "used, moving, kbit/s"),
    ("moving", "torn", "half-drawn pictures"),
    ("moving", "looked_at", "  of pictures looked at"),
    ("moving", "psnr_db", "luma PSNR, moving, dB"),
    ("still", "psnr_db", "luma PSNR, 500 ms after the last change, dB"),
    ("corners", "server_percent", "server, two corners move, % of a core"),
    ("corners", "kbps", "used, two corners move, kbit/s"),
    ("corners", "shown_share", "pictures shown of those drawn, two corners"),
    ("idle", "server_percent", "server, idle, % of a core"),
    ("idle", "screen_percent", "X server, idle, % of a core"),
    ("idle", "kbps", "used, idle, kbit/s"),
];
const LINE: [Single; 6] = [
    ("moving", "shown_per_s", "pictures shown a second"),
    ("moving", "evenness_ms", "evenness, standard deviation, ms"),
    ("moving", "longest_ms", "longest time without a new picture, ms"),
    ("moving", "kbps", "used, kbit/s"),
    ("moving", "server_percent", "server, % of a core"),
    ("moving", "width", "width of the picture"),
];
const NAME: usize = 46;
const COLUMN: usize = 20;

pub(crate) fn render(results: &Results, goals: &[Goal]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let kinds = results.kinds();
    writeln!(
        text,
        "The same program, shown by each in the same browser, in turns; 1280x720 at 60 pictures a second"
    )?;
    writeln!(text, "{}", results.facts.join(", "))?;
    writeln!(
        text,
        "{} rounds; latencies are percentiles of all rounds, other figures medians of the rounds;",
        results.rounds
    )?;
    writeln!(text, "in brackets: multiples of the better mode of Selkies")?;
    for missing in &results.missing {
        writeln!(text, "left out: {missing}")?;
    }
    for condition in results.conditions() {
        writeln!(text)?;
        write!(text, "{:<NAME$}", condition.name())?;
        for kind in &kinds {
            write!(text, "{:>COLUMN$}", kind.name())?;
        }
        writeln!(text)?;
        for case in ["still", "moving", "corners"] {
            for percent in [50.0, 95.0, 99.0] {
                let of = |kind| results.key(kind, condition, case, percent);
                row(&mut text, results, &kinds, &format!("key to picture, {case}, p{percent}, ms"), of)?;
            }
            for percent in [50.0, 99.0] {
                let of = |kind| results.age(kind, condition, case, percent);
                row(&mut text, results, &kinds, &format!("drawn to shown, {case}, p{percent}, ms"), of)?;
            }
        }
        let singles = if condition == Condition::Clear { CLEAR.as_slice() } else { LINE.as_slice() };
        for (case, name, words) in singles {
            row(&mut text, results, &kinds, words, |kind| results.single(kind, condition, case, name))?;
        }
    }
    if !goals.is_empty() {
        writeln!(text, "\nGoals")?;
    }
    for goal in goals {
        writeln!(text, "  {:<8} {}", if goal.held { "held" } else { "NOT HELD" }, goal.text)?;
    }
    Ok(text)
}

/// Left out where nobody has the figure.
fn row(
    text: &mut String,
    results: &Results,
    kinds: &[Kind],
    words: &str,
    of: impl Fn(Kind) -> Option<f64>,
) -> std::fmt::Result {
    if kinds.iter().all(|kind| of(*kind).is_none()) {
        return Ok(());
    }
    write!(text, "{words:<NAME$}")?;
    let better = results.better(&of);
    for kind in kinds {
        let cell = of(*kind).map_or_else(
            || "-".to_owned(),
            |value| {
                let ratio = better.filter(|better| kind.is_ours() && *better > 0.0);
                let ratio = ratio.map(|better| format!(" ({:.2})", value / better)).unwrap_or_default();
                if value >= 1000.0 { format!("{value:.0}{ratio}") } else { format!("{value:.2}{ratio}") }
            },
        );
        write!(text, "{cell:>COLUMN$}")?;
    }
    writeln!(text)
}
