//! Games as child processes of this gateway, each in a process group of its own.
//!
//! The child's stdin is a pipe held here: when the gateway dies, however it dies, the runner reads its end and goes too.
//! The group's number is only signalled while its leader is not yet reaped, so it can never be another's. What is left
//! of a group when its leader ends is killed.

mod group;
mod output;
mod proc;

use super::{Adopted, Driver, DriverError, DriverEvent, Ended, Instance, Site, StartSpec, Usage};
use crate::model::ids::SessionId;
use crate::model::instance::InstanceRef;
use group::Group;
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

/// Variables of the gateway's own environment that a game gets to see.
const INHERITED: [&str; 3] = ["PATH", "HOME", "LANG"];

/// How long an orphan may take to flush its save after SIGTERM.
const ORPHAN_GRACE: Duration = Duration::from_secs(5);

/// How often the use of a running group is read.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Starts `PROGRAM runner --game SLUG [--seed N] [--marker]`.
#[derive(Debug)]
pub struct ProcessDriver {
    program: PathBuf,
    /// In place of the runner's arguments.
    arguments: Option<Vec<OsString>>,
}

impl ProcessDriver {
    /// `program` is this binary, or another that speaks the same subcommand.
    pub fn new(program: PathBuf) -> Self {
        Self { program, arguments: None }
    }

    /// Runs the same command whatever the game.
    pub fn with_command(program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self { program, arguments: Some(arguments) }
    }

    /// Ends whatever of an earlier gateway's instance is left. True if something was.
    pub async fn end_orphan(&self, instance: &InstanceRef) -> bool {
        let InstanceRef::Process { pid, start_ticks } = *instance else { return false };
        let Some(group) = Group::of_orphan(pid, start_ticks) else { return false };
        group.signal(Signal::TERM);
        if !group.leader_gone_within(ORPHAN_GRACE).await {
            tracing::warn!(pid, "a game of an earlier gateway did not end by itself");
        }
        group.kill_orphan().await;
        true
    }

    fn arguments(&self, spec: &StartSpec) -> Vec<OsString> {
        if let Some(arguments) = &self.arguments {
            return arguments.clone();
        }
        let mut arguments: Vec<OsString> = vec!["runner".into(), "--game".into(), spec.game.clone().into()];
        if let Some(seed) = spec.seed {
            arguments.extend(["--seed".into(), seed.to_string().into()]);
        }
        if spec.marker {
            arguments.push("--marker".into());
        }
        arguments
    }

    fn command(&self, spec: &StartSpec) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments(spec))
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(&spec.env)
            .current_dir(&spec.save_dir)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

#[async_trait::async_trait]
impl Driver for ProcessDriver {
    /// Nothing is awaited here: the child runs and is watched over, or was never started.
    async fn start(
        &self,
        spec: StartSpec,
        _site: Site,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError> {
        let mut child = self.command(&spec).spawn().map_err(DriverError::Start)?;
        let stdin = child.stdin.take();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(output::log_lines(spec.session, stderr));
        }
        let pid = child.id().ok_or_else(|| DriverError::Other("the child has no process id".to_owned()))?;
        crate::files::restore_for(pid);
        let group = Group::of_leader(pid).map_err(DriverError::Start)?;
        let reference = InstanceRef::Process { pid, start_ticks: group.start_ticks() };
        let (orders, orders_rx) = watch::channel(None);
        let (usage_tx, usage) = watch::channel(Report { usage: Usage::default(), ended: None });
        let oom_kills = proc::oom_kills();
        let keeper = Keeper { child, stdin, group, events, orders: orders_rx, usage: usage_tx, oom_kills };
        tokio::spawn(keeper.run());
        Ok(Box::new(ProcessInstance { reference, orders, usage }))
    }

    /// The gateway's death ended the games: what is left of one is ended now.
    async fn adopt(
        &self,
        session: SessionId,
        instance: &InstanceRef,
        _events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError> {
        let ended = self.end_orphan(instance).await;
        match instance {
            InstanceRef::Process { pid, .. } => {
                tracing::info!(%session, pid, ended, "looked for processes that an earlier gateway left");
            }
            InstanceRef::Container { container } => {
                tracing::info!(%session, container, "a container is not this driver's");
            }
        }
        Ok(None)
    }
}

#[derive(Debug, Clone, Copy)]
struct Report {
    usage: Usage,
    /// Every process of the group is gone and the figures are final.
    ended: Option<Ended>,
}

struct ProcessInstance {
    reference: InstanceRef,
    /// The grace of a stop that was asked for.
    orders: watch::Sender<Option<Duration>>,
    usage: watch::Receiver<Report>,
}

#[async_trait::async_trait]
impl Instance for ProcessInstance {
    fn reference(&self) -> Option<InstanceRef> {
        Some(self.reference.clone())
    }

    async fn usage(&self) -> Usage {
        self.usage.borrow().usage
    }

    async fn stop(&self, grace: Duration) -> Ended {
        self.orders.send_if_modified(|order| {
            let first = order.is_none();
            order.get_or_insert(grace);
            first
        });
        let mut usage = self.usage.clone();
        // An error means that the keeper is gone, which it only is after its last report.
        let _ = usage.wait_for(|report| report.ended.is_some()).await;
        let report = *usage.borrow();
        report.ended.unwrap_or(Ended { usage: report.usage, ..Ended::default() })
    }
}

/// Watches over one child from its start until its group is gone.
struct Keeper {
    child: Child,
    stdin: Option<ChildStdin>,
    group: Group,
    events: mpsc::Sender<DriverEvent>,
    orders: watch::Receiver<Option<Duration>>,
    usage: watch::Sender<Report>,
    /// The machine's count at the start.
    oom_kills: Option<u64>,
}

impl Keeper {
    async fn run(mut self) {
        let asked = self.until_the_leader_is_dead().await;
        // The leader is a zombie until `wait` below, so the group's number is still ours.
        self.sample();
        let left = self.group.kill_rest().await;
        if left > 0 {
            tracing::debug!(pid = self.group.pid(), left, "processes outlived the game and were killed");
        }
        self.sample();
        let status = self.child.wait().await;
        drop(self.stdin.take());
        let exit = exited(status, self.oom_kills, proc::oom_kills());
        let usage = self.group.usage();
        let ended = Ended { usage, exit_code: exit.code, out_of_memory: exit.out_of_memory };
        self.usage.send_replace(Report { usage, ended: Some(ended) });
        if !asked {
            let Exit { code, signal, out_of_memory } = exit;
            let _ = self.events.send(DriverEvent::Exited { code, signal, out_of_memory }).await;
        }
    }

    /// True when a stop was asked for.
    async fn until_the_leader_is_dead(&mut self) -> bool {
        let mut tick = tokio::time::interval(SAMPLE_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut kill_at = None;
        loop {
            tokio::select! {
                () = self.group.leader_dead() => return kill_at.is_some(),
                _ = tick.tick() => self.sample(),
                // When the instance is dropped without a stop, nobody can ask any more: kill at once.
                order = self.orders.changed(), if kill_at.is_none() => {
                    let grace = if order.is_ok() { *self.orders.borrow_and_update() } else { Some(Duration::ZERO) };
                    let grace = grace.unwrap_or_default();
                    self.sample();
                    self.group.signal(Signal::TERM);
                    kill_at = Some(tokio::time::Instant::now() + grace);
                }
                () = sleep_until(kill_at), if kill_at.is_some() => {
                    self.group.signal(Signal::KILL);
                    kill_at = Some(tokio::time::Instant::now() + Duration::from_secs(1));
                }
            }
        }
    }

    fn sample(&mut self) {
        let usage = self.group.sample();
        self.usage.send_replace(Report { usage, ended: None });
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// How the leader ended.
struct Exit {
    code: Option<i32>,
    signal: Option<i32>,
    out_of_memory: bool,
}

/// A SIGKILL that we did not send was the kernel's, for want of memory, when its count of such kills has risen since the
/// game's start. Best effort: the count is the machine's, so somebody's `kill -9` after another program ran out of memory
/// is told wrongly, and where the kernel tells no count nothing counts as out of memory.
fn exited(
    status: std::io::Result<std::process::ExitStatus>,
    before: Option<u64>,
    after: Option<u64>,
) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    let (code, signal) = status.map_or((None, None), |status| (status.code(), status.signal()));
    let rose = before.zip(after).is_some_and(|(before, after)| after > before);
    Exit { code, signal, out_of_memory: rose && signal == Some(Signal::KILL.as_raw()) }
}

/// The driver as `serve` uses it.
impl Default for ProcessDriver {
    /// Starts this very binary. Where the kernel does not tell which it is, the one of that name on the path.
    fn default() -> Self {
        Self::new(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("playgate")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_kill_counts_as_out_of_memory_only_when_the_kernel_counted_one() {
        let told = |raw, before, after| {
            exited(Ok(std::process::ExitStatus::from_raw(raw)), before, after).out_of_memory
        };
        assert!(told(9, Some(4), Some(5)));
        assert!(!told(9, Some(4), Some(4)));
        assert!(!told(9, None, Some(5)));
        assert!(!told(9, Some(4), None));
        assert!(!told(11, Some(4), Some(5)));
    }
}
