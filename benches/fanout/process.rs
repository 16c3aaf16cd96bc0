//! What the kernel knows of a process and of sockets: CPU time, memory, datagrams dropped.

use crate::load::Outcome;
use std::collections::HashSet;
use std::fs;

/// Nanoseconds on a CPU until now, of all threads of a process.
pub(crate) fn cpu_ns(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().ok_or("schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// Nanoseconds that the whole machine's CPUs worked until now (to 10 ms or so).
pub(crate) fn machine_ns() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().ok_or("/proc/stat")?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    // User, nice, system, then idle and waiting, which are no work; interrupts; what the host took.
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|at| ticks.get(*at)).sum();
    Ok(busy * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)))
}

/// Resident memory in KiB.
pub(crate) fn rss_kib(pid: u32) -> Outcome<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Datagrams that found the receive queue of one of these ports full.
pub(crate) fn drops(ports: &HashSet<u16>) -> Outcome<u64> {
    let mut sum = 0;
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        let Ok(text) = fs::read_to_string(table) else { continue };
        for line in text.lines().skip(1) {
            let mut words = line.split_whitespace();
            let port = words.nth(1).and_then(|address| address.rsplit(':').next());
            let port = port.and_then(|port| u16::from_str_radix(port, 16).ok()).ok_or(table)?;
            if ports.contains(&port) {
                sum += words.last().ok_or(table)?.parse::<u64>()?;
            }
        }
    }
    Ok(sum)
}
