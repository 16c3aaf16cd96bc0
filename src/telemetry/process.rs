//! Metrics as text, and what this process tells of itself: read from `/proc/self` at each scrape, absent elsewhere.

use super::logs::errors_logged;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::time::Instant;

/// The registry in the OpenMetrics text format.
pub fn encode(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    text::encode(&mut out, registry)?;
    Ok(out)
}

/// Adds the process's own figures: open file descriptors, resident memory, uptime, errors logged.
pub fn register_process(registry: &mut Registry) {
    registry.register_collector(Box::new(Process { started: Instant::now() }));
}

#[derive(Debug)]
struct Process {
    started: Instant,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        if let Some(fds) = open_fds() {
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", None, fds)?;
        }
        if let Some(bytes) = resident_bytes() {
            gauge(&mut encoder, "process_resident_memory", "Resident memory", Some(&Unit::Bytes), bytes)?;
        }
        let uptime = i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX);
        gauge(&mut encoder, "process_uptime", "Time since the start", Some(&Unit::Seconds), uptime)?;
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
    fn a_process_tells_its_files_memory_and_age() {
        let mut registry = Registry::default();
        register_process(&mut registry);
        let text = encode(&registry).unwrap();
        for name in [
            "process_open_fds ",
            "process_resident_memory_bytes ",
            "process_uptime_seconds ",
            "log_errors_total ",
        ] {
            assert!(text.contains(&format!("\n{name}")), "{name} is missing in\n{text}");
        }
        assert!(resident_bytes().unwrap() > 1_000_000);
    }
}
