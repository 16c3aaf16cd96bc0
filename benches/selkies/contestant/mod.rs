//! Who takes part, and what of each is running during its turn.

mod control;
mod playgate;
mod selkies;

use crate::Outcome;
use crate::support::chrome::Chrome;
use crate::support::line::Line;
use clap::ValueEnum;
pub(crate) use control::Control;
use playgate::Playgate;
use selkies::Selkies;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What every encoder is told.
pub(crate) const KBPS: u32 = 8000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Playgate with its built-in encoder.
    Openh264,
    /// Playgate with the GStreamer runner.
    X264enc,
    SelkiesWebsocket,
    SelkiesWebrtc,
}

impl Kind {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openh264 => "Playgate, openh264",
            Self::X264enc => "Playgate, x264enc",
            Self::SelkiesWebsocket => "Selkies WebSocket",
            Self::SelkiesWebrtc => "Selkies WebRTC",
        }
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Openh264 | Self::X264enc)
    }
}

/// The programs that contestants need.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tools {
    /// The `selkies` of its environment.
    pub(crate) selkies: Option<PathBuf>,
    /// The runner that has GStreamer's encoders.
    pub(crate) gstreamer: Option<PathBuf>,
}

/// A contestant at work: its page shows the program.
pub(crate) struct Stage {
    pub(crate) page: Chrome,
    pub(crate) control: Control,
    /// Absent where this process may not make one: then media take the loopback.
    pub(crate) line: Option<Line>,
    server: Server,
}

enum Server {
    Playgate(Box<Playgate>),
    Selkies(Selkies),
}

impl Stage {
    pub(crate) async fn start(kind: Kind, tools: &Tools, line: Option<Line>) -> Outcome<Self> {
        match kind {
            Kind::Openh264 | Kind::X264enc => {
                let (server, page, control) = Playgate::start(kind, tools, line.as_ref()).await?;
                Ok(Self { page, control, line, server: Server::Playgate(Box::new(server)) })
            }
            Kind::SelkiesWebsocket | Kind::SelkiesWebrtc => {
                let (server, page, control) = Selkies::start(kind, tools, line.as_ref()).await?;
                Ok(Self { page, control, line, server: Server::Selkies(server) })
            }
        }
    }

    /// The processes all else descends from.
    pub(crate) fn roots(&self) -> Vec<u32> {
        match &self.server {
            Server::Playgate(server) => server.roots(),
            Server::Selkies(server) => server.roots(),
        }
    }

    pub(crate) async fn end(self) {
        self.page.quit().await;
        drop(self.control);
        match self.server {
            Server::Playgate(server) => server.end().await,
            Server::Selkies(server) => server.end().await,
        }
    }
}
