//! Processes of a session, found by the environment the runner contract gives them, and what they cost.

use rustix::process::{Pid, Signal, kill_process};

/// Clock ticks a second of `/proc/PID/stat`: fixed at 100 for user space on Linux.
const TICKS: f64 = 100.0;

/// Every process that carries the session's id.
pub(crate) fn of_session(session: &str) -> Vec<u32> {
    let wanted = format!("PLAYGATE_SESSION_ID={session}");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()) && !is_zombie(*pid)
    })
    .collect()
}

/// SIGKILL to each.
pub(crate) fn kill(pids: &[u32]) {
    for pid in pids.iter().filter_map(|pid| i32::try_from(*pid).ok().and_then(Pid::from_raw)) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Seconds of CPU the processes have used so far.
pub(crate) fn cpu_seconds(pids: &[u32]) -> f64 {
    pids.iter().filter_map(|pid| ticks(*pid)).sum::<f64>() / TICKS
}

/// Resident memory of the processes together, in KiB.
pub(crate) fn resident_kib(pids: &[u32]) -> f64 {
    let resident = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    pids.iter().filter_map(resident).sum()
}

fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets: fields are counted from behind it.
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn is_zombie(pid: u32) -> bool {
    stat_fields(pid).is_none_or(|fields| fields.first().is_some_and(|state| state == "Z"))
}

/// utime and stime, fields 14 and 15 of proc(5).
fn ticks(pid: u32) -> Option<f64> {
    let fields = stat_fields(pid)?;
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

/// True while there is such a process.
pub(crate) fn is_alive(pid: u32) -> bool {
    !is_zombie(pid)
}

/// The name of a process, at most 15 characters.
pub(crate) fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
