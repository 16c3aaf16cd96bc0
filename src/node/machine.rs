//! What this machine has, and how busy it is.

use crate::config::Config;
use crate::model::nodes::{Announcement, MachineLoad, Resources};
use crate::schedule::Needs;
use crate::telemetry::Machine;
use std::num::NonZero;

/// Where the system tells nothing of its memory.
const UNKNOWN_MEMORY_BYTES: u64 = 1 << 30;

/// What this node is, from the configuration and from the machine where that says nothing: all cores, nine tenths of the
/// memory, one session a core.
pub fn announcement(config: &Config, name: &str) -> Announcement {
    let node = &config.node;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let needs = Needs {
        cpus: node.cpus.unwrap_or_else(|| f64::from(cores)),
        memory_bytes: node.memory_mb.map_or_else(most_memory, |mib| mib.saturating_mul(1024 * 1024)),
        gpus: node.gpus,
    };
    let capacity = config.sessions.capacity;
    Announcement {
        name: name.to_owned(),
        location: node.location.clone(),
        region: node.region.clone(),
        labels: node.labels.clone(),
        capacity: if capacity == 0 { cores } else { capacity },
        total: Resources::from(needs),
    }
}

/// How busy the machine is, from one reading to the next.
pub(super) fn load(machine: &Machine) -> MachineLoad {
    let load = machine.read();
    MachineLoad { cpu_percent: load.cpu, memory_percent: load.memory }
}

fn most_memory() -> u64 {
    memory_total().unwrap_or(UNKNOWN_MEMORY_BYTES) / 10 * 9
}

/// `MemTotal` of proc(5), in kB there.
fn memory_total() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_what_the_configuration_says_else_what_the_machine_has() {
        let mut config = Config::default();
        let whole = announcement(&config, "here");
        assert!(whole.capacity > 0 && whole.total.milli_cpus >= 1000, "{whole:?}");
        assert_eq!(u64::from(whole.capacity) * 1000, whole.total.milli_cpus);
        assert!(whole.total.memory_bytes > 100 << 20, "{whole:?}");
        config.node.cpus = Some(1.5);
        config.node.memory_mb = Some(512);
        config.node.gpus = 1;
        config.sessions.capacity = 7;
        let part = announcement(&config, "here");
        let total = Resources { milli_cpus: 1500, memory_bytes: 512 << 20, gpus: 1 };
        assert_eq!((part.capacity, part.total), (7, total));
    }
}
