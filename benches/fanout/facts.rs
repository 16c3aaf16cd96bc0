//! The machine a table was measured on: figures without it mean nothing.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_mib: u64,
    /// Load average of the last minute, before the first run.
    pub(crate) load_before: String,
    pub(crate) profile: String,
    /// Measured in a network namespace of its own, not among the machine's traffic and firewall rules.
    pub(crate) isolated: bool,
    pub(crate) versions: Vec<(String, String)>,
}

impl Facts {
    pub(crate) fn gather(versions: Vec<(String, String)>, isolated: bool) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (cpus, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
            line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        Self {
            cpu: field(&cpus, "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_mib: field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0) / 1024,
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" }.to_owned(),
            isolated,
            versions,
        }
    }

    pub(crate) fn line(&self) -> String {
        let Self { cpu, cores, kernel, memory_mib, load_before, profile, isolated, .. } = self;
        let network = if *isolated { "a network namespace of its own" } else { "the machine's own network" };
        format!(
            "{cpu}, {cores} cores, {memory_mib} MiB, Linux {kernel}, load {load_before} before, profile {profile}, {network}"
        )
    }
}
