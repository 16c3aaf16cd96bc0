//! The table: a row per load and server, beside the machine's facts.

use crate::goals::Goal;
use crate::load::{Load, PAYLOAD};
use crate::servers::Kind;
use crate::stats::{Point, Results};
use std::fmt::Write;

/// Less than this came in time: worth a word.
const WHOLE: f64 = 0.999;

pub(crate) fn render(results: &Results, goals: &[Goal]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "One source to many viewers: medians of {} rounds of {} s each, servers in turn, each run a process of its own",
        results.rounds, results.seconds
    )?;
    let quiet = if results.is_busy() { ": NOT A QUIET MACHINE" } else { "" };
    writeln!(text, "{}", results.facts.line())?;
    writeln!(text, "others kept {:.2} CPUs busy in the median run{quiet}", results.others())?;
    let versions = results.facts.versions.iter().map(|(name, version)| format!("{name} {version}"));
    writeln!(text, "{}", versions.collect::<Vec<_>>().join(", "))?;
    writeln!(text, "60 frames/s, payloads of {PAYLOAD} bytes, loopback; took {:.0} s", results.took_s)?;
    writeln!(text)?;
    writeln!(
        text,
        "CPU: the server process, per packet that arrived. Delay: a frame's first packet into the server to the"
    )?;
    writeln!(
        text,
        "last viewer's last packet of it, by the kernel's clock. Memory: resident, per viewer after the first."
    )?;
    writeln!(
        text,
        "Allocs: how often a server asked for memory, per packet that arrived; other processes do not tell."
    )?;
    for load in results.loads() {
        writeln!(text)?;
        section(&mut text, results, load)?;
    }
    for failure in &results.failures {
        writeln!(text, "\nfailed: {failure}")?;
    }
    if !goals.is_empty() {
        writeln!(text, "\nGoals of this relay")?;
    }
    for goal in goals {
        writeln!(text, "  {:<8} {}", if goal.held { "held" } else { "NOT HELD" }, goal.text)?;
    }
    Ok(text)
}

fn section(text: &mut String, results: &Results, load: Load) -> std::fmt::Result {
    let speak = if load.feedback { ", who report and lose one packet in 200" } else { "" };
    writeln!(text, "{} viewers, {} packets a frame{speak}", load.viewers, load.packets)?;
    writeln!(
        text,
        "{:>14} {:>8} {:>8} {:>6} {:>10} {:>8} {:>8} {:>10} {:>7} {:>6}  cipher",
        "", "CPU us", "x floor", "CPUs", "delivered", "p50 ms", "p99 ms", "KiB/viewer", "allocs", "bytes"
    )?;
    for point in Kind::ALL.iter().filter_map(|kind| results.point(*kind, load)) {
        let median = &point.median;
        writeln!(
            text,
            "{:>14} {:>8.2} {:>8.2} {:>6.2} {:>8.1} % {:>8.2} {:>8.2} {:>10} {:>7} {:>6}  {}{}",
            point.kind.name(),
            median.cpu_us,
            point.of_floor,
            median.cpus,
            median.delivered * 100.0,
            median.p50_ms,
            median.p99_ms,
            // The floor has no viewers, only addresses.
            if point.kind == Kind::Floor { "-".to_owned() } else { format!("{:.0}", median.rss_kib) },
            median.allocations.map_or_else(|| "-".to_owned(), |count| format!("{count:.3}")),
            median.bytes,
            median.cipher,
            remarks(point)
        )?;
    }
    Ok(())
}

/// What is wrong with a row.
fn remarks(point: &Point) -> String {
    let median = &point.median;
    let mut words = Vec::new();
    if median.viewer_drops > 0 {
        words.push(format!("VOID: receivers dropped {}", median.viewer_drops));
    }
    if median.ingest_drops > 0 {
        words.push(format!("its ingest queue was full: {} packets of the source lost", median.ingest_drops));
    }
    if median.late > 1.0 - WHOLE {
        words.push(format!("its queue fills: {:.1} % came up to 1 s late", median.late * 100.0));
    }
    let lost = 1.0 - median.delivered - median.late;
    if lost > 1.0 - WHOLE && median.viewer_drops == 0 {
        words.push(format!("{:.1} % never came", lost * 100.0));
    }
    if words.is_empty() { String::new() } else { format!("  ({})", words.join("; ")) }
}
