//! What a run was measured on: figures mean little without it.

use serde_json::{Value, json};

#[derive(Debug, Clone, Default)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub system: String,
    /// Load averages at the end.
    pub load: String,
    pub version: &'static str,
    pub profile: &'static str,
}

impl Machine {
    /// Of this machine, now. What it does not tell is empty.
    #[must_use]
    pub fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let processor = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load: Vec<String> =
            read("/proc/loadavg").split(' ').take(3).map(|part| part.trim().to_owned()).collect();
        Self {
            processor: processor.map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
            load: load.join(" "),
            version: env!("CARGO_PKG_VERSION"),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
        }
    }

    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores,
            "system": self.system,
            "load": self.load,
            "version": self.version,
            "profile": self.profile,
        })
    }
}
