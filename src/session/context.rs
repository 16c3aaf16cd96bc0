//! What every part of the session core shares.

use super::catalogue::{Game, Source};
use super::clock::Clock;
use super::metrics::SessionMetrics;
use super::ports::{ControlPlane, MediaPlane};
use crate::config::SessionsConfig;
use crate::driver::Driver;
use crate::ids::SessionId;
use crate::store::{DataDir, SaveStore, Store};
use std::path::PathBuf;
use std::sync::Arc;

/// The ways to run a game.
#[derive(Clone)]
pub struct Drivers {
    pub process: Arc<dyn Driver>,
    pub external: Arc<dyn Driver>,
    /// Absent when no game of the catalogue asks for it.
    pub docker: Option<Arc<dyn Driver>>,
}

impl Drivers {
    /// `None` when the game is for a driver that is not there.
    pub fn of(&self, game: &Game) -> Option<&Arc<dyn Driver>> {
        match game.source {
            Source::BuiltIn => Some(&self.process),
            Source::External { .. } => Some(&self.external),
            Source::Container(_) => self.docker.as_ref(),
        }
    }
}

pub(super) struct Context {
    pub(super) store: Arc<dyn Store>,
    pub(super) saves: SaveStore,
    pub(super) media: Arc<dyn MediaPlane>,
    pub(super) control: Arc<dyn ControlPlane>,
    /// `ws://HOST:PORT` of the private listener.
    pub(super) control_url_base: String,
    pub(super) drivers: Drivers,
    pub(super) config: SessionsConfig,
    pub(super) data_dir: Arc<DataDir>,
    pub(super) marker: bool,
    pub(super) clock: Clock,
    pub(super) metrics: SessionMetrics,
}

impl Context {
    /// The working directory of a session.
    pub(super) fn session_dir(&self, id: SessionId) -> PathBuf {
        self.data_dir.sessions().join(id.to_string())
    }

    /// What the game sees as `PLAYGATE_SAVE_DIR`.
    pub(super) fn save_dir(&self, id: SessionId) -> PathBuf {
        self.session_dir(id).join("save")
    }

    /// Removes a session's working directory, or, when its save could not be stored, puts it aside: nothing is lost.
    pub(super) fn leave_session_dir(&self, id: SessionId, saved: bool) {
        let dir = self.session_dir(id);
        if !dir.exists() {
            return;
        }
        let result = if saved {
            std::fs::remove_dir_all(&dir)
        } else {
            let aside = self.data_dir.root().join("unsaved");
            std::fs::create_dir_all(&aside).and_then(|()| std::fs::rename(&dir, aside.join(id.to_string())))
        };
        if let Err(error) = result {
            tracing::warn!(session = %id, %error, "a session's directory stays behind");
        }
    }
}
