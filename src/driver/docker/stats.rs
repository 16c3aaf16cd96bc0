//! What a container has used, from the engine's samples.
//!
//! CPU time and network bytes are the container's own counters. Memory is what it uses without the file cache that the
//! kernel would give up at once (usage minus `inactive_file`), and its peak is the highest sample: cgroup v1 keeps a peak
//! of its own, but with the cache in it, and v2's is not told. An engine's sample of an ended container is all zeros;
//! figures never fall. What a container used between its last sample and an end that nobody asked for is gone with it;
//! of CPU time, it is taken to have gone on as between its last two samples.

use crate::driver::Usage;
use bollard::Docker;
use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The shortest and the longest time between two samples of a container that plays.
const SHORTEST: Duration = Duration::from_millis(150);
const LONGEST: Duration = Duration::from_secs(1);
/// While it ends, when its counters may vanish any moment.
pub(super) const WHILE_ENDING: Duration = Duration::from_millis(100);
/// A sample takes the engine some milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A container's counters are gone with its last process: what it used since the last sample is not known. That is a
/// fortieth of its life, but for the first seconds.
pub(super) fn interval(age: Duration) -> Duration {
    (age / 40).clamp(SHORTEST, LONGEST)
}

/// What a container used up to a moment of the engine's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    usage: Usage,
    at: Option<OffsetDateTime>,
}

/// One sample, now. `None` when there is none to be had.
pub(super) async fn sample(engine: &Docker, container: &str) -> Option<Sample> {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
    let mut answer = Box::pin(engine.stats(container, Some(options)));
    let stats = tokio::time::timeout(ANSWER_WITHIN, answer.next()).await.ok()??.ok()?;
    Some(Sample { usage: usage_of(&stats), at: stats.read.as_deref().and_then(moment) })
}

/// As the engine writes it.
pub(super) fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().filter(|at| at.unix_timestamp() > 0)
}

/// Adds samples up.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// What was used before this start: the counters begin anew with each.
    before: Usage,
    usage: Usage,
    /// When the last sample was taken that had any CPU time.
    last: Option<OffsetDateTime>,
    /// Cores in use between the last two samples.
    cores: f64,
}

impl Meter {
    /// For a container that has been started again.
    pub(super) fn after(before: Usage) -> Self {
        Self { before, ..Self::default() }
    }

    pub(super) fn add(&mut self, sample: Sample) -> Usage {
        let used = sample.usage.cpu_seconds - self.usage.cpu_seconds;
        if let Some(at) = sample.at
            && sample.usage.cpu_seconds > 0.0
        {
            if let Some(last) = self.last
                && at > last
            {
                self.cores = (used / (at - last).as_seconds_f64()).max(0.0);
            }
            self.last = Some(at);
        }
        self.usage = raise(self.usage, sample.usage);
        sum(self.before, self.usage)
    }

    /// After its end, of which the engine has told when it was.
    pub(super) fn finish(&mut self, ended_at: Option<OffsetDateTime>) -> Usage {
        if let (Some(last), Some(ended_at)) = (self.last.take(), ended_at) {
            let unseen = (ended_at - last).as_seconds_f64().clamp(0.0, LONGEST.as_secs_f64() * 2.0);
            self.usage.cpu_seconds += self.cores * unseen;
        }
        sum(self.before, self.usage)
    }
}

fn usage_of(stats: &ContainerStatsResponse) -> Usage {
    let cpu = stats.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage);
    let networks = stats.networks.iter().flat_map(|networks| networks.values());
    let (rx, tx) = networks.fold((0_u64, 0_u64), |(rx, tx), network| {
        (
            rx.saturating_add(network.rx_bytes.unwrap_or_default()),
            tx.saturating_add(network.tx_bytes.unwrap_or_default()),
        )
    });
    Usage {
        cpu_seconds: Duration::from_nanos(cpu.unwrap_or_default()).as_secs_f64(),
        memory_bytes: memory_of(stats),
        peak_memory_bytes: memory_of(stats),
        network_rx_bytes: rx,
        network_tx_bytes: tx,
    }
}

fn memory_of(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let detail = memory.stats.as_ref();
    // The first is cgroup v1's, with all groups below; the second v2's.
    let cache = detail.and_then(|detail| detail.get("total_inactive_file").or(detail.get("inactive_file")));
    memory.usage.unwrap_or_default().saturating_sub(cache.copied().unwrap_or_default())
}

/// Never less than before, but for the memory of the moment.
fn raise(so_far: Usage, now: Usage) -> Usage {
    Usage {
        cpu_seconds: so_far.cpu_seconds.max(now.cpu_seconds),
        memory_bytes: now.memory_bytes,
        peak_memory_bytes: so_far.peak_memory_bytes.max(now.peak_memory_bytes),
        network_rx_bytes: so_far.network_rx_bytes.max(now.network_rx_bytes),
        network_tx_bytes: so_far.network_tx_bytes.max(now.network_tx_bytes),
    }
}

/// Of two lives of one container; the peak is the higher one.
fn sum(before: Usage, now: Usage) -> Usage {
    Usage {
        cpu_seconds: before.cpu_seconds + now.cpu_seconds,
        memory_bytes: now.memory_bytes,
        peak_memory_bytes: before.peak_memory_bytes.max(now.peak_memory_bytes),
        network_rx_bytes: before.network_rx_bytes.saturating_add(now.network_rx_bytes),
        network_tx_bytes: before.network_tx_bytes.saturating_add(now.network_tx_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(json: &str) -> Usage {
        usage_of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn both_kinds_of_cgroups_are_read() {
        let v1 = stats(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":1500000000}},
            "memory_stats":{"usage":1000,"max_usage":9000,"stats":{"inactive_file":1,"total_inactive_file":300}},
            "networks":{"eth0":{"rx_bytes":5,"tx_bytes":7},"eth1":{"rx_bytes":1}}}"#,
        );
        let expected = Usage {
            cpu_seconds: 1.5,
            memory_bytes: 700,
            peak_memory_bytes: 700,
            network_rx_bytes: 6,
            network_tx_bytes: 7,
        };
        assert_eq!(v1, expected);
        let v2 = stats(r#"{"memory_stats":{"usage":1000,"stats":{"inactive_file":100}}}"#);
        assert_eq!(v2.peak_memory_bytes, 900);
    }

    #[test]
    fn what_is_not_told_is_zero_and_nothing_underflows() {
        assert_eq!(stats("{}"), Usage::default());
        assert_eq!(
            stats(r#"{"cpu_stats":{"cpu_usage":{}},"memory_stats":{},"networks":{"eth0":{}}}"#),
            Usage::default()
        );
        let odd = stats(r#"{"memory_stats":{"usage":10,"stats":{"inactive_file":100}}}"#);
        assert_eq!(odd.peak_memory_bytes, 0);
    }

    #[test]
    fn an_ended_containers_zeros_do_not_lower_the_figures() {
        let usage = Usage {
            cpu_seconds: 1.5,
            memory_bytes: 700,
            peak_memory_bytes: 700,
            network_rx_bytes: 6,
            network_tx_bytes: 7,
        };
        // But for the memory of the moment, which is none.
        assert_eq!(raise(usage, Usage::default()), Usage { memory_bytes: 0, ..usage });
        assert_eq!(raise(Usage::default(), usage), usage);
    }

    fn sample(cpu_seconds: f64, at_s: i64) -> Sample {
        let usage = Usage { cpu_seconds, ..Usage::default() };
        Sample { usage, at: OffsetDateTime::from_unix_timestamp(at_s).ok() }
    }

    #[test]
    fn the_last_unseen_moment_is_taken_to_be_as_those_before_it() {
        let mut meter = Meter::default();
        meter.add(sample(1.0, 100));
        meter.add(sample(2.0, 104));
        let after = |seconds: i64| OffsetDateTime::from_unix_timestamp(104 + seconds).ok();
        assert_eq!(meter.finish(after(1)).cpu_seconds, 2.25);
        assert_eq!(meter.finish(after(1)).cpu_seconds, 2.25);

        let mut meter = Meter::default();
        meter.add(sample(1.0, 100));
        meter.add(sample(2.0, 104));
        meter.add(sample(0.0, 105));
        assert_eq!(meter.finish(after(3600)).cpu_seconds, 2.5, "bounded, and zeros of the dead do not count");
    }

    #[test]
    fn figures_go_on_over_a_restart_and_the_peak_is_the_highest_of_all() {
        let of = |cpu_seconds: f64, bytes: u64| Usage {
            cpu_seconds,
            memory_bytes: bytes,
            peak_memory_bytes: bytes,
            network_rx_bytes: bytes,
            network_tx_bytes: bytes,
        };
        let mut meter = Meter::after(of(10.0, 500));
        let told = meter.add(Sample { usage: of(1.0, 300), at: None });
        let expected = Usage {
            cpu_seconds: 11.0,
            memory_bytes: 300,
            peak_memory_bytes: 500,
            network_rx_bytes: 800,
            network_tx_bytes: 800,
        };
        assert_eq!((told, meter.finish(None)), (expected, expected));
        assert_eq!(Meter::after(expected).finish(None).cpu_seconds, 11.0);
    }

    #[test]
    fn without_two_samples_or_an_end_nothing_is_added() {
        let after = OffsetDateTime::from_unix_timestamp(200).ok();
        assert_eq!(Meter::default().finish(after), Usage::default());
        let mut meter = Meter::default();
        meter.add(sample(1.0, 100));
        assert_eq!(meter.finish(after).cpu_seconds, 1.0);
        meter.add(sample(2.0, 104));
        assert_eq!(meter.finish(None).cpu_seconds, 2.0);
    }

    #[test]
    fn the_engines_moments_are_read_and_its_zero_is_none() {
        assert!(moment("2026-11-22T19:02:02.45418432Z").is_some());
        assert!(moment("0001-01-01T00:00:00Z").is_none() && moment("").is_none());
    }

    #[test]
    fn samples_are_closer_in_a_short_life() {
        assert_eq!(interval(Duration::ZERO), SHORTEST);
        assert_eq!(interval(Duration::from_secs(20)), Duration::from_millis(500));
        assert_eq!(interval(Duration::from_secs(3600)), LONGEST);
    }
}
