//! What X server and audio server have in common: an environment without anything of ours, words on standard error, an
//! end in order.

use super::group::Member;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::watch;

/// A helper answers within this, also on a machine that is busy with everything else.
pub(super) const READY: Duration = Duration::from_secs(20);
/// Between two looks at whether it answers.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of its last words that are kept.
const WORDS: usize = 2048;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program with a home of its own, no standard input, its words on a pipe.
pub(super) fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .env("LANG", "C")
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_CONFIG_HOME", home)
        .env("XDG_CACHE_HOME", home)
        .env("XDG_STATE_HOME", home)
        .env("XDG_DATA_HOME", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A helper's last words, for the message when it dies.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    /// Reads what the child says until it says no more, into the log as well.
    pub(super) fn listen(part: &'static str, member: &mut Member) -> Self {
        let words = Self::default();
        if let Some(stderr) = member.child.stderr.take() {
            tokio::spawn(words.clone().read(part, stderr));
        }
        words
    }

    async fn read(self, part: &'static str, mut pipe: impl AsyncRead + Unpin) {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
            let new = &buffer[..length];
            tracing::debug!(part, "{}", String::from_utf8_lossy(new).trim_end());
            let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend_from_slice(new);
            let over = words.len().saturating_sub(WORDS);
            words.drain(..over);
        }
    }

    /// The last three lines, as one.
    pub(super) fn last(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&words);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }
}

/// Resolves when the house closes or is gone.
pub(super) async fn told(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Ends a helper in order.
pub(super) async fn end(member: &mut Member) {
    if let Err(error) = member.stop(GRACE).await {
        tracing::debug!(%error, "nobody knows how a helper ended");
    }
}

/// How a helper ended, in words.
pub(super) fn obituary(status: &io::Result<std::process::ExitStatus>, words: &Words) -> String {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let words = words.last();
    if words.is_empty() { how } else { format!("{how}: {words}") }
}
