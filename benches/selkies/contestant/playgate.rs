//! Playgate by the way that games in containers take: gateway, runner, X server, program. Only the container is missing.
//!
//! The gateway is this program, which serves as `playgate serve` does; so it is also what the gateway starts as a game's
//! runner, and there it becomes the runner under test with the program on its desktop (`roles.rs`).

use super::control::Reception;
use super::{Control, KBPS, Kind, Tools};
use crate::Outcome;
use crate::program::{HEIGHT, RATE, WIDTH};
use crate::roles::Game;
use crate::support::bypass;
use crate::support::chrome::{self, Chrome};
use crate::support::gateway::{Gateway, Options};
use crate::support::line::Line;
use crate::support::page::Page;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A built-in game whose place the program takes.
const SLUG: &str = "ember";

pub(super) struct Playgate {
    gateway: Gateway,
    _home: TempDir,
}

impl Playgate {
    pub(super) async fn start(
        kind: Kind,
        tools: &Tools,
        line: Option<&Line>,
    ) -> Outcome<(Self, Chrome, Control)> {
        let home = TempDir::new()?;
        let reception = Reception::open(home.path())?;
        let own = std::env::current_exe()?;
        let (runner, encoder) = match kind {
            Kind::X264enc => {
                (tools.gstreamer.clone().ok_or("no GStreamer runner")?, Some("x264enc".to_owned()))
            }
            Kind::Openh264 | Kind::SelkiesWebsocket | Kind::SelkiesWebrtc => {
                (PathBuf::from(env!("CARGO_BIN_EXE_playgate")), None)
            }
        };
        let control = reception.path().to_owned();
        Game { runner, encoder, program: own.clone(), control }.leave_at(home.path())?;
        // The gateway hands `HOME` on to its runners, and little else.
        let program = home.path().join("gateway");
        let script =
            format!("#!/bin/sh\nexport HOME='{}'\nexec '{}' \"$@\"\n", home.path().display(), own.display());
        std::fs::write(&program, script)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;

        let mut toml = format!(
            "auth.guest = true\n[[games]]\nslug = \"{SLUG}\"\ntitle = \"The program\"\nwidth = {WIDTH}\nheight = {HEIGHT}\n\
             fps = {RATE}\nkbps = {KBPS}\n"
        );
        if let Some(line) = line {
            let near = line.near().v4;
            toml = format!("public_ip = ['{near}']\nmedia_listen = ['{near}:0']\n{toml}");
        }
        let gateway = Gateway::with(Options { toml, program, ..Default::default() }).await;
        if let Some(line) = line {
            bypass::to_near(line.far(), gateway.port());
        }
        let far = line.map(|line| line.far().clone());
        let page = Chrome::with(chrome::Options { far, ..Default::default() }).await;
        page.before_pages(crate::judge::SCRIPT).await;
        page.play_until_picture(&gateway.url, SLUG).await;
        page.click("#stage").await;
        let control = reception.program().await?;
        Ok((Self { gateway, _home: home }, page, control))
    }

    pub(super) fn roots(&self) -> Vec<u32> {
        vec![self.gateway.pid()]
    }

    pub(super) async fn end(self) {
        self.gateway.finish().await;
    }
}
