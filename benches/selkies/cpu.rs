//! CPU time of a contestant's processes, by what they are.

use crate::Outcome;
use std::collections::HashMap;
use std::fs;

/// Nanoseconds on a CPU until now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// All but the other two.
    pub(crate) server: u64,
    pub(crate) screen: u64,
    pub(crate) program: u64,
}

/// Of the processes that descend from `roots`. Threads that have ended are forgotten: over a window they do not count.
pub(crate) fn spent(roots: &[u32], program: u32) -> Outcome<Spent> {
    let mut spent = Spent { program: of(program), ..Spent::default() };
    for pid in family(roots)? {
        if pid == program {
            continue;
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let part = if name.trim() == "Xvfb" { &mut spent.screen } else { &mut spent.server };
        *part += of(pid);
    }
    Ok(spent)
}

/// Of all threads.
fn of(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let of_task = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(|task| of_task(task.ok()?.path())).sum()
}

fn family(roots: &[u32]) -> Outcome<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    let mut family = roots.to_vec();
    let mut at = 0;
    while let Some(pid) = family.get(at) {
        family.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    Ok(family)
}
