//! The X server: Xvfb with the game's screen, a number that is free, and a cookie.

use super::group::{Groups, Member};
use super::helper::{self, READY, Words};
use super::{HouseEvent, HouseSpec};
use crate::runner::desktop::x;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

pub(super) const PART: &str = "X server";
/// The server closes its standard input and output early, so that its number needs another descriptor. It runs `sh` itself
/// to compile its keyboard, so there is one.
const SCRIPT: &str = r#"exec Xvfb "$@" 3>&1 1>&2"#;
/// Where X servers say which numbers are taken (Xserver(1)).
const TAKEN: &str = "/tmp";

pub(super) struct Display {
    pub(super) name: String,
    pub(super) authority: PathBuf,
    member: Member,
    words: Words,
}

impl Display {
    /// Starts the server and waits until it answers.
    pub(super) async fn start(spec: &HouseSpec, groups: &Arc<Groups>) -> io::Result<Self> {
        let authority = spec.runtime_dir.join("Xauthority");
        x::make_authority(&authority)?;
        let screen = format!("{}x{}x24", spec.width, spec.height);
        let mut command = helper::command("/bin/sh", &spec.runtime_dir);
        command
            .args(["-c", SCRIPT, "Xvfb", "-displayfd", "3", "-screen", "0", &screen])
            .args(["-nolisten", "tcp", "-noreset", "-s", "0", "-auth"])
            .arg(&authority)
            .stdout(Stdio::piped());
        let mut member = groups.spawn(&mut command)?;
        let words = Words::listen(PART, &mut member);
        let stdout = member.child.stdout.take().ok_or_else(|| io::Error::other("its pipe is gone"))?;
        let mut line = String::new();
        // No number is longer.
        timeout(READY, BufReader::new(stdout.take(16)).read_line(&mut line))
            .await
            .map_err(|_| io::Error::other("it did not say its number in time"))??;
        let Ok(number) = line.trim().parse::<u16>() else {
            let status = member.ended().await;
            return Err(io::Error::other(helper::obituary(&status, &words)));
        };
        let name = format!(":{number}");
        answers(name.clone(), authority.clone()).await?;
        tracing::debug!(display = name, "the X server answers");
        Ok(Self { name, authority, member, words })
    }

    pub(super) fn pid(&self) -> i32 {
        self.member.pid()
    }

    /// Watches over it until the house closes. Without it the game cannot go on.
    pub(super) async fn keep(mut self, events: mpsc::Sender<HouseEvent>, mut closing: watch::Receiver<bool>) {
        tokio::select! {
            status = self.member.ended() => {
                clean_up(&self.name, self.member.pid());
                let message = helper::obituary(&status, &self.words);
                let _ = events.send(HouseEvent::Lost { part: PART, message }).await;
            }
            () = helper::told(&mut closing) => {
                helper::end(&mut self.member).await;
                clean_up(&self.name, self.member.pid());
            }
        }
    }
}

/// Makes a connection as the game will.
async fn answers(display: String, authority: PathBuf) -> io::Result<()> {
    let connect = tokio::task::spawn_blocking(move || x::connect(&display, Some(&authority)).map(|_| ()));
    match timeout(READY, connect).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(io::Error::other(error.to_string())),
        Ok(Err(error)) => Err(io::Error::other(error.to_string())),
        Err(_) => Err(io::Error::other("it does not answer")),
    }
}

/// Removes what a server that was killed leaves behind, unless another has taken the number meanwhile.
pub(super) fn clean_up(display: &str, pid: i32) {
    let Some(number) = display.strip_prefix(':') else { return };
    let taken = Path::new(TAKEN);
    let lock = taken.join(format!(".X{number}-lock"));
    let owner = std::fs::read_to_string(&lock).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if owner == Some(pid) {
        let _ = std::fs::remove_file(taken.join(".X11-unix").join(format!("X{number}")));
        let _ = std::fs::remove_file(lock);
    }
}
