//! One process group: signals to it, the end of its leader, and what it has used.

use super::super::Usage;
use super::proc::{self, Stat, TICKS_PER_SECOND};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Between two looks at whether a killed group is gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A process in an uninterruptible wait may outlive SIGKILL; nobody waits for it longer than this.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Group {
    leader: Pid,
    pid: u32,
    start_ticks: u64,
    /// Readable when the leader is dead, also while nobody has reaped it.
    pidfd: AsyncFd<OwnedFd>,
    seen: HashMap<(u32, u64), Stat>,
    /// Ticks of members that nobody in the group waited for.
    lost: u64,
    usage: Usage,
}

impl Group {
    /// The group of a child that was just started and is not reaped.
    pub(super) fn of_leader(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::other("the process is not there");
        let leader = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let pidfd = pidfd_open(leader, PidfdFlags::empty())?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an owned descriptor stays open as long as it is registered"
        )]
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
        let start_ticks = proc::stat(pid).ok_or_else(gone)?.start;
        Ok(Self { leader, pid, start_ticks, pidfd, seen: HashMap::new(), lost: 0, usage: Usage::default() })
    }

    /// The group of an earlier gateway's child, when its leader is still the same process.
    pub(super) fn of_orphan(pid: u32, start_ticks: u64) -> Option<Self> {
        // The descriptor first: it holds on to the process whose start is then compared.
        let group = Self::of_leader(pid).ok()?;
        let stat = proc::stat(pid)?;
        let same = group.start_ticks == start_ticks && stat.group == pid && !stat.dead;
        same.then_some(group)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// To every member. Only while the leader is there, dead or alive.
    pub(super) fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.leader, signal) {
            tracing::debug!(pid = self.pid, %error, "a signal reached nobody");
        }
    }

    pub(super) async fn leader_dead(&self) {
        if let Err(error) = self.pidfd.readable().await {
            tracing::warn!(pid = self.pid, %error, "cannot wait for a process");
        }
    }

    pub(super) async fn leader_gone_within(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.leader_dead()).await.is_ok()
    }

    /// Kills what is left of the group after its leader's death; gives how many there were.
    pub(super) async fn kill_rest(&self) -> usize {
        let left = self.living();
        if left > 0 {
            self.signal(Signal::KILL);
            self.wait_until_empty().await;
        }
        left
    }

    /// Kills an orphan and what is left of its group. A reaped leader's number is only used while the kernel keeps it
    /// for the rest of the group.
    pub(super) async fn kill_orphan(&self) {
        if self.living() > 0 {
            self.signal(Signal::KILL);
            self.wait_until_empty().await;
        }
    }

    async fn wait_until_empty(&self) {
        let deadline = tokio::time::Instant::now() + KILL_PATIENCE;
        while self.living() > 0 {
            if tokio::time::Instant::now() >= deadline {
                tracing::warn!(pid = self.pid, "processes of a killed game are still there");
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn living(&self) -> usize {
        proc::members(self.pid).iter().filter(|member| !member.dead).count()
    }

    /// Reads what the group uses now.
    pub(super) fn sample(&mut self) -> Usage {
        let members = proc::members(self.pid);
        let now: HashMap<(u32, u64), Stat> =
            members.iter().map(|member| ((member.pid, member.start), *member)).collect();
        self.lost += self
            .seen
            .iter()
            .filter(|(key, stat)| {
                !now.contains_key(*key) && !self.seen.keys().any(|(pid, _)| *pid == stat.parent)
            })
            .map(|(_, stat)| stat.own + stat.children)
            .sum::<u64>();
        let ticks = self.lost + members.iter().map(|member| member.own + member.children).sum::<u64>();
        let memory = members.iter().filter_map(|member| proc::peak_memory(member.pid)).sum();
        self.seen = now;
        let cpu_seconds = ticks as f64 / TICKS_PER_SECOND;
        self.usage.cpu_seconds = self.usage.cpu_seconds.max(cpu_seconds);
        self.usage.peak_memory_bytes = self.usage.peak_memory_bytes.max(memory);
        self.usage
    }
}
