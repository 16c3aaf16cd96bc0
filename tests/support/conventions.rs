//! The naming conventions for metrics, checked on a scrape: what `promtool check metrics` and Prometheus's page "Metric and
//! label naming" ask for, and one kind of thing for each metric.

use std::collections::BTreeMap;

const PREFIX: &str = "playgate_";
/// Base units; others are written in these.
const UNITS: [&str; 2] = ["seconds", "bytes"];
/// Words that belong to no name: other units, and what the type says already.
const FORBIDDEN: [&str; 22] = [
    "ms",
    "milliseconds",
    "microseconds",
    "us",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "kb",
    "kib",
    "mb",
    "mib",
    "kilobytes",
    "megabytes",
    "bits",
    "kbps",
    "percent",
    "uptime",
    "counter",
    "gauge",
    "histogram",
    "metric",
];
/// Label values that end like this say that a metric counts several kinds of things.
const KINDS: [&str; 8] = ["bytes", "packets", "calls", "sends", "seconds", "ms", "frames", "connections"];

#[derive(Debug, Default)]
struct Family<'a> {
    help: &'a str,
    kind: &'a str,
    unit: Option<&'a str>,
}

/// Every breach of the conventions in a scrape, one line each.
pub(crate) fn breaches(scrape: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for line in scrape.lines().filter_map(|line| line.strip_prefix("# ")) {
        let mut words = line.splitn(3, ' ');
        let (Some(keyword), Some(name), text) = (words.next(), words.next(), words.next()) else { continue };
        let family = families.entry(name).or_default();
        let field = match keyword {
            "HELP" => &mut family.help,
            "TYPE" => &mut family.kind,
            "UNIT" => family.unit.insert(""),
            _ => continue,
        };
        if !field.is_empty() {
            breaches.push(format!("{name}: {keyword} twice"));
        }
        *field = text.unwrap_or_default();
    }
    for (name, family) in &families {
        breaches.extend(of_family(name, family).into_iter().map(|breach| format!("{name}: {breach}")));
    }
    for line in scrape.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Err(breach) = of_sample(line, &families) {
            breaches.push(format!("{line}: {breach}"));
        }
    }
    if scrape.lines().last() != Some("# EOF") {
        breaches.push("no # EOF at the end".to_owned());
    }
    breaches
}

fn of_family(name: &str, family: &Family<'_>) -> Vec<String> {
    let mut breaches = Vec::new();
    let words: Vec<&str> = name.split('_').collect();
    let mut want = |holds: bool, breach: String| {
        if !holds {
            breaches.push(breach);
        }
    };
    want(name.strip_prefix(PREFIX).is_some_and(|rest| !rest.starts_with(PREFIX)), format!("prefix {PREFIX}"));
    let is_plain =
        |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    want(words.iter().all(is_plain), "words of a-z and 0-9 between single underscores".to_owned());
    want(!family.help.trim_end_matches('.').is_empty(), "HELP".to_owned());
    let kinds = ["counter", "gauge", "histogram", "info"];
    want(kinds.contains(&family.kind), format!("a TYPE that is {}", family.kind));
    for word in words.iter().filter(|word| FORBIDDEN.contains(word)) {
        want(false, format!("{word} in a name"));
    }
    // OpenMetrics names the family of a counter without its suffix.
    let suffixes = ["total", "count", "sum", "bucket", "created"];
    want(
        !words.last().is_some_and(|word| suffixes.contains(word)),
        "a suffix that belongs to samples".to_owned(),
    );
    for unit in UNITS {
        let place = words.iter().position(|word| *word == unit);
        want(place.is_none_or(|place| place + 1 == words.len()), format!("{unit} is the last word"));
        want(place.is_none() || family.unit == Some(unit), format!("# UNIT {unit}"));
    }
    want(family.unit.is_none_or(|unit| words.last() == Some(&unit)), "its unit is its last word".to_owned());
    breaches
}

fn of_sample(line: &str, families: &BTreeMap<&str, Family<'_>>) -> Result<(), String> {
    let (name, rest) = line.split_at(line.find(['{', ' ']).ok_or("no value")?);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ").ok_or("labels without an end")?,
        None => ("", rest.trim_start()),
    };
    value.split(' ').next().and_then(|value| value.parse::<f64>().ok()).ok_or("no number")?;
    let family = |suffix: &str| families.get(name.strip_suffix(suffix)?);
    let is_histogram = ["_bucket", "_sum", "_count"]
        .into_iter()
        .any(|suffix| family(suffix).is_some_and(|family| family.kind == "histogram"));
    let is_counter = family("_total").is_some_and(|family| family.kind == "counter");
    let is_plain = families.get(name).is_some_and(|family| family.kind == "gauge" || family.kind == "info");
    if !(is_histogram || is_counter || is_plain) {
        return Err("no family with a HELP and a TYPE, or the wrong suffix for its type".to_owned());
    }
    for (label, value) in labels.split(',').filter_map(|label| label.split_once("=\"")) {
        let value = value.trim_end_matches('"');
        if !label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') || (label == "le" && !is_histogram) {
            return Err(format!("label {label}"));
        }
        if value.rsplit('_').next().is_some_and(|word| value.contains('_') && KINDS.contains(&word)) {
            return Err(format!("{label} tells kinds of things apart: a metric of its own for {value}"));
        }
    }
    Ok(())
}

/// Panics with every breach.
#[track_caller]
pub(crate) fn assert_conventions(scrape: &str) {
    let breaches = breaches(scrape);
    assert!(breaches.is_empty(), "metrics against the conventions:\n{}", breaches.join("\n"));
}
