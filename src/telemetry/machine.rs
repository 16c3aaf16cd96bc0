//! How busy the machine is: processors, memory, and the disk of the data directory.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// How busy the machine is, in per cent; zero where the system does not say.
pub struct Machine {
    data_dir: PathBuf,
    /// Busy and total ticks at the last reading, and the share between the last two.
    cpu: Mutex<CpuShare>,
}

#[derive(Default)]
struct CpuShare {
    busy: u64,
    total: u64,
    percent: f64,
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    pub cpu: f64,
    pub memory: f64,
    pub disk: f64,
}

impl Machine {
    pub fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, cpu: Mutex::default() }
    }

    /// CPU since the reading before, memory and disk as they are.
    pub fn read(&self) -> Load {
        Load { cpu: self.cpu(), memory: memory().unwrap_or_default(), disk: self.disk().unwrap_or_default() }
    }

    fn cpu(&self) -> f64 {
        let mut share = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((busy, total)) = cpu_ticks() else {
            return share.percent;
        };
        // Ticks are hundredths of a second: readings closer together than that tell nothing new.
        if total > share.total {
            share.percent = percent(busy.saturating_sub(share.busy), total - share.total);
            (share.busy, share.total) = (busy, total);
        }
        share.percent
    }

    fn disk(&self) -> Option<f64> {
        let disk = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(percent(disk.f_blocks.saturating_sub(disk.f_bavail), disk.f_blocks))
    }
}

/// Busy and all ticks of all processors (proc(5), `/proc/stat`).
fn cpu_ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|n| n.parse().ok())
        .take(8)
        .collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    Some((total.saturating_sub(idle), total))
}

fn memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    let total = kib("MemTotal:")?;
    Some(percent(total.saturating_sub(kib("MemAvailable:")?), total))
}

/// One decimal, 0-100.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share in tenths of a per cent")]
    let share = part as f64 / whole as f64;
    (share * 1000.0).round().clamp(0.0, 1000.0) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_tells_its_load_in_per_cent() {
        let load = Machine::new(PathBuf::from("/")).read();
        for value in [load.cpu, load.memory, load.disk] {
            assert!((0.0..=100.0).contains(&value), "{load:?}");
        }
        assert!(load.memory > 0.0 && load.disk > 0.0, "{load:?}");
    }
}
