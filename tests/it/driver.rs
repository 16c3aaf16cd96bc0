//! The process driver with real processes.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use playgate::driver::{Driver, DriverEvent, Instance, ProcessDriver, Site, StartSpec};
use playgate::model::ids::{Generation, SessionId};
use playgate::model::instance::InstanceRef;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Game {
    dir: TempDir,
    instance: Box<dyn Instance>,
    events: mpsc::Receiver<DriverEvent>,
}

/// Runs a shell script in a directory of its own.
async fn start(script: &str) -> Game {
    let arguments = ["-c", script].map(OsString::from).to_vec();
    let driver = ProcessDriver::with_command(PathBuf::from("/bin/sh"), arguments);
    let dir = tempfile::tempdir().unwrap();
    let (sender, events) = mpsc::channel(8);
    let instance = driver.start(spec(dir.path()), Site::default(), sender).await.unwrap();
    Game { dir, instance, events }
}

fn spec(dir: &Path) -> StartSpec {
    StartSpec {
        session: SessionId::new(),
        generation: Generation(1),
        game: "the-game".to_owned(),
        env: BTreeMap::from([("PLAYGATE_SESSION_ID".to_owned(), "abc".to_owned())]),
        save_dir: dir.to_owned(),
        seed: Some(5),
        marker: true,
        container: None,
    }
}

impl Game {
    /// Waits until the script has written a file, whole.
    async fn file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        until(|| std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))).await
    }

    async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }
}

async fn until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the condition came in time")
}

/// Alive: there, and no zombie that waits to be reaped.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|text| Some(text.rsplit_once(") ")?.1.chars().next()? != 'Z'))
        .unwrap_or(false)
}

fn pid_of(instance: &dyn Instance) -> u32 {
    match instance.reference() {
        Some(InstanceRef::Process { pid, .. }) => pid,
        Some(InstanceRef::Container { .. }) | None => panic!("a child has a process id"),
    }
}

#[tokio::test]
async fn the_command_line_and_environment_are_the_contracts() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::fs::write(
        &program,
        "#!/bin/sh\necho \"$@\" > args\nenv > env.tmp\necho >> env.tmp\nmv env.tmp env\nread x\n",
    )
    .unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (sender, events) = mpsc::channel(8);
    let instance =
        ProcessDriver::new(program).start(spec(dir.path()), Site::default(), sender).await.unwrap();
    let game = Game { dir, instance, events };
    let environment = game.file("env").await;
    assert_eq!(game.file("args").await, "runner --game the-game --seed 5 --marker\n");
    assert!(environment.contains("PLAYGATE_SESSION_ID=abc\n") && environment.contains("PATH="));
    assert!(!environment.contains("CARGO"), "{environment}");
    game.instance.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn stop_ends_the_whole_group_grandchildren_too() {
    let game = start("sh -c 'sleep 1000 & echo $! > grandchild; wait' & echo $! > child; wait").await;
    let pids: Vec<u32> = [game.file("child").await, game.file("grandchild").await]
        .map(|text| text.trim().parse().unwrap())
        .to_vec();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    game.instance.stop(Duration::from_secs(5)).await;
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert!(!is_alive(pid_of(&*game.instance)));
}

#[tokio::test]
async fn sigterm_leaves_time_to_save_and_no_event_tells_of_a_stop_that_was_asked_for() {
    let mut game =
        start("trap 'echo saved > save.bin; exit 0' TERM; echo up > up; while :; do sleep 0.01; done").await;
    game.file("up").await;
    game.instance.stop(PATIENCE).await;
    assert_eq!(std::fs::read_to_string(game.dir.path().join("save.bin")).unwrap(), "saved\n");
    assert_eq!(game.events.recv().await, None);
    // Again is the same.
    game.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed_after_the_grace() {
    let game = start("trap '' TERM; echo up > up; while :; do sleep 0.01; done").await;
    game.file("up").await;
    game.instance.stop(Duration::from_millis(50)).await;
    assert!(!is_alive(pid_of(&*game.instance)));
}

#[tokio::test]
async fn an_exit_is_told_with_its_code_and_what_is_left_of_the_group_is_killed() {
    let mut game = start("sleep 1000 & echo $! > child; exit 3").await;
    let child: u32 = game.file("child").await.trim().parse().unwrap();
    let expected = DriverEvent::Exited { code: Some(3), signal: None, out_of_memory: false };
    assert_eq!(game.event().await, expected);
    assert!(!is_alive(child));
}

#[tokio::test]
async fn a_kill_by_hand_is_told_as_the_signal_it_was() {
    let mut killed = start("kill -9 $$").await;
    let expected = DriverEvent::Exited { code: None, signal: Some(9), out_of_memory: false };
    assert_eq!(killed.event().await, expected);
    let mut crashed = start("kill -11 $$").await;
    let expected = DriverEvent::Exited { code: None, signal: Some(11), out_of_memory: false };
    assert_eq!(crashed.event().await, expected);
}

#[tokio::test]
async fn usage_counts_the_whole_group_to_its_last_moment() {
    let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let mut game = start(&format!("sh -c '{busy}'; {busy}")).await;
    game.event().await;
    let usage = game.instance.usage().await;
    assert!(usage.cpu_seconds > 0.0 && usage.cpu_seconds < 60.0, "{usage:?}");
    assert!(usage.peak_memory_bytes > 100_000 && usage.peak_memory_bytes < 1 << 30, "{usage:?}");
    assert_eq!(game.instance.stop(Duration::ZERO).await.usage, usage);
}

#[tokio::test]
async fn an_orphan_is_ended_only_when_pid_and_start_time_match() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new("/bin/sh");
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let script = "trap 'echo saved > save.bin; exit 0' TERM; echo up > up; while :; do sleep 0.01; done";
    let mut orphan = command.args(["-c", script]).current_dir(dir.path()).spawn().unwrap();
    let pid = orphan.id();
    until(|| dir.path().join("up").exists().then_some(())).await;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start_ticks: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let driver = ProcessDriver::default();
    assert!(!driver.end_orphan(&InstanceRef::Process { pid, start_ticks: start_ticks + 1 }).await);
    assert!(is_alive(pid));
    assert!(driver.end_orphan(&InstanceRef::Process { pid, start_ticks }).await);
    assert!(!is_alive(pid));
    assert!(dir.path().join("save.bin").exists());
    orphan.wait().unwrap();
    assert!(!driver.end_orphan(&InstanceRef::Process { pid, start_ticks }).await);
    assert!(!driver.end_orphan(&InstanceRef::Process { pid: u32::MAX, start_ticks: 0 }).await);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let driver = ProcessDriver::new(PathBuf::from("/nowhere/at/all"));
    let dir = tempfile::tempdir().unwrap();
    let (sender, _events) = mpsc::channel(8);
    let error = driver.start(spec(dir.path()), Site::default(), sender).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("cannot start the game"), "{error}");
}
