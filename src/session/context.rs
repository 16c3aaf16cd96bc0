//! What every part of the session core shares.

use super::attendance::Attendance;
use super::catalogue::{Game, Source};
use super::hosted::Hosting;
use super::metrics::SessionMetrics;
use super::ports::{ControlPlane, MediaPlane, Placement};
use crate::config::SessionsConfig;
use crate::content::ContentSource;
use crate::driver::Driver;
use crate::model::Clock;
use crate::model::clock::after;
use crate::model::ids::SessionId;
use crate::model::instance::InstanceRef;
use crate::store::{DataDir, SaveStore, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

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

    /// The driver that started an instance; `None` when it is not there any more.
    pub fn by_instance(&self, instance: &InstanceRef) -> Option<&Arc<dyn Driver>> {
        match instance {
            InstanceRef::Process { .. } => Some(&self.process),
            InstanceRef::Container { .. } => self.docker.as_ref(),
        }
    }
}

pub(super) struct Context {
    pub(super) store: Arc<dyn Store>,
    pub(super) saves: SaveStore,
    pub(super) media: Arc<dyn MediaPlane>,
    pub(super) control: Arc<dyn ControlPlane>,
    pub(super) placement: Arc<dyn Placement>,
    /// Absent when no game needs any.
    pub(super) content: Option<Arc<dyn ContentSource>>,
    /// The private listener, whose port is the same on every network of games.
    pub(super) private: SocketAddr,
    pub(super) drivers: Drivers,
    pub(super) hosting: Hosting,
    pub(super) config: SessionsConfig,
    pub(super) data_dir: Arc<DataDir>,
    pub(super) marker: bool,
    pub(super) clock: Clock,
    pub(super) metrics: SessionMetrics,
    pub(super) attendance: Attendance,
    /// A session has ended whose container or save is to be removed in time: see [`super::janitor`].
    pub(super) kept_for_a_while: Arc<Notify>,
}

impl Context {
    /// When a session ends that nobody plays from now on, in Unix milliseconds.
    pub(super) fn idle_until(&self) -> i64 {
        after(self.clock.now_ms(), Duration::from_secs(self.config.idle_timeout_s))
    }

    /// The working directory of a session.
    pub(super) fn session_dir(&self, id: SessionId) -> PathBuf {
        self.data_dir.sessions().join(id.to_string())
    }

    /// What the game sees as `PLAYGATE_SAVE_DIR`.
    pub(super) fn save_dir(&self, id: SessionId) -> PathBuf {
        self.session_dir(id).join("save")
    }

    /// Where the files of a session are put whose save could not be stored.
    pub(super) fn aside(&self, id: SessionId) -> PathBuf {
        self.data_dir.root().join("unsaved").join(id.to_string())
    }

    /// Removes a session's working directory, or puts it aside when the only copy of its save is in it.
    pub(super) fn leave_session_dir(&self, id: SessionId, holds_the_save: bool) {
        let dir = self.session_dir(id);
        if !dir.exists() {
            return;
        }
        let result = if holds_the_save {
            let aside = self.aside(id);
            let parent = aside.parent().map_or(Ok(()), std::fs::create_dir_all);
            parent.and_then(|()| std::fs::rename(&dir, aside))
        } else {
            std::fs::remove_dir_all(&dir)
        };
        if let Err(error) = result {
            tracing::warn!(session = %id, %error, "a session's directory stays behind");
        }
    }
}
