//! The X server: Xvfb with the game's screen, a number that is free, and a cookie.
//!
//! The number is a random one. Servers that look for the lowest free number by themselves (`-displayfd` alone) were seen to
//! take each other's sockets away when one starts while another ends.

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
/// A number that is taken ends the server; another is tried.
const TRIES: u32 = 4;
/// Numbers of screens people and other programs start by hand are below.
const FIRST: u16 = 1_000;
const NUMBERS: u16 = 30_000;
/// The server closes its standard input and output early, so that its number needs another descriptor. It runs `sh` itself
/// to compile its keyboard, so there is one.
const SCRIPT: &str = r#"exec Xvfb "$@" 3>&1 1>&2"#;
/// Where X servers have their sockets (Xserver(1)).
const SOCKETS: &str = "/tmp/.X11-unix";

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
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match Self::try_start(spec, groups, &authority).await {
                Ok(display) => return Ok(display),
                Err(error) if tries == 0 => return Err(error),
                Err(error) => tracing::debug!(%error, "the X server is tried again, with another number"),
            }
        }
    }

    async fn try_start(spec: &HouseSpec, groups: &Arc<Groups>, authority: &Path) -> io::Result<Self> {
        let name = format!(":{}", number()?);
        let screen = format!("{}x{}x24", spec.width, spec.height);
        let mut command = helper::command("/bin/sh", &spec.runtime_dir);
        command
            .args(["-c", SCRIPT, "Xvfb", &name, "-displayfd", "3", "-screen", "0", &screen])
            .args(["-nolisten", "tcp", "-noreset", "-s", "0", "-auth"])
            .arg(authority)
            .stdout(Stdio::piped());
        let mut member = groups.spawn(&mut command)?;
        let words = Words::listen(PART, &mut member);
        let stdout = member.child.stdout.take().ok_or_else(|| io::Error::other("its pipe is gone"))?;
        let mut line = String::new();
        // It says its number when it is ready; no number is longer.
        timeout(READY, BufReader::new(stdout.take(16)).read_line(&mut line))
            .await
            .map_err(|_| io::Error::other("it was not ready in time"))??;
        if line.trim().is_empty() {
            let status = member.ended().await;
            return Err(io::Error::other(helper::obituary(&status, &words)));
        }
        if let Err(error) = answers(name.clone(), authority.to_owned()).await {
            drop(member);
            clean_up(&name);
            return Err(error);
        }
        tracing::debug!(display = name, "the X server answers");
        Ok(Self { name, authority: authority.to_owned(), member, words })
    }

    pub(super) fn pid(&self) -> i32 {
        self.member.pid()
    }

    /// Watches over it until the house closes. Without it the game cannot go on.
    pub(super) async fn keep(mut self, events: mpsc::Sender<HouseEvent>, mut closing: watch::Receiver<bool>) {
        tokio::select! {
            status = self.member.ended() => {
                clean_up(&self.name);
                let message = helper::obituary(&status, &self.words);
                let _ = events.send(HouseEvent::Lost { part: PART, message }).await;
            }
            () = helper::told(&mut closing) => {
                helper::end(&mut self.member).await;
                clean_up(&self.name);
            }
        }
    }
}

fn number() -> io::Result<u16> {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(FIRST + u16::from_be_bytes(bytes) % NUMBERS)
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

/// Removes the socket that a server of ours leaves behind when it is killed. Only at its end: later the number may be
/// another's. (It makes no lock file when it says its number on a descriptor.)
pub(super) fn clean_up(display: &str) {
    if let Some(number) = display.strip_prefix(':') {
        let _ = std::fs::remove_file(Path::new(SOCKETS).join(format!("X{number}")));
    }
}
