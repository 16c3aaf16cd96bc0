//! Process groups of our children: none outlives its leader's end, or the house.

use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeSet;
use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Between two looks at a group that is to end: nobody tells when its last member is gone.
const LOOK: Duration = Duration::from_millis(20);
/// A process in an uninterruptible wait may outlive SIGKILL; nobody waits for it longer than this.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// The groups that run, so that all of them can be killed without waiting for anybody.
#[derive(Debug, Default)]
pub(super) struct Groups {
    running: Mutex<BTreeSet<i32>>,
}

impl Groups {
    /// Starts a child as the leader of a group.
    pub(super) fn spawn(self: &Arc<Self>, command: &mut Command) -> io::Result<Member> {
        let child = command.process_group(0).spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let leader = pid.ok_or_else(|| io::Error::other("the child has no number"))?;
        self.lock().insert(leader.as_raw_nonzero().get());
        Ok(Member { child, leader, groups: Arc::clone(self) })
    }

    /// True until a leader's end was noticed and its group is dead.
    pub(super) fn is_running(&self, leader: i32) -> bool {
        self.lock().contains(&leader)
    }

    pub(super) fn kill_all(&self) {
        for leader in std::mem::take(&mut *self.lock()).into_iter().filter_map(Pid::from_raw) {
            signal(leader, Signal::KILL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A child and its group. Dropping it kills the group; the runtime reaps the child.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) child: Child,
    leader: Pid,
    groups: Arc<Groups>,
}

impl Member {
    pub(super) fn pid(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    /// Waits for the leader's end, then ends what it has left behind. May be cancelled and called again.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        // The number cannot be another's yet: the kernel gives them out in turn, and keeps it while the group has members.
        self.kill();
        self.groups.lock().remove(&self.pid());
        self.empty_by(Instant::now() + KILL_PATIENCE).await;
        status
    }

    /// SIGTERM to all, SIGKILL to who is left after the grace: a launcher script dies at once, the game it started saves.
    pub(super) async fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        signal(self.leader, Signal::TERM);
        let deadline = Instant::now() + grace;
        if !self.empty_by(deadline).await {
            tracing::debug!(pid = self.pid(), "it did not end by itself");
            self.kill();
        }
        self.ended().await
    }

    fn kill(&self) {
        signal(self.leader, Signal::KILL);
    }

    /// True when no member lives any more; false when the time is up.
    async fn empty_by(&self, deadline: Instant) -> bool {
        while lives(self.pid()) {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.groups.lock().remove(&self.pid()) {
            self.kill();
        }
    }
}

fn signal(leader: Pid, signal: Signal) {
    // A group that is gone already is what was wanted.
    let _ = kill_process_group(leader, signal);
}

/// True when a process of the group lives; zombies do not.
fn lives(group: i32) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else { return false };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).any(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        member_of(&stat) == Some((group, true))
    })
}

/// The group, and whether the process lives, of a line of `/proc/PID/stat` (proc_pid_stat(5)).
fn member_of(stat: &str) -> Option<(i32, bool)> {
    // The name in parentheses may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let alive = !matches!(fields.next()?, "Z" | "X");
    Some((fields.nth(1)?.parse().ok()?, alive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_in_its_group_while_it_lives() {
        assert_eq!(member_of("42 (a) b (c) S 7 40 39 0"), Some((40, true)));
        assert_eq!(member_of("42 (x) Z 7 40 39 0"), Some((40, false)));
        assert_eq!(member_of("42 (x) Z"), None);
        assert_eq!(member_of(""), None);
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(std::process::Stdio::null());
        command
    }

    #[tokio::test]
    async fn what_a_leader_leaves_behind_is_killed() {
        let groups = Arc::new(Groups::default());
        let mut member = groups.spawn(&mut shell("sleep 600 & exit 3")).expect("starts");
        let status = member.ended().await.expect("ends");
        assert_eq!(status.code(), Some(3));
        assert!(!lives(member.pid()));
        assert!(groups.lock().is_empty());
    }

    #[tokio::test]
    async fn a_dropped_member_and_a_dropped_house_kill_their_groups() {
        let groups = Arc::new(Groups::default());
        let one = groups.spawn(&mut shell("sleep 600 & wait")).expect("starts");
        let two = groups.spawn(&mut shell("sleep 600 & wait")).expect("starts");
        let (first, second) = (one.pid(), two.pid());
        drop(one);
        groups.kill_all();
        for group in [first, second] {
            while lives(group) {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}
