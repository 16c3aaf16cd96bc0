//! How a runner fails, and with which exit code.

use super::desktop::pads::PadMapError;
use super::encoder::NoEncoder;
use super::settings::SettingsError;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    NoEncoder(#[from] NoEncoder),
    #[error("there is no built-in game {0}")]
    UnknownGame(String),
    #[error("cannot read the save in {}", directory.display())]
    SaveUnreadable { directory: PathBuf, source: io::Error },
    /// The save is left as it is; a new game in its place would overwrite it.
    #[error("the game cannot continue from its save: {0}")]
    BadSave(String),
    #[error("cannot write the save in {}; the last one written is unharmed", directory.display())]
    SaveNotWritten { directory: PathBuf, source: io::Error },
    #[error("the {part} failed: {message}")]
    Crashed { part: &'static str, message: String },
    /// A program ended by itself, and not well.
    #[error("the game ended with code {0}")]
    GameEnded(u8),
    #[error("the pad map cannot be used")]
    PadMap(#[from] PadMapError),
    #[error("no gateway answered on the control channel for {0} seconds")]
    NoGateway(u64),
    #[error("another runner of this session has taken over")]
    Replaced,
    #[error("cannot send media to {target}")]
    Media { target: String, source: io::Error },
    #[error("the system refused a thread, socket or signal")]
    System(#[from] io::Error),
}

impl RunnerError {
    /// 2: wrong arguments or environment. 3: the save cannot be used. 4: the save could not be written. 5: the game or an
    /// encoder failed. 6: the gateway is gone or does not want this runner. 7: no media can be sent. (0: ended as asked.)
    /// A program that ends by itself gives its own code, 128 and the number when a signal ended it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::NoEncoder(_) | Self::UnknownGame(_) | Self::PadMap(_) => 2,
            Self::SaveUnreadable { .. } | Self::BadSave(_) => 3,
            Self::SaveNotWritten { .. } => 4,
            Self::Crashed { .. } => 5,
            Self::GameEnded(code) => *code,
            Self::NoGateway(_) | Self::Replaced => 6,
            Self::Media { .. } | Self::System(_) => 7,
        }
    }
}
