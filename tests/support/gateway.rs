//! The real `playgate serve` with a data directory of its own and port 0.
//!
//! A line with the level ERROR in its log fails the test at [`Gateway::finish`], and so does leaving without it.

use super::artifacts;
use super::http::Client;
use super::wait::PATIENT;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

const READY: &str = "Playgate is ready: ";
/// With `--lan` a sign-in link for each address takes the place of that line.
const LINK: &str = "Sign in on another device: ";

/// How a gateway is started. The defaults suit most tests: marker on, many launches allowed, room for four sessions.
pub(crate) struct Options {
    /// TOML laid over the defaults.
    pub(crate) toml: String,
    /// Further flags of `serve`.
    pub(crate) args: Vec<String>,
    pub(crate) listen: String,
    /// Soft and hard limit of open files; the test's own without.
    pub(crate) files: Option<(u32, u32)>,
    /// The program: that of the test, or another build to compare it with.
    pub(crate) program: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_playgate"));
        Self { toml: String::new(), args: Vec::new(), listen: "127.0.0.1:0".to_owned(), files: None, program }
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    child: Child,
    data: TempDir,
    options: Options,
    /// Without a trailing slash.
    pub(crate) url: String,
    log: Arc<Mutex<Vec<String>>>,
    finished: bool,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with_toml(toml: &str) -> Self {
        Self::with(Options { toml: toml.to_owned(), ..Default::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let data = TempDir::new().unwrap();
        std::fs::write(data.path().join("config.toml"), config(&options.toml, data.path())).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (child, url) = spawn(&options, data.path(), &log).await;
        Self { child, data, options, url, log, finished: false }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// A client that has become a guest.
    pub(crate) async fn guest(&self) -> Client {
        self.client().become_guest().await
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the address has a port")
    }

    /// Process id of the gateway.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the gateway runs")
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// SIGKILL: nothing is cleaned up.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL).await;
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::TERM).await;
    }

    /// A new gateway on the same data and the same port, after [`Self::kill`] or [`Self::terminate`].
    pub(crate) async fn restart(&mut self) {
        self.options.listen = match self.options.listen.rsplit_once(':') {
            Some((host, _)) => format!("{host}:{}", self.port()),
            None => unreachable!("a listener has a port"),
        };
        let (child, url) = spawn(&self.options, self.data.path(), &self.log).await;
        self.child = child;
        self.url = url;
    }

    /// Where everything of this gateway is kept.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// Ends the gateway and looks at its log.
    /// A token, as somebody at the machine gets one: `--operator`, or `--organisation` and its name.
    pub(crate) async fn mint(&self, whom: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_playgate"))
            .args(["token", "mint"])
            .args(whom)
            .arg("--data-dir")
            .arg(self.data_dir())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let token = text.lines().find_map(|line| line.strip_prefix("Token:"));
        token.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).trim().to_owned()
    }

    /// Viewers whose packets the relay sealed by itself, which is AES-GCM, and viewers whose packets `rtc` sealed.
    pub(crate) async fn sealed(&self) -> (u64, u64) {
        let operator = self.client().with_token(&self.mint(&["--operator"]).await);
        let metrics = operator.text("/metrics").await;
        let counted = |what: &str| {
            let lines = metrics
                .lines()
                .filter(|line| line.starts_with(&format!("playgate_relay_viewers_{what}_total{{")));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
        };
        (counted("sealed_here"), counted("sealed_by_crate"))
    }

    pub(crate) async fn finish(self) {
        self.finish_despite("\0").await;
    }

    /// As [`Self::finish`], where errors with these words are what the test wants.
    pub(crate) async fn finish_despite(mut self, expected: &str) {
        self.finished = true;
        if self.child.id().is_some() {
            self.terminate().await;
        }
        let is_error = |line: &String| line.contains(" ERROR ") && !line.contains(expected);
        let errors: Vec<String> = self.log().into_iter().filter(is_error).collect();
        assert!(errors.is_empty(), "errors in the gateway's log:\n{}", errors.join("\n"));
    }

    async fn signal(&mut self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the gateway can be signalled");
        tokio::time::timeout(PATIENT, self.child.wait()).await.expect("the gateway ends when told").unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let file = artifacts::path(&format!("{}.gateway.log", artifacts::test_name()));
            let _ = std::fs::write(&file, self.log().join("\n"));
            eprintln!("the gateway's log: {}", file.display());
        } else if !self.finished {
            panic!("a test ends its gateway with finish()");
        }
    }
}

/// The caller's TOML over the defaults.
fn config(toml: &str, data: &Path) -> String {
    let mut table: toml::Table = toml.parse().expect("the test's configuration is TOML");
    let data_dir = data.join("data").to_string_lossy().into_owned();
    table.insert("data_dir".to_owned(), data_dir.into());
    let mut default = |section: &str, key: &str, value: toml::Value| {
        let section = table.entry(section.to_owned()).or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            section.entry(key.to_owned()).or_insert(value);
        }
    };
    default("runner", "marker", true.into());
    default("sessions", "launches_per_minute", 1000.into());
    default("sessions", "capacity", 4.into());
    toml::to_string(&table).unwrap()
}

async fn spawn(options: &Options, data: &Path, log: &Arc<Mutex<Vec<String>>>) -> (Child, String) {
    let mut command = match options.files {
        None => Command::new(&options.program),
        Some((soft, hard)) => {
            let mut shell = Command::new("sh");
            let limit = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
            shell.args(["-c", &limit]).arg(&options.program);
            shell
        }
    };
    let mut child = command
        .args(["serve", "--config"])
        .arg(data.join("config.toml"))
        .args(["--listen", &options.listen])
        .args(&options.args)
        .env("NO_COLOR", "1")
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let (ready_sender, mut ready) = mpsc::channel(1);
    collect(child.stdout.take().expect("piped"), Arc::clone(log), ready_sender.clone());
    collect(child.stderr.take().expect("piped"), Arc::clone(log), ready_sender);
    let url = tokio::time::timeout(PATIENT, ready.recv()).await.ok().flatten();
    let Some(url) = url else {
        panic!("the gateway did not say `{READY}`; it said:\n{}", log.lock().unwrap().join("\n"));
    };
    (child, url)
}

fn collect(
    stream: impl AsyncRead + Unpin + Send + 'static,
    log: Arc<Mutex<Vec<String>>>,
    ready: mpsc::Sender<String>,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let told = line.split_once(READY).or_else(|| line.split_once(LINK));
            if let Some(url) = told.and_then(|(_, rest)| rest.split_whitespace().next()) {
                let base = url.split("/signin#").next().unwrap_or(url).trim_end_matches('/');
                let _ = ready.try_send(base.to_owned());
            }
            log.lock().unwrap().push(line);
        }
    });
}
