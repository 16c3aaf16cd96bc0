//! The registry of metrics, metrics as text, and the process's own: read from `/proc/self` at each scrape, absent elsewhere.

use super::logs::errors_logged;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::time::{SystemTime, UNIX_EPOCH};

/// The registry of a gateway. It gives every metric the prefix `playgate_`, so modules register names without it.
pub fn registry() -> Registry {
    Registry::with_prefix("playgate")
}

/// The registry in the OpenMetrics text format.
pub fn encode(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    text::encode(&mut out, registry)?;
    Ok(out)
}

/// Adds the process's own figures: open file descriptors, resident memory, when it started, errors logged.
pub fn register_process(registry: &mut Registry) {
    registry.register_collector(Box::new(Process { started: SystemTime::now() }));
}

#[derive(Debug)]
struct Process {
    started: SystemTime,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        if let Some(fds) = open_fds() {
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", None, fds)?;
        }
        if let Some(bytes) = resident_bytes() {
            gauge(&mut encoder, "process_resident_memory", "Resident memory", Some(&Unit::Bytes), bytes)?;
        }
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let started = i64::try_from(started).unwrap_or(i64::MAX);
        let help = "Start of the process, since the Unix epoch";
        gauge(&mut encoder, "process_start_time", help, Some(&Unit::Seconds), started)?;
        let errors = ConstCounter::new(errors_logged());
        let metric = encoder.encode_descriptor("log_errors", "Errors logged", None, errors.metric_type())?;
        errors.encode(metric)
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: i64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value);
    let metric = encoder.encode_descriptor(name, help, unit, gauge.metric_type())?;
    gauge.encode(metric)
}

fn open_fds() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

/// `VmRSS` of proc(5), in kB there.
fn resident_bytes() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib: i64 =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_tells_its_files_memory_and_start() {
        let mut registry = registry();
        register_process(&mut registry);
        let text = encode(&registry).unwrap();
        for name in [
            "playgate_process_open_fds ",
            "playgate_process_resident_memory_bytes ",
            "playgate_process_start_time_seconds ",
            "playgate_log_errors_total ",
        ] {
            assert!(text.contains(&format!("\n{name}")), "{name} is missing in\n{text}");
        }
        assert!(resident_bytes().unwrap() > 1_000_000);
    }
}
