//! A Docker engine that may be restarted: its own, in the network namespace the test runs in.
//!
//! Two engines in one namespace take each other's bridges away; so this is for tests that have entered one of their own.

use crate::support::wait::{PATIENT, eventually};
use bollard::Docker;
use futures_util::{StreamExt, TryStreamExt};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub(super) struct PrivateEngine {
    dir: TempDir,
    child: Child,
}

impl PrivateEngine {
    pub(super) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let child = spawn(&dir);
        let engine = Self { dir, child };
        engine.until_it_answers().await;
        engine
    }

    /// As `docker.host` wants it.
    pub(super) fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// Copies an image from this machine's engine.
    pub(super) async fn bring(&self, image: &str) {
        let source = Docker::connect_with_defaults().unwrap().negotiate_version().await.unwrap();
        let target = self.until_it_answers().await;
        let options = bollard::query_parameters::ImportImageOptionsBuilder::default().quiet(true).build();
        let exported: Vec<_> =
            source.export_image(image).try_collect().await.expect("the image can be exported");
        let chunks = futures_util::stream::iter(exported.into_iter().map(Ok::<_, std::io::Error>));
        let mut imported = Box::pin(target.import_image_stream(options, chunks, None));
        while let Some(step) = imported.next().await {
            step.expect("the image can be imported");
        }
    }

    /// In order, as a machine's administrator does it: containers end with it.
    pub(super) async fn restart(&mut self) {
        self.end().await;
        self.child = spawn(&self.dir);
        self.until_it_answers().await;
    }

    pub(super) async fn stop(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        signal(&self.child, Signal::TERM);
        tokio::time::timeout(PATIENT, self.child.wait()).await.expect("the engine ends when told").unwrap();
    }

    async fn until_it_answers(&self) -> Docker {
        eventually("the private engine answers", PATIENT, async || {
            let connected = Docker::connect_with_host(&self.host()).map_err(|error| error.to_string())?;
            connected.negotiate_version().await.map_err(|error| {
                let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                format!("{error}; {}", lines[lines.len().saturating_sub(8)..].join("\n"))
            })
        })
        .await
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        // In order also when a test fails: it would leave its containers running and its mounts behind.
        signal(&self.child, Signal::TERM);
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.start_kill();
    }
}

fn spawn(dir: &TempDir) -> Child {
    let path = |name: &str| dir.path().join(name);
    let log = std::fs::File::options().create(true).append(true).open(path("log")).unwrap();
    Command::new("dockerd")
        .arg("--data-root")
        .arg(path("data"))
        .arg("--exec-root")
        .arg(path("run"))
        .arg("--pidfile")
        .arg(path("pid"))
        .arg("--host")
        .arg(format!("unix://{}", path("docker.sock").display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("dockerd is installed (bash tests/run does it)")
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal);
    }
}
