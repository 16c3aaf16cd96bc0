//! What `/proc` tells of processes (proc_pid_stat(5), proc_pid_status(5)).

use std::fs;

/// USER_HZ: 100 on every architecture Linux runs on today, whatever the kernel's own tick.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// One process, from `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) dead: bool,
    /// Own CPU time in ticks.
    pub(super) own: u64,
    /// CPU time of children that it waited for, in ticks.
    pub(super) children: u64,
    /// Start in ticks since boot.
    pub(super) start: u64,
}

pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Every process of the group, zombies included.
pub(super) fn members(group: u32) -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| stat(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|stat| stat.group == group)
        .collect()
}

/// The most memory the process has held at once, in bytes. Absent for a zombie.
pub(super) fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Processes the kernel has killed for want of memory since boot, on the whole machine (`oom_kill` of `/proc/vmstat`).
pub(super) fn oom_kills() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The name in parentheses may itself hold spaces and parentheses.
fn parse(text: &str) -> Option<Stat> {
    let (pid, rest) = text.split_once(' ')?;
    let (_, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of these is field 3 of the manual page.
    let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
    Some(Stat {
        pid: pid.parse().ok()?,
        parent: u32::try_from(number(4)?).ok()?,
        group: u32::try_from(number(5)?).ok()?,
        dead: matches!(*fields.first()?, "Z" | "X"),
        own: number(14)? + number(15)?,
        children: number(16)? + number(17)?,
        start: number(22)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_parentheses_are_read() {
        let text = "42 (a) b (c) S 7 40 40 0 -1 0 0 0 0 0 11 22 3 4 20 0 1 0 999 0 0 0";
        let stat = parse(text).unwrap();
        let expected = Stat { pid: 42, parent: 7, group: 40, dead: false, own: 33, children: 7, start: 999 };
        assert_eq!(stat, expected);
    }

    #[test]
    fn garbage_is_no_process() {
        for text in ["", "1", "1 (", "1 (x)", "1 (x) S 1 2", "x (x) S 1 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn this_process_is_found_with_its_memory() {
        let own = stat(std::process::id()).unwrap();
        assert!(!own.dead && own.start > 0);
        assert!(peak_memory(own.pid).unwrap() > 0);
        assert!(members(own.group).iter().any(|member| member.pid == own.pid));
    }
}
