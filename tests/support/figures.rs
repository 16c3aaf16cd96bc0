//! Measured figures: printed always, kept under `benches/results/` only when asked.

use serde_json::{Value, json};
use std::path::PathBuf;

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Prints figures; with `PLAYGATE_TEST_WRITE_RESULTS=1` they replace `benches/results/NAME.json`, with the machine's facts.
pub(crate) fn report(name: &str, figures: Value) {
    eprintln!("{name}: {figures:#}");
    if std::env::var("PLAYGATE_TEST_WRITE_RESULTS").is_ok_and(|value| value == "1") {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/results");
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("{:#}\n", json!({ "figures": figures, "machine": machine() }));
        std::fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
}

fn machine() -> Value {
    let first = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned()))
    };
    json!({
        "cpu": first("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": first("/proc/meminfo", "MemTotal"),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "build": if cfg!(debug_assertions) { "dev" } else { "release" },
    })
}
